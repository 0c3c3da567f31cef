"""How fast the scan is, beside a bare decode of the same files by as many processes, and beside cleanvision's same job.

    .venv/bin/python benchmarks/scan.py FOLDER [--rounds 5] [--workers 2] [--no-cleanvision]

FOLDER holds images, however they are laid out; every image below it is read. The bare decode is the product's own
decoder in the product's own processes and does nothing but read and decode. cleanvision looks for the same kinds of
problem (exact and near copies, odd sizes and aspects, dark, light, blurry and low-information images); it is installed
into an environment of its own in a temporary folder, by uv. Rounds are interleaved; medians are printed, and ratios.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

CLEANVISION = """
import json, sys, time
from pathlib import Path
from cleanvision import Imagelab
paths, workers = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2])
start = time.perf_counter()
lab = Imagelab(filepaths=paths)
lab.find_issues(n_jobs=workers, verbose=False)
print("SECONDS", time.perf_counter() - start)
"""


def bare(item: str, _: object) -> None:
    """Read and decode one file, as a process of the scan would call it."""
    import cv2

    from components.data.decode import DecodeError, decode

    cv2.setNumThreads(1)
    with contextlib.suppress(DecodeError):
        decode(Path(item).read_bytes())


def decode_all(paths: Sequence[Path], workers: int) -> None:
    """The baseline."""
    from components.data.workers import work

    for _ in work("benchmarks.scan:bare", [str(path) for path in paths], workers):
        pass


def scan_all(paths: Sequence[Path], workers: int) -> None:
    """What the scan does to each file: hash, decode, measure, look for oddities."""
    from components.data.facts import measure_all

    measure_all(paths, workers)


def timed(job: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and those it started and saw end."""
    before, start = _cpu(), time.perf_counter()
    job()
    return time.perf_counter() - start, _cpu() - before


def _cpu() -> float:
    return sum(getattr(resource.getrusage(who), name) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) for name in _TIMES)


_TIMES = ("ru_utime", "ru_stime")


def install_cleanvision(folder: Path) -> Path:
    """The interpreter of a new environment that holds cleanvision."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--quiet", "--system-certs", "--python", str(python), "cleanvision"], check=True)
    return python


def main() -> None:
    """Print one line a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="processes; one a core when not said")
    parser.add_argument("--no-cleanvision", action="store_true", help="do not install and time it")
    arguments = parser.parse_args()

    from components.data.files import is_image, walk
    from components.data.scan import cores

    paths = [path.resolve() for path in walk(arguments.folder) if is_image(path)]
    workers = arguments.workers or cores()
    with tempfile.TemporaryDirectory() as scratch:
        jobs: dict[str, Callable[[], object]] = {
            "bare decode": lambda: decode_all(paths, workers),
            "our scan": lambda: scan_all(paths, workers),
        }
        if not arguments.no_cleanvision:
            python = install_cleanvision(Path(scratch, "environment"))
            listed = Path(scratch, "paths.json")
            listed.write_text(json.dumps([str(path) for path in paths]))
            command = [str(python), "-c", CLEANVISION, str(listed), str(workers)]
            jobs["cleanvision"] = lambda: subprocess.run(command, check=True, capture_output=True)
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        for _ in range(arguments.rounds):
            for name, job in jobs.items():
                figures[name].append(timed(job))
    show(figures, len(paths), workers)


def show(figures: dict[str, list[tuple[float, float]]], images: int, workers: int) -> None:
    """Medians, and ratios to the bare decode of the same round."""
    print(
        f"{images:,} images, {workers} processes, medians of {len(figures['bare decode'])} interleaved rounds; start of processes included"
    )
    print(f"{'':12} {'images/s':>9} {'of bare':>8} {'CPU us/image':>13} {'of bare':>8}")
    for name, rows in figures.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        ratios = [(base[0] / own[0], base[1] / own[1]) for base, own in zip(figures["bare decode"], rows, strict=True)]
        speed, thrift = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"{name:12} {images / wall:9,.0f} {speed:8.2f} {1e6 * cpu / images:13,.0f} {thrift:8.2f}")


if __name__ == "__main__":
    main()
