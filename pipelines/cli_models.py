"""Commands about one model on the command line."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli_shared import TASKS, command, fraction, print_json, project

FORMATS = ("saved_model", "onnx", "tflite")
MODELS = "champion, challenger, previous, a model of params.yaml, or a .keras file beside its model.json"


def add_tuning(commands: Any) -> None:
    """Add the commands that find values for a model's knobs."""
    tune = command(
        commands,
        "tune",
        "search for better values of a model's knobs (`tune:` in params.yaml)",
        "visionloop tune cnn --trials 20 --budget 30min",
        _tune,
    )
    tune.add_argument("model", metavar="MODEL", help="a model of params.yaml")
    tune.add_argument(
        "--trials", type=int, metavar="N", help="trainings in all, those of earlier calls included; tune.trials when not said"
    )
    tune.add_argument("--budget", metavar="TIME", help="leave after 90s, 30min or 2h; the same command goes on from there")
    tune.add_argument("--metric", choices=("val/accuracy", "val/loss"), help="what decides; tune.TASK.metric when not said")
    tune.add_argument("--apply", action="store_true", help="write the best values into params.yaml")
    tune.add_argument("--json", action="store_true")
    rate = command(commands, "lr", "find a learning rate for a model by a test of all of them", "visionloop lr cnn --out rates.png", _lr)
    rate.add_argument("model", metavar="MODEL", help="a model of params.yaml")
    rate.add_argument("--out", type=Path, metavar="FILE.png", help="where the picture goes; outputs/lr/MODEL.png when not said")
    rate.add_argument("--json", action="store_true")


def add_export(commands: Any) -> None:
    """Add the command that hands a model to other runtimes."""
    export = command(
        commands,
        "export",
        "a model for other runtimes, preprocessing and suppression inside, tried on photographs",
        "visionloop export detection --format onnx --output trees.onnx",
        _export,
    )
    export.add_argument("task", choices=TASKS)
    export.add_argument("--format", choices=FORMATS, action="append", required=True, help="may be repeated: they are compared in one table")
    export.add_argument("--model", default="champion", help=MODELS)
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="a file, for saved_model a folder; in outputs/export/MODEL when not said"
    )
    export.add_argument(
        "--confidence", type=fraction, metavar="0..1", help="answer boxes from this one on; from each class' operating point when not said"
    )
    export.add_argument(
        "--images",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="what to try it on, photographs or folders; data/TASK when not said",
    )
    export.add_argument("--json", action="store_true")


def _export(arguments: argparse.Namespace) -> int:
    from pipelines.export_command import Asked, export

    asked = Asked(arguments.task, arguments.model, tuple(arguments.format), arguments.output, tuple(arguments.images), arguments.confidence)
    return export(project(), asked, as_json=arguments.json)


def _tune(arguments: argparse.Namespace) -> int:
    from pipelines import tune
    from pipelines.stages.command import silent_stderr

    plan = tune.plan(project(), arguments.model, arguments.trials, arguments.budget, arguments.metric)
    with silent_stderr():
        import tensorflow  # noqa: F401
    found = tune.search(plan)
    from pipelines import tune_report

    print_json(tune_report.answer(found)) if arguments.json else tune_report.show(found)
    if arguments.apply:
        tune_report.apply(found)
    return 0 if found.best is not None else 1


def _lr(arguments: argparse.Namespace) -> int:
    from pipelines.learning_rate import find, show
    from pipelines.stages.command import silent_stderr

    with silent_stderr():
        import tensorflow  # noqa: F401
    found = find(project(), arguments.model, arguments.out)
    print_json(found) if arguments.json else show(found)
    return 0
