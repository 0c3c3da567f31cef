"""A diff of two versions of data/ as tables on the terminal."""

from collections.abc import Sequence
from typing import Any

SHOWN = 20
_CORNERS = "x_min y_min x_max y_max, fractions of the image"


Rows = Sequence[tuple[str, ...]]


def show(found: dict[str, Any]) -> None:
    """Print what `data_diff.data_diff` answers."""
    from pipelines.report.console import screen

    console = screen()
    before, after = found["before"], found["after"]
    console.print(f"{before['revision']} ({before['digest'][:12]}) → {after['revision']} ({after['digest'][:12]})", markup=False)
    for one in found["tasks"]:
        console.print(f"\n[bold]{one['task']}[/bold]")
        if not one["images"] and not one["boxes"]:
            console.print("nothing changed")
            continue
        counted = {what: ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()) for what, kinds in one["counts"].items()}
        _show(console, f"images: {counted['images']}", _images(one), ("change", "image", "label"))
        _show(console, f"boxes: {counted['boxes']}", _boxes(one), ("change", "image", "label", _CORNERS))
        _show(console, "classes with other counts", _classes(one), ("class", "before", "after", "share"))
        _show(console, "images changed, by split", _split(one), ("split", "images"))
        console.print(_test_set(one["split"]), markup=False)
    if found["files"]:
        console.print(f"\nwritten: {', '.join(found['files'])}", markup=False, soft_wrap=True)


def _show(console: Any, title: str, rows: Rows, columns: tuple[str, ...]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    if rows:
        more = f" (the first {SHOWN} below; --out writes all)" if len(rows) > SHOWN else ""
        console.print(f"{title}{more}", markup=False)
        table = Table(*(Column(name, overflow="fold") for name in columns))
        for row in rows[:SHOWN]:
            table.add_row(*map(escape, row))
        console.print(table)


def _images(one: dict[str, Any]) -> Rows:
    rows = []
    for change in one["images"]:
        before, after = change["before"] or {}, change["after"] or {}
        path = after.get("path") or before["path"]
        was = f"{before['path']} → {path}" if before and after and before["path"] != path else path
        rows.append((", ".join(change["kinds"]), was, _both(before.get("label"), after.get("label"))))
    return rows


def _boxes(one: dict[str, Any]) -> Rows:
    rows = []
    for change in one["boxes"]:
        before, after = change["before"] or {}, change["after"] or {}
        corners = _both(_corners(before), _corners(after))
        rows.append((", ".join(change["kinds"]), change["image"], _both(before.get("label"), after.get("label")), corners))
    return rows


def _classes(one: dict[str, Any]) -> Rows:
    totals = [sum(count[side] for count in one["classes"].values()) or 1 for side in ("before", "after")]
    return [
        (label, f"{count['before']:,}", f"{count['after']:,}", f"{count['before'] / totals[0]:.1%} → {count['after'] / totals[1]:.1%}")
        for label, count in one["classes"].items()
        if count["before"] != count["after"]
    ]


def _split(one: dict[str, Any]) -> Rows:
    changed = one["split"]["changed"]
    return [(split, ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())) for split, kinds in changed.items()]


def _test_set(split: dict[str, Any]) -> str:
    known = {"stays": "its digest stays", "changes": "its digest changes", "may change": "its digest may change once all images are placed"}
    return f"test set: {split['test_changed']:,} of {split['test_images']:,} images changed; {known[split['digest']]}"


def _both(before: Any, after: Any) -> str:
    shown = [str(value) for value in (before, after) if value]
    return shown[0] if len(set(shown)) == 1 else " → ".join(shown)


def _corners(box: dict[str, Any]) -> str:
    return " ".join(f"{value:.4f}" for value in box["corners"]) if box else ""
