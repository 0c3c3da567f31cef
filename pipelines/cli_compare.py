"""`visionloop compare` on the command line."""

import argparse
from typing import Any

from pipelines.cli_shared import TASKS, command, print_json, project


def add_compare(commands: Any) -> None:
    """Add the command that puts two runs side by side."""
    example = "visionloop compare efficientnet_lite0 cnn"
    compare = command(commands, "compare", "two runs side by side: what differs, and whether it means anything", example, _compare)
    runs = "a run's id, its name, a model of params.yaml, champion, challenger or previous"
    compare.add_argument("first", metavar="RUN", help=runs)
    compare.add_argument("second", metavar="RUN", help="likewise; the same name twice means its last two runs")
    compare.add_argument("--task", choices=TASKS, help="of the aliases; where not said, the task that both have")
    compare.add_argument("--cross", action="store_true", help="train what tells data, code and params apart, unless it was trained before")
    compare.add_argument("--json", action="store_true")


def _compare(arguments: argparse.Namespace) -> int:
    from pipelines.compare import compare_runs
    from pipelines.report.comparison import show

    found = compare_runs(project(), (arguments.first, arguments.second), arguments.task, cross=arguments.cross)
    if arguments.json:
        print_json(found)
    else:
        show(found, cross=arguments.cross)
    return 0
