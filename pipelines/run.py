"""`visionloop run`: the whole loop, with a Prefect server of its own where there is none."""

import json
import os
import signal
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from components.errors import UsageError, VisionloopError
from pipelines import data_commands, settings
from pipelines.overrides import overridden
from pipelines.paths import Paths
from pipelines.pretrained import pins
from pipelines.report import console


def run(paths: Paths, tasks: list[str] | None, models: list[str] | None, assignments: list[str], *, require: bool, as_json: bool) -> int:
    """Run the flow and print what came of it; answers 1 when `require` and a task's preferred candidate is not champion.

    Raises VisionloopError subclasses for what a user can mend.
    """
    from filelock import FileLock, Timeout

    start = time.monotonic()
    paths.private.mkdir(mode=0o700, parents=True, exist_ok=True)
    by_content = partial(pins, paths, models)
    try:
        with FileLock(paths.private / "run.lock", timeout=0), overridden(paths, assignments, by_content):
            data_commands.ensure_data(paths)
            result = _flow(paths, tasks, models)
    except Timeout:
        answer = "if it waits for approval, answer with `visionloop promote TASK --approve` or `--reject`"
        raise UsageError(f"another `visionloop run` works in {paths.root}: wait for it to end; {answer}") from None
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False, default=str))
    else:
        console.show(paths, result, time.monotonic() - start)
    return 1 if require and not all(decision["is_champion"] for decision in result["decisions"].values()) else 0


def _flow(paths: Paths, tasks: list[str] | None, models: list[str] | None) -> dict[str, Any]:
    from pipelines import dvc_stages
    from pipelines.prefect_server import prefect_server

    def leave(_signal: int, _frame: FrameType | None) -> None:
        dvc_stages.end_all()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with prefect_server(paths) as server:
            import prefect.main  # noqa: F401  loads while the server starts

            from pipelines.flows import deliver, select, visionloop

            select(settings.load(paths.params), tasks, models)
            _prepare(paths)
            server.ready()
            os.chdir(paths.root)
            try:
                return dict(visionloop(tasks, models, str(paths.root)))
            finally:
                deliver()
    finally:
        dvc_stages.end_all()
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(paths: Paths) -> None:
    """Load what the flow needs while the server starts: the store, made here once and alone, and TensorFlow if it will."""
    from pipelines import dvc_stages
    from pipelines.stages.command import silent_stderr
    from pipelines.tracking import open_store

    with suppress(VisionloopError):
        _ = open_store(paths).client
    if dvc_stages.stale(paths):
        with silent_stderr():
            import tensorflow  # noqa: F401
