"""How long the loop takes when there is nothing to do, beside the least that its tools need.

Run after `make run`:   .venv/bin/python benchmarks/loop.py [ROUNDS]

Every command is run ROUNDS times (3), interleaved, each as a process of its own; the median wall and CPU seconds are
printed, and their ratio to the baseline of the same round: an interpreter that only imports what the command rests on.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COMMANDS = {
    "visionloop --help": ([str(BIN / "visionloop"), "--help"], "pass"),
    "dvc repro": ([str(BIN / "dvc"), "repro"], "import dvc.repo"),
    "visionloop run": ([str(BIN / "visionloop"), "run"], "import dvc.repo, mlflow, prefect.main"),
}


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int) -> None:
    """Print one line a command."""
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, (command, imports) in COMMANDS.items():
            least, _ = timed([sys.executable, "-c", imports])
            figures[name].append((*timed(command), least))
    print(f"{'nothing to do':20} {'wall s':>8} {'CPU s':>8} {'baseline s':>11} {'ratio':>7}")
    for name, rows in figures.items():
        wall, cpu, least = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name:20} {wall:8.2f} {cpu:8.2f} {least:11.2f} {wall / least:7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
