"""Processes that work on untrusted files, each within limits of memory and time, so that no file takes down more than itself.

A process is a fresh interpreter, never a fork: the caller may hold threads, locks and gigabytes. It is told which files
to work on through a pipe, and writes the number of the file it is at into a file of its own, which outlives it.
"""

import contextlib
import fcntl
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import IO, Any

CPU_SECONDS = 10.0  # of one file's processing; a sound one of the most pixels that are allowed takes 4 on a slow core
WALL_SECONDS = 30.0  # of one file, for what waits without computing: storage that does not answer
MEMORY = 384 << 20  # bytes a process may take beyond what it starts with
HEAVY_MEMORY = 1 << 30  # the same, for the one process at a time that works on something huge
_BATCH = 32  # files sent at a time, of which two are on their way
_BATCH_BYTES = 16_384  # of their names: what a pipe certainly holds
_SPEAK_AFTER = 0.2  # seconds after which answers are sent, complete batch or not
_START = "import sys; sys.path[:] = {path!r}; from components.data.workers import serve; serve({function!r}, {connection}, {shared}, {slot})"
_NOTHING = b"\xff" * 8  # the mark of a process that has begun nothing


@dataclass(frozen=True)
class Failure:
    """An item whose process came to its end: `reason` is "crashed", "too-slow" or "out-of-memory", `found` says it in words."""

    reason: str
    found: str


class Guard:
    """What a function may ask of the process it runs in; this one, for calls in one's own process, limits nothing."""

    @contextlib.contextmanager
    def heavy(self) -> Iterator[None]:
        """Work that takes much memory: one process at a time, and with a larger limit."""
        yield

    def heard(self) -> str:
        """What native libraries wrote to the standard error since it was last asked."""
        return ""


def work(function: str, items: Sequence[str], workers: int) -> Iterator[tuple[int, Any]]:
    """Yield (index, answer) of `function(item, guard)` for every item, in any order, from `workers` processes.

    `function` is named "module:name"; what it answers must pickle. The answer is a Failure where the item crashed its
    process or exceeded CPU_SECONDS, WALL_SECONDS or the memory. Raises RuntimeError when processes cannot be started.
    """
    count = min(max(1, workers), -(-len(items) // _BATCH))
    waiting = deque(range(len(items)))
    with tempfile.TemporaryFile() as shared, contextlib.ExitStack() as stack:
        pool = [_Worker(function, shared.fileno(), slot) for slot in range(count)]
        for worker in pool:
            stack.callback(worker.stop)
            worker.start()
        while True:
            for worker in pool:
                worker.feed(waiting, items, count)
            busy = {id(worker.connection): worker for worker in pool if worker.queue}
            if not busy:
                return
            for connection in wait([worker.connection for worker in busy.values()]):
                worker = busy[id(connection)]
                answers = worker.answers()
                yield from _bury(worker, waiting) if answers is None else answers


def _bury(worker: "_Worker", waiting: deque[int]) -> Iterator[tuple[int, Any]]:
    """After a death: the item that did it has failed, the others wait again, a new process takes over."""
    culprit, failure = worker.autopsy()
    waiting.extendleft(index for index in reversed(worker.queue) if index != culprit)
    guilty = culprit in worker.queue  # else it died while it had nothing to do
    worker.stop()
    worker.start()
    if guilty:
        yield culprit, failure


@dataclass
class _Worker:
    function: str
    shared: int  # a file all processes have open: eight bytes each for the index it is at, and the lock of `heavy`
    slot: int
    queue: deque[int] = field(default_factory=deque)  # sent and not yet answered

    def start(self) -> None:
        """Begin a process, which has nothing to do yet."""
        self.queue.clear()
        os.pwrite(self.shared, _NOTHING, 8 * self.slot)
        self.errors: IO[bytes] = tempfile.TemporaryFile()
        self.connection, theirs = Pipe()
        where = {"connection": theirs.fileno(), "shared": self.shared, "slot": self.slot}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path, function=self.function, **where)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            pass_fds=(theirs.fileno(), self.shared),
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()

    def feed(self, waiting: deque[int], items: Sequence[str], workers: int) -> None:
        """Send what is waiting, so that there is always something to do, and towards the end something for everyone."""
        most = max(1, min(_BATCH, len(waiting) // (3 * workers)))
        while waiting and len(self.queue) < 2 * most:
            batch: list[tuple[int, str]] = []
            size = 0
            while waiting and len(batch) < most and size < _BATCH_BYTES:
                index = waiting.popleft()
                batch.append((index, items[index]))
                size += len(items[index])
            self.queue.extend(index for index, _ in batch)
            with contextlib.suppress(OSError):  # it is dead, which `answers` will notice
                self.connection.send(batch)

    def answers(self) -> list[tuple[int, Any]] | None:
        """The answers that have come; None when the process has died."""
        try:
            answers = self.connection.recv()
        except (EOFError, OSError):
            return None
        return [(self.queue.popleft(), answer) for answer in answers]

    def autopsy(self) -> tuple[int, Failure]:
        """Which item the dead process was at last, and what it died of. Raises RuntimeError when it never began one."""
        code = self.process.wait()
        mark = os.pread(self.shared, 8, 8 * self.slot)
        if mark == _NOTHING:
            self.errors.seek(0)
            raise RuntimeError(f"a process for {self.function} could not start: {self.errors.read().decode(errors='replace')}")
        return int.from_bytes(mark, "big"), _failure(code)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        self.errors.close()


def _failure(code: int) -> Failure:
    if code == -signal.SIGPROF:
        return Failure("too-slow", f"was not done after {CPU_SECONDS:g} s of computing")
    if code == -signal.SIGALRM:
        return Failure("too-slow", f"was not done after {WALL_SECONDS:g} s of waiting")
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Failure("crashed", f"crashed the decoder ({name})")


def serve(function: str, connection: int, shared: int, slot: int) -> None:
    """What a process of `work` does until its pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it is told, and ends it
    warnings.simplefilter("ignore")
    module, _, name = function.partition(":")
    call = getattr(importlib.import_module(module), name)
    guard = _Limited(shared)
    with Connection(connection) as pipe, contextlib.suppress(EOFError, OSError):
        while True:
            answers: list[Any] = []
            spoken = time.monotonic()
            for index, item in pipe.recv():
                os.pwrite(shared, index.to_bytes(8, "big"), 8 * slot)
                answers.append(_call(call, item, guard))
                if time.monotonic() - spoken > _SPEAK_AFTER:
                    pipe.send(answers)
                    answers, spoken = [], time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0)
            pipe.send(answers)


def _call(call: Callable[[str, Guard], Any], item: str, guard: Guard) -> Any:
    # Nobody handles these timers' signals, so either ends the process, even in the midst of native code.
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    try:
        return call(item, guard)
    except MemoryError:
        pass
    try:
        with guard.heavy():
            return call(item, guard)
    except MemoryError:
        return Failure("out-of-memory", f"needs more than {HEAVY_MEMORY >> 20} MiB of memory")


class _Limited(Guard):
    def __init__(self, lock: int) -> None:
        self.lock = lock
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        self.start = _address_space()
        self._limit(MEMORY)

    @contextlib.contextmanager
    def heavy(self) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_REAL, 0)
        fcntl.lockf(self.lock, fcntl.LOCK_EX)
        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
        self._limit(HEAVY_MEMORY)
        try:
            yield
        finally:
            self._limit(MEMORY)
            fcntl.lockf(self.lock, fcntl.LOCK_UN)

    def heard(self) -> str:
        size = os.fstat(2).st_size
        if not size:
            return ""
        said = os.pread(2, min(size, 4096), 0).decode(errors="replace")
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        return said

    def _limit(self, more: int) -> None:
        if self.start:
            resource.setrlimit(resource.RLIMIT_AS, (self.start + more, self.hard))


def _address_space() -> int:
    """Bytes of this process' address space; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
