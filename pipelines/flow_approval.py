"""The flow waits, paused in Prefect, for a human's say about promotions."""

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
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


@dataclass(frozen=True)
class Question:
    """A proposal that waits, by its key, for so many seconds: until `end` of `time.monotonic`."""

    key: str
    seconds: float
    end: float


class Word(RunInput):
    """What the form asks that Prefect shows when the paused run is resumed."""

    task: Literal["classification", "detection"] = Field(description="whose proposal; the others go on waiting")
    approve: bool = Field(description="may the candidate become champion?")
    by: str = Field(description="who says so")
    why: str = Field(default="", description="the reason, for the ledger")


def ask(paths: Paths, waiting: Mapping[str, Question]) -> tuple[str, Say | None]:
    """Pause the flow until somebody resumes it in Prefect or decides on the command line, or the time of one is over.

    `waiting` are proposals by task. Answers one task and what was said of its proposal, None when it was decided on the
    command line meanwhile.
    """
    for task, question in waiting.items():
        how = f"resume this run in Prefect, or `visionloop promote {task} --approve` or `--reject`"
        left = max(0.0, question.end - time.monotonic())
        get_run_logger().warning("%s: a promotion waits for a human's say, for %.0f s: %s", task, left, how)
    last = max(question.end for question in waiting.values()) - time.monotonic()
    first = next(iter(waiting))
    watch = _Watch(paths, waiting)
    with watch:
        try:
            word = pause_flow_run(
                wait_for_input=Word.with_initial_data(f"These wait for a human's say: {', '.join(waiting)}", task=first),
                timeout=max(0, int(last)) + GRACE_SECONDS,
                poll_interval=POLL_SECONDS,
                key=f"approval-{waiting[first].key[:16]}-{time.time_ns()}",
            )
        except FlowPauseTimeout:
            watch.ended = min(waiting.items(), key=lambda one: one[1].end)[0], True
    if watch.ended is not None:
        task, is_over = watch.ended
        return task, Say("timed out", f"{waiting[task].seconds:g} s", key=waiting[task].key) if is_over else None
    if word.task not in waiting:  # nothing of that task waits: asked again
        return first, None
    return word.task, Say("approved" if word.approve else "rejected", word.by, word.why, waiting[word.task].key)


class _Watch:
    """Resumes the paused run when the time of a proposal is over, or when it was answered on the command line."""

    def __init__(self, paths: Paths, waiting: Mapping[str, Question]) -> None:
        self.paths, self.waiting = paths, waiting
        self.ended: tuple[str, bool] | None = None  # which task's proposal, and whether its time is over
        self._run = UUID(str(runtime.flow_run.id))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="approval", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        first = min(question.end for question in self.waiting.values())
        while not self._over.wait(min(POLL_SECONDS, max(0.1, first - time.monotonic()))):
            if (ended := self._ended()) is not None:
                with contextlib.suppress(Exception):  # resumed by somebody at this moment, or the server is away: asked again
                    resume_flow_run(self._run, run_input={"task": ended[0], "approve": False, "by": "nobody"})
                    self.ended = ended
                    return

    def _ended(self) -> tuple[str, bool] | None:
        over = [task for task, question in self.waiting.items() if time.monotonic() >= question.end]
        answered = (task for task, question in self.waiting.items() if self._is_answered(task, question.key))
        return (over[0], True) if over else next(((task, False) for task in answered), None)

    def _is_answered(self, task: str, key: str) -> bool:
        from pipelines.registry import Registry

        try:
            waiting = awaits(Registry(self.paths).history(task))
        except Exception as error:
            log.debug("the ledger could not be read while waiting: %s", error)
            return False
        return waiting is None or waiting["key"] != key
