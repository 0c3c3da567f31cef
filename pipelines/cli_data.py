"""`visionloop data ...` on the command line."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.cli_shared import TASKS, command, print_json, project
from pipelines.cli_versions import add_versions

_FORMATS = ("auto", "folder", "leaf-folder", "yolo", "voc", "coco", "csv")


def add_data(commands: Any) -> None:
    """Add `data` and its actions."""
    data = commands.add_parser("data", help="the embedded sample, your own images; their faults, their versions")
    actions = data.add_subparsers(title="actions", metavar="ACTION", required=True)
    command(actions, "sample", "build data/ from the embedded photographs", "visionloop data sample", _data_sample)
    bring = command(
        actions,
        "import",
        "copy your dataset into data/ and version it",
        "visionloop data import ~/flowers --task classification",
        _data_import,
    )
    bring.add_argument("source", type=Path, help="a folder; it is only read")
    bring.add_argument("--task", choices=TASKS, required=True)
    bring.add_argument("--format", choices=_FORMATS, default="auto", help="how the labels lie; recognised when not said")
    bring.add_argument("--json", action="store_true")
    _add_export(actions)
    check = command(
        actions, "check", "scan a dataset without changing it", "visionloop data check ~/flowers --task classification", _data_check
    )
    check.description = (
        "Decode every image of a dataset and name everything that is wrong with it; nothing is changed.\n"
        "Exit code 0: nothing had to be left out; 1: something had; 3: there is no dataset that could be read."
    )
    check.add_argument("path", type=Path, nargs="?", help="a folder; data/ when not said")
    check.add_argument("--task", choices=TASKS)
    check.add_argument("--format", choices=_FORMATS, help="how the labels lie; as params.yaml says, or recognised")
    check.add_argument("--json", action="store_true", help="print everything that was found as JSON")
    check.add_argument("--out", type=Path, metavar="DIR", help="write a page with pictures, and the JSON, here")
    augmentation = command(
        actions,
        "augmentation",
        "what the augmentation policy does to images, boxes and labels",
        "visionloop data augmentation --task detection --out audit",
        _data_augmentation,
    )
    augmentation.add_argument("--task", choices=TASKS, required=True)
    augmentation.add_argument("--model", help="that may be confused: champion, challenger, previous, or a model of params.yaml")
    augmentation.add_argument("--out", type=Path, help="write preview.png, worst.png and audit.json here")
    augmentation.add_argument("--json", action="store_true")
    add_versions(actions)


def _add_export(actions: Any) -> None:
    export = command(
        actions,
        "export",
        "write a detection dataset in another format; the source is only read",
        "visionloop data export ~/cells --format coco --out ~/cells-coco",
        _data_export,
    )
    export.add_argument("path", type=Path, nargs="?", help="a folder; data/detection when not said")
    export.add_argument("--format", choices=("yolo", "voc", "coco"), required=True, help="what to write")
    export.add_argument("--out", type=Path, required=True, help="an empty or new folder")
    export.add_argument("--task", choices=TASKS, default="detection")
    export.add_argument("--read-as", choices=_FORMATS, help="how the source's labels lie; recognised when not said")
    export.add_argument("--link", action="store_true", help="hard links instead of copies of the images")
    export.add_argument("--json", action="store_true")


def _data_sample(_: argparse.Namespace) -> int:
    from pipelines import data_commands

    data_commands.show(data_commands.sample(project()))
    return 0


def _data_import(arguments: argparse.Namespace) -> int:
    from pipelines import data_commands

    summary = data_commands.import_dataset(project(), arguments.source, arguments.task, arguments.format)
    print_json(summary) if arguments.json else data_commands.show(summary)
    return 0


def _data_export(arguments: argparse.Namespace) -> int:
    from pipelines import data_commands, data_export

    own = (arguments.format, arguments.out, arguments.path, arguments.task, arguments.read_as)
    summary = data_export.export(project(), *own, link=arguments.link)
    print_json(summary) if arguments.json else data_commands.show(summary)
    return 0


def _data_check(arguments: argparse.Namespace) -> int:
    from pipelines.data_check import command as check

    return check(project(), arguments.path, arguments.task, arguments.out, as_json=arguments.json, layout=arguments.format)


def _data_augmentation(arguments: argparse.Namespace) -> int:
    from pipelines import data_augmentation

    answer = data_augmentation.audit(project(), arguments.task, arguments.model, arguments.out)
    print_json(answer) if arguments.json else data_augmentation.show(answer)
    return 0
