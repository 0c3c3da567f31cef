"""The flow waits, paused in Prefect, for a human's say about a promotion."""

import contextlib
import logging
import threading
import time
from uuid import UUID

from prefect import get_run_logger, runtime
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, resume_flow_run
from prefect.input import RunInput
from pydantic import Field

from pipelines.approval import Say, awaits
from pipelines.paths import Paths

log = logging.getLogger(__name__)

POLL_SECONDS = 2
GRACE_SECONDS = 60  # Prefect's own deadline lies behind ours: a run that reaches it fails
TIMED_OUT, ELSEWHERE = "timed out", "elsewhere"


class Word(RunInput):
    """What the form asks that Prefect shows when the paused run is resumed."""

    approve: bool = Field(description="may the candidate become champion?")
    by: str = Field(description="who says so")
    why: str = Field(default="", description="the reason, for the ledger")


def ask(paths: Paths, task: str, key: str, seconds: float) -> Say | None:
    """Pause the flow until somebody resumes it in Prefect or decides on the command line, for `seconds` at most.

    Answers what was said about the decision `key`; None when it was decided on the command line meanwhile.
    """
    how = f"resume this run in Prefect, or `visionloop promote {task} --approve` or `--reject`"
    get_run_logger().warning("%s: a promotion waits for a human's say, for %g s: %s", task, seconds, how)
    watch = _Watch(paths, task, key, seconds)
    with watch:
        try:
            word = pause_flow_run(
                wait_for_input=Word,
                timeout=int(seconds) + GRACE_SECONDS,
                poll_interval=POLL_SECONDS,
                key=f"approval-{key[:16]}-{time.time_ns()}",
            )
        except FlowPauseTimeout:
            watch.ended = TIMED_OUT
    if watch.ended == ELSEWHERE:
        return None
    if watch.ended == TIMED_OUT:
        return Say("timed out", f"{seconds:g} s", key=key)
    return Say("approved" if word.approve else "rejected", word.by, word.why, key)


class _Watch:
    """Resumes the paused run when its time is over, or when the proposal was answered on the command line."""

    def __init__(self, paths: Paths, task: str, key: str, seconds: float) -> None:
        self.paths, self.task, self.key, self.seconds = paths, task, key, seconds
        self.ended = ""
        self._run = UUID(str(runtime.flow_run.id))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="approval", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        deadline = time.monotonic() + self.seconds
        while not self._over.wait(min(POLL_SECONDS, max(0.1, deadline - time.monotonic()))):
            ended = TIMED_OUT if time.monotonic() >= deadline else ELSEWHERE if self._is_answered() else ""
            if ended:
                with contextlib.suppress(Exception):  # resumed by somebody at this moment, or the server is away: asked again
                    resume_flow_run(self._run, run_input={"approve": False, "by": "nobody"})
                    self.ended = ended
                    return

    def _is_answered(self) -> bool:
        from pipelines.registry import Registry

        try:
            waiting = awaits(Registry(self.paths).history(self.task))
        except Exception as error:
            log.debug("the ledger could not be read while waiting: %s", error)
            return False
        return waiting is None or waiting["key"] != self.key
