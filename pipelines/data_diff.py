"""`visionloop data diff`: what changed between two versions of data/, which stay as they are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.data import diff_report, tables
from components.data.diff import Diff, Snapshot, diff, snapshot
from components.data.formats import is_present, read_dataset
from components.errors import DataError
from pipelines.paths import Paths
from pipelines.revisions import Version, opened, resolve


@dataclass(frozen=True)
class Change:
    """The diff of one task's dataset, and the folders of both versions, which are there while the change is open."""

    task: str
    diff: Diff
    effect: diff_report.SplitEffect
    before: Path
    after: Path

    def summary(self) -> dict[str, Any]:
        """The change as plain values."""
        return {"task": self.task, **diff_report.as_json(self.diff), "split": asdict(self.effect)}

    def in_words(self) -> str:
        """The change in one line."""
        effect = self.effect
        return f"{diff_report.in_words(self.diff)}; test set: {effect.test_changed} of {effect.test_images} images changed"

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write `<name>.json`, and `<name>.png` where there is anything to show."""
        from pipelines.report.diff_pictures import draw

        folder.mkdir(parents=True, exist_ok=True)
        document, picture = (folder / f"{name}.{suffix}" for suffix in ("json", "png"))
        document.write_text(json.dumps(self.summary(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if not self.diff:
            return [document]
        draw(self.diff, self.before, self.after, f"{self.task}: {diff_report.in_words(self.diff)}", picture)
        return [document, picture]


def data_diff(paths: Paths, before: str, after: str, task: str | None, out: Path | None) -> dict[str, Any]:
    """Compare two versions of data/, named as `revisions.resolve` says; with `out`, write files there.

    Raises DataError when neither version holds a dataset of the task.
    """
    versions = resolve(paths, before), resolve(paths, after)
    wanted = [name for name in ([task] if task else tables.TASKS) if any(version.part(name) for version in versions)]
    if not wanted:
        raise DataError(f"neither {before} nor {after} holds a {task or ''} dataset: `visionloop data check` tells what data/ holds")
    found: dict[str, Any] = {"before": _named(versions[0]), "after": _named(versions[1]), "tasks": [], "files": []}
    for name in wanted:
        with compared(paths, *versions, name) as change:
            found["tasks"].append(change.summary())
            if out is not None:
                found["files"] += [str(path) for path in change.write(out, f"data_diff-{name}")]
    return found


@contextmanager
def compared(paths: Paths, before: Version, after: Version, task: str) -> Iterator[Change]:
    """The change of one task's dataset between two versions."""
    same, layout = before.part(task) == after.part(task), _layout(paths, task)
    with opened(paths, after, task) as new, nullcontext(new) if same else opened(paths, before, task) as old:
        snapshots = [_snapshot(root, version, task, layout) for root, version in ((old, before), (new, after))]
        found = diff(*snapshots)
        yield Change(task, found, diff_report.split_effect(found, *_placed(paths, task, *snapshots)), old, new)


def _layout(paths: Paths, task: str) -> str:
    from pipelines import settings

    return str(getattr(settings.load(paths.params).data, task).format)


def _snapshot(root: Path, version: Version, task: str, layout: str) -> Snapshot:
    if not is_present(root):
        return Snapshot({}, {})
    return snapshot(read_dataset(root, task, layout), version.part(task))


def _placed(paths: Paths, task: str, before: Snapshot, after: Snapshot) -> tuple[dict[str, str], int]:
    """The split of images by their path, and how many are tested on.

    It is as the split stage last placed them, otherwise as the dataset itself says.
    """
    given = [{path: one.given_split for path, one in version.images.items() if one.given_split} for version in (before, after)]
    known = given[0]
    table = paths.split(task) / "images.parquet"
    if table.is_file():
        images = tables.read(table, tables.IMAGES)
        images = images[images["split"].notna()]
        known = dict(zip(images["path"].str.removeprefix(f"{task}/"), images["split"], strict=True))
    return given[1] | given[0] | known, sum(split == "test" for split in known.values())


def _named(version: Version) -> dict[str, Any]:
    return {"revision": version.name, "digest": version.digest, "files": len(version.files)}
