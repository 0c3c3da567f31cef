"""The `visionloop` command. Parsing imports nothing heavy; each command imports what it needs when it runs."""

import argparse
import errno
import logging
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.errors import UsageError, VisionloopError
from pipelines.cli_compare import add_compare
from pipelines.cli_data import add_data
from pipelines.cli_models import MODELS, add_export, add_tuning
from pipelines.cli_shared import TASKS, Handler, command, positive, project
from pipelines.environment import prepare_environment

EXIT_CODES = """exit codes: 0 done, 1 ran but the answer is no, 2 usage or configuration, 3 bad data,
4 a service could not be reached, 5 disk or memory, 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is answered in words, without a traceback."""
    prepare_environment()
    arguments = _parser().parse_args(argv)
    _show_own_log()
    try:
        handler: Handler = arguments.handler
        code = handler(arguments)
        sys.stdout.flush()
        return code
    except VisionloopError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; the same command goes on from there", file=sys.stderr)
        return 130
    except MemoryError:
        print("error: memory ran out: lower image_size or batch_size in params.yaml", file=sys.stderr)
        return 5
    except BrokenPipeError:
        if not _is_unread():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or "no space left"
        print(f"error: the disk is full ({where}): free some space and run the same command again", file=sys.stderr)
        return 5


def _is_unread() -> bool:
    """Whether nobody reads the answer any more, as after `| head`; a pipe to something else may break too."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _show_own_log() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for name in ("pipelines", "components"):
        logging.getLogger(name).setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visionloop",
        description="From a folder of images to a classifier and a detector you can trust in production, and keep fresh.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_stage(commands)
    add_data(commands)
    _add_models(commands)
    add_tuning(commands)
    _add_registry(commands)
    add_compare(commands)
    _add_predict(commands)
    _add_explain(commands)
    add_export(commands)
    _add_services(commands)
    return parser


def _add_run(commands: Any) -> None:
    run = command(commands, "run", "the whole loop as a Prefect flow", "visionloop run --task detection --set models.yolo.epochs=5", _run)
    run.add_argument("--task", choices=TASKS, action="append", help="only this task; may be given twice")
    run.add_argument("--model", action="append", metavar="NAME", help="only this model of params.yaml; may be repeated")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override params.yaml for this run")
    run.add_argument(
        "--require", action="store_true", help="exit 1 unless of every task the candidate that validation prefers is champion afterwards"
    )
    run.add_argument("--json", action="store_true", help="print candidates and decisions as JSON")


def _add_stage(commands: Any) -> None:
    stage = command(commands, "stage", "one stage of dvc.yaml, as `dvc repro` runs it", "visionloop stage train --model cnn", _stage)
    stage.add_argument("name", choices=("validate", "split", "augment", "train", "evaluate"))
    stage.add_argument("--model", metavar="NAME", help="for train and evaluate: a model of params.yaml")


def _add_models(commands: Any) -> None:
    models = command(commands, "models", "the architectures there are, with parameters and FLOPs", "visionloop models", _models)
    models.add_argument("--json", action="store_true")
    example = "visionloop summary vgg16 --head course --frozen --image-size 32 --classes 10"
    summary = command(commands, "summary", "the layers of an architecture, as published unless said otherwise", example, _summary)
    summary.add_argument("architecture", help="a name that `visionloop models` shows")
    summary.add_argument("--image-size", type=positive, metavar="PIXELS", help="side of the square it is given")
    summary.add_argument("--classes", type=positive, metavar="N")
    summary.add_argument("--head", choices=("published", "pooled", "course"), help="what stands on a backbone, as in params.yaml")
    summary.add_argument("--frozen", action="store_true", help="everything below the head frozen, as a transfer begins")
    summary.add_argument("--json", action="store_true")


def _add_registry(commands: Any) -> None:
    promote = command(commands, "promote", "decide for the newest candidates of a task", "visionloop promote classification", _promote)
    rollback = command(commands, "rollback", "make the previous champion champion again", "visionloop rollback detection", _rollback)
    history = command(commands, "history", "every decision about a task, oldest first", "visionloop history classification", _history)
    for parser in (promote, rollback, history):
        parser.add_argument("task", choices=TASKS)
        parser.add_argument("--json", action="store_true")
    promote.add_argument(
        "--require", action="store_true", help="exit 1 unless the candidate that validation prefers is champion afterwards"
    )
    say = promote.add_mutually_exclusive_group()
    say.add_argument(
        "--approve",
        action="store_true",
        help="say yes to the proposal that waits, or to the one rejected last; exit 1 if another is due by now",
    )
    say.add_argument("--reject", action="store_true", help="say no to the proposal that waits; the champion stays")
    promote.add_argument("--by", metavar="NAME", help="who says so; your user name when not said")
    promote.add_argument("--why", default="", metavar="TEXT", help="the reason, for the ledger")
    history.add_argument("--verify", action="store_true", help="check that no entry was edited, removed or moved; exit 1 if one was")


def _add_predict(commands: Any) -> None:
    predict = command(
        commands,
        "predict",
        "labels or boxes of images, by the champion",
        "visionloop predict photo.jpg --task classification --out answers",
        _predict,
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="images, or folders of images")
    predict.add_argument("--task", choices=TASKS, required=True)
    predict.add_argument("--model", default="champion", help=MODELS)
    predict.add_argument("--out", type=Path, help="write predictions.csv, and pictures with boxes, here")
    predict.add_argument("--json", action="store_true")


def _add_explain(commands: Any) -> None:
    explain = command(
        commands,
        "explain",
        "where a model looks: Grad-CAM, feature maps and first filters, as pictures",
        "visionloop explain photo.jpg --model champion --class Orange --out seen",
        _explain,
    )
    explain.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="images, or folders of images")
    explain.add_argument("--task", choices=TASKS, default=TASKS[0], help="classification when not said; a detector has no Grad-CAM")
    explain.add_argument("--model", default="champion", help=MODELS)
    explain.add_argument("--class", dest="label", metavar="NAME", help="what speaks for this class; for the predicted one when not said")
    explain.add_argument(
        "--layer", metavar="NAME", help="whose feature maps; the last of each size, and the last for Grad-CAM, when not said"
    )
    explain.add_argument("--out", type=Path, help="where the pictures go; outputs/explain/MODEL when not said")
    explain.add_argument("--json", action="store_true")


def _add_services(commands: Any) -> None:
    ui = command(commands, "ui", "open the MLflow UI on this machine", "visionloop ui --port 5000", _ui)
    ui.add_argument("--port", type=int, help="a free one when not said")
    ui.add_argument("--prefect", action="store_true", help="the Prefect UI instead: flow runs, logs, artifacts")


def _run(arguments: argparse.Namespace) -> int:
    from pipelines.run import run

    return run(project(), arguments.task, arguments.model, arguments.set, require=arguments.require, as_json=arguments.json)


def _stage(arguments: argparse.Namespace) -> int:
    from pipelines.stages.command import run_stage

    for number in (signal.SIGINT, signal.SIGTERM):  # either lets a stage remove its partial output
        signal.signal(number, signal.default_int_handler)
    run_stage(project(), arguments.name, arguments.model)
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from pipelines.models_commands import list_models

    return list_models(as_json=arguments.json)


def _summary(arguments: argparse.Namespace) -> int:
    from pipelines.models_commands import Asked, show_summary

    asked = Asked(arguments.architecture, arguments.image_size, arguments.classes, arguments.head, arguments.frozen)
    return show_summary(asked, as_json=arguments.json)


def _promote(arguments: argparse.Namespace) -> int:
    from pipelines.approval import Say
    from pipelines.locks import who
    from pipelines.registry_commands import promote_task

    answer = "approved" if arguments.approve else "rejected" if arguments.reject else None
    if (arguments.by or arguments.why) and answer is None:
        raise UsageError("--by and --why belong to --approve or --reject: say which")
    say = Say(answer, arguments.by or who(), arguments.why) if answer else None  # type: ignore[arg-type]
    return promote_task(project(), arguments.task, say, require=arguments.require, as_json=arguments.json)


def _rollback(arguments: argparse.Namespace) -> int:
    from pipelines.registry_commands import rollback_task

    return rollback_task(project(), arguments.task, as_json=arguments.json)


def _history(arguments: argparse.Namespace) -> int:
    from pipelines.registry_commands import show_history

    return show_history(project(), arguments.task, verify=arguments.verify, as_json=arguments.json)


def _predict(arguments: argparse.Namespace) -> int:
    from pipelines.predict_command import predict

    return predict(project(), arguments.paths, arguments.task, arguments.model, arguments.out, as_json=arguments.json)


def _explain(arguments: argparse.Namespace) -> int:
    from pipelines.explain_command import Question, explain

    question = Question(arguments.label, arguments.layer)
    return explain(project(), arguments.paths, arguments.task, arguments.model, question, arguments.out, as_json=arguments.json)


def _ui(arguments: argparse.Namespace) -> int:
    if arguments.prefect:
        from pipelines.prefect_server import show as show_prefect

        return show_prefect(project(), arguments.port)
    from pipelines.ui import show

    return show(project(), arguments.port)
