"""`visionloop data diff` and `visionloop data suspects` on the command line."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli_shared import TASKS, command, print_json, project


def add_versions(actions: Any) -> None:
    """Add the actions of `data` that compare versions and doubt labels."""
    diff = command(
        actions,
        "diff",
        "what changed between two versions of data/, image by image and box by box",
        "visionloop data diff HEAD~1 workspace --task detection --out changes",
        _data_diff,
    )
    diff.add_argument("before", metavar="REV_A", help="a git revision, the beginning of a data digest, or workspace")
    diff.add_argument("after", metavar="REV_B", nargs="?", default="workspace", help="likewise; data/ as it lies now when not said")
    diff.add_argument("--task", choices=TASKS, help="both when not said")
    diff.add_argument("--out", type=Path, help="write everything as JSON, and a picture, into this folder")
    diff.add_argument("--json", action="store_true")
    suspects = command(
        actions,
        "suspects",
        "labels that are likely wrong, ranked, in the form of corrections.csv",
        "visionloop data suspects --task classification --top 50",
        _data_suspects,
    )
    suspects.add_argument("--task", choices=TASKS, required=True)
    suspects.add_argument("--top", type=int, metavar="N", help="how many to name; twice as many as are likely wrong when not said")
    suspects.add_argument("--model", metavar="NAME", help="for detection: the evaluated detector that judges; the best when not said")
    suspects.add_argument("--out", type=Path, help="where suspects.csv and suspects.png go; outputs/suspects/TASK when not said")
    suspects.add_argument("--json", action="store_true")


def _data_diff(arguments: argparse.Namespace) -> int:
    from pipelines import data_diff
    from pipelines.report.diff_table import show

    found = data_diff.data_diff(project(), arguments.before, arguments.after, arguments.task, arguments.out)
    print_json(found) if arguments.json else show(found)
    return 0


def _data_suspects(arguments: argparse.Namespace) -> int:
    from pipelines import data_suspects

    found = data_suspects.data_suspects(project(), arguments.task, arguments.top, arguments.model, arguments.out)
    print_json(found) if arguments.json else data_suspects.show(found)
    return 0
