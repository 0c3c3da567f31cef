"""One picture of what a diff of two versions of a dataset changed."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from components.data.diff import BoxChange, Diff, ImageChange
from pipelines.report.cells import GREEN, RED, Pixels, caption, marked, plain, read, shrunk

Cell = tuple[Pixels, tuple[str, bool]]
PER_KIND = 12


def draw(diff: Diff, before: Path, after: Path, title: str, path: Path) -> None:
    """Write a PNG of images added, removed, replaced and relabelled, and of boxes before (red) and after (green).

    `before` and `after` are the folders of both versions of the dataset; at most PER_KIND cells a kind are drawn.
    """
    from components.evaluate.pictures import gallery

    cells = [*_image_cells(diff, before, after), *_box_cells(diff, after)]
    gallery([pixels for pixels, _ in cells], [caption for _, caption in cells], plain(title), path)


def _image_cells(diff: Diff, before: Path, after: Path) -> Iterator[Cell]:
    for kind in ("added", "removed", "replaced", "relabelled"):
        for change in [one for one in diff.images if kind in one.kinds][:PER_KIND]:
            image = change.after or change.before
            assert image is not None
            root = before if change.after is None else after
            yield shrunk(read(root / image.path)), (caption(_what(kind, change), image.path), kind != "removed")


def _what(kind: str, change: ImageChange) -> str:
    if change.before is not None and change.after is not None and kind == "relabelled":
        return f"{change.before.label} → {change.after.label}"
    image = change.after or change.before
    return f"{kind} {image.label}" if image is not None and image.label else kind


def _box_cells(diff: Diff, after: Path) -> Iterator[Cell]:
    """The images that are in both versions and have other boxes, those with the most changes first."""
    changed: dict[str, list[BoxChange]] = defaultdict(list)
    for change in diff.boxes:
        if change.before_path is not None and change.after_path is not None:
            changed[change.after_path].append(change)
    for path, changes in sorted(changed.items(), key=lambda item: (-len(item[1]), item[0]))[:PER_KIND]:
        counted = Counter(kind for change in changes for kind in change.kinds)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
        old = [(change.before.corners, RED) for change in changes if change.before]
        new = [(change.after.corners, GREEN) for change in changes if change.after]
        yield marked(read(after / path), old + new), (caption(told, path), True)
