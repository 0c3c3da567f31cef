"""Many promoters at once, some of them killed while they hold the lock, and whether the best model ends champion every time.

    python -m benchmarks.promoters --rounds 500 [--store sqlite postgres] [--promoters 16] [--kills 0.2] [--seed 0]

A round: one version is champion, and every promoter, a process of its own, promotes another version by the product's own code, all at the
same moment and in random order. Versions are made once, with fabricated evaluations of 1,000 images that tell them apart beyond doubt; no
model is trained. A promoter that is to die kills itself by SIGKILL at a random moment after it got the lock. Then one more promoter comes,
and by what all of them saw and wrote it is judged: whether the champion is worse than what any promoter that lived proposed, whether the
history is linearizable (`benchmarks.linearizable`), whether the ledger is whole and no promotion stands in it twice, and how long after a
death the next one had the lock. `--plain` does the same with "if better, set the alias". PostgreSQL is started for it, on loopback.
"""

import argparse
import itertools
import logging
import multiprocessing
import multiprocessing.connection
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.linearizable import Op, order
from benchmarks.promoters_stores import stores

ROUNDS_A_STORE = 25


class Worker:
    """A promoter's process and what it told."""

    def __init__(self, context: Any, root: Path, uri: str) -> None:
        from benchmarks.promoters_worker import work

        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, str(root), uri), daemon=True)
        self.process.start()
        theirs.close()
        self.told: list[tuple[Any, ...]] = []
        self.dead = False

    def ask(self, kind: str, name: str = "", kill_after: float | None = None) -> None:
        """Begin a job."""
        self.told = []
        self.pipe.send((kind, name, kill_after))

    def listen(self) -> bool:
        """Take in one message; False when the job is over, by its end or the process's."""
        try:
            self.told.append(self.pipe.recv())
        except (EOFError, ConnectionResetError):
            self.dead = True
            self.process.join()
        return not self.dead and self.told[-1][0] not in ("returned", "ready", "failed")

    def when(self, what: str) -> float | None:
        """The moment it told of."""
        return next((message[1] for message in self.told if message[0] == what), None)

    @property
    def answer(self) -> tuple[Any, Any]:
        """What the last job answered."""
        assert self.told[-1][0] == "returned", self.told[-1]
        return self.told[-1][2]


def wait(workers: list[Worker]) -> None:
    """Until every one has finished or died."""
    busy = {worker.pipe: worker for worker in workers}
    while busy:
        ready = multiprocessing.connection.wait(list(busy), timeout=120)
        assert ready, f"no promoter has moved for two minutes: {[worker.told for worker in busy.values()]}"
        for pipe in ready:
            if not busy[pipe].listen():  # type: ignore[index]
                del busy[pipe]  # type: ignore[arg-type]


def do(worker: Worker, kind: str, name: str = "") -> tuple[Any, Any]:
    """One job, alone."""
    worker.ask(kind, name)
    wait([worker])
    return worker.answer


class Tally:
    """What came of all rounds."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.free_after: list[float] = []
        self.sections: list[float] = []

    def mortality(self) -> float:
        """The share of those to be killed that did not leave the lock before."""
        return max(0.2, (self.count["killed in the lock"] + 10) / (self.count["to be killed"] + 20))

    def section(self) -> float:
        """Typical seconds in the lock."""
        recent = sorted(self.sections[-64:])
        return recent[len(recent) // 2] if recent else 0.1


class Bench:
    """One store with its promoters; the last worker is the one that opens, watches and closes every round."""

    def __init__(self, root: Path, uri: str, promoters: int, tally: Tally) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["benchmarks.promoters_worker"])
        self.root, self.uri, self.tally = root, uri, tally
        *self.workers, self.clerk = [self._new() for _ in range(promoters + 1)]

    def _new(self) -> Worker:
        worker = Worker(self.context, self.root, self.uri)
        wait([worker])
        assert not worker.dead, "a promoter did not start"
        return worker

    def round(self, kind: str, randomness: random.Random, kills: float) -> None:
        """Everybody at once; count what came of it."""
        base, _ = do(self.clerk, "reset", "model00")
        models = list(range(1, len(self.workers) + 1))
        randomness.shuffle(models)
        for worker, model in zip(self.workers, models, strict=True):
            after = randomness.uniform(0, 1.2) * self.tally.section() if randomness.random() < kills / self.tally.mortality() else None
            self.tally.count["to be killed"] += after is not None
            worker.ask(kind, f"model{model:02}", after)
        self.clerk.ask("look")
        wait([*self.workers, self.clerk])
        looked = _op("clerk", self.clerk)
        final, _ = do(self.clerk, "close" if kind == "promote" else "look")
        closed = _op("clerk", self.clerk)
        history = [
            *(_op(f"model{model:02}", worker, model + 1) for worker, model in zip(self.workers, models, strict=True)),
            looked,
            closed,
        ]
        self._judge(base, final, dict(zip(models, self.workers, strict=True)), history)
        for worker in self.workers:
            assert worker.dead or worker.told[-1][0] == "returned", worker.told
        self.workers = [self._new() if worker.dead else worker for worker in self.workers]

    def _judge(self, base: int, final: int, workers: dict[int, Worker], history: list[Op]) -> None:
        count = self.tally.count
        count["rounds"] += 1
        count["calls of promote"] += len(workers)
        count["killed in the lock"] += sum(worker.dead for worker in workers.values())
        best = max((model for model, worker in workers.items() if not worker.dead), default=0)
        count["worse model ends champion"] += final - 1 < best  # versions count from 1, models from 0
        count["not linearizable"] += order(history, base) is None
        entered = sorted(moment for worker in [*workers.values(), self.clerk] if (moment := worker.when("entered")) is not None)
        for worker in workers.values():
            if worker.dead:
                died = worker.when("dies") or 0.0
                self.tally.free_after += [next(moment for moment in entered if moment > died) - died]
            elif (moment := worker.when("left")) is not None:
                self.tally.sections.append(moment - (worker.when("entered") or 0.0))

    def audit(self) -> None:
        """Whether the ledger is whole, and every promotion follows from the one before."""
        entries, faults = do(self.clerk, "audit")
        self.tally.count["faults of the ledger"] += len(faults)
        moves = [
            entry for entry in entries if entry["event"] == "moved" or (entry["event"], entry.get("verdict")) == ("decision", "promote")
        ]
        self.tally.count["promotions"] += sum(entry["event"] == "decision" for entry in moves)
        self.tally.count["entries voided"] += sum(entry["event"] == "void" for entry in entries)
        for before, after in itertools.pairwise(moves):
            self.tally.count["double promotions"] += before["to"] != after["from"] or before["to"] == after["to"]

    def end(self) -> None:
        """Send everybody home, before the store is removed."""
        for worker in [*self.workers, self.clerk]:
            worker.process.kill()
            worker.process.join()


def _op(who: str, worker: Worker, version: int | None = None) -> Op:
    invoked = worker.when("invoked")
    assert invoked is not None
    if worker.dead:
        return Op(who, invoked, has_written=True, writes=version)
    read, wrote = worker.answer
    return Op(who, invoked, worker.told[-1][1], True, read, wrote is not None, wrote)


def play(tally: Tally, store: str, kind: str, rounds: int, promoters: int, kills: float, seed: int) -> None:
    """All rounds on one kind of store, counted as they end."""
    randomness = random.Random(seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, stores(store, Path(folder), promoters) as fresh:
        for begun in range(0, rounds, ROUNDS_A_STORE):
            bench = Bench(*next(fresh), promoters, tally)
            try:
                for number in range(begun, min(begun + ROUNDS_A_STORE, rounds)):
                    print(f"\r{store}, {kind}: round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
                    bench.round(kind, randomness, kills)
                if kind == "promote":
                    bench.audit()
            finally:
                bench.end()


def show(store: str, kind: str, tally: Tally, seconds: float) -> None:
    """A few lines."""
    count, free = tally.count, sorted(tally.free_after)
    print(f"{store}, {kind}: {count['rounds']} rounds in {seconds:.0f} s")
    names = ["worse model ends champion", "not linearizable"]
    if kind == "promote":
        names += ["double promotions", "faults of the ledger", "calls of promote", "killed in the lock", "promotions", "entries voided"]
    for name in names:
        print(f"  {name:28}{count[name]}")
    if free:
        middle, most = free[len(free) // 2], free[-1]
        print(f"  the lock free after a death   median {middle * 1000:.0f} ms, at most {most * 1000:.0f} ms")


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--store", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--promoters", type=int, default=16)
    parser.add_argument("--kills", type=float, default=0.2, help="share of the promoters that are killed in the lock")
    parser.add_argument("--plain-rounds", type=int, default=20, help="rounds of `if better, set the alias`")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    print(f"seed {arguments.seed}, {arguments.promoters} promoters")
    for store in arguments.store:
        for kind, rounds, kills in (("plain", arguments.plain_rounds, 0.0), ("promote", arguments.rounds, arguments.kills)):
            start, tally = time.monotonic(), Tally()
            try:
                play(tally, store, kind, rounds, arguments.promoters, kills, arguments.seed)
            finally:  # interrupted, it tells what it has seen
                if rounds:
                    print(file=sys.stderr)  # below the line of progress
                    show(store, kind, tally, time.monotonic() - start)


if __name__ == "__main__":
    main()
