"""A dataset on one HTML page: what is wrong with it, and what it is made of. One file, nothing loaded from outside."""

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import combinations
from pathlib import Path

import pandas as pd

from components.data.catalog import Catalog
from components.data.findings import BAD, Finding
from components.data.pictures import pictures
from components.data.scan import cores
from components.data.tables import OK
from pipelines.report.svg import histogram, scatter

SHOTS = 12  # of each code
_PAIRS = 12
_SAMPLE = 15
_LINES = 40  # files named in text below the pictures, and classes in the table
_ALIKE = 12  # bits in which the hashes of two pictures differ, at most, to be shown side by side


def write_page(path: Path, root: Path, task: str, layout: str, found: Catalog) -> None:
    """Write the page of the dataset at `root`; the same dataset gives the same bytes."""
    groups = by_code(found.findings)
    pairs = _alike(found.images)
    known = set(found.images["path"])
    sample = _sample(found.images)
    wanted = {one.file for some in groups for one in some[:SHOTS]} | {name for pair in pairs for name in pair} | set(sample)
    stems = {Path(name).stem: name for name in known}
    shown = {name: name if name in known else stems.get(Path(name).stem, "") for name in wanted}  # a label file by its image
    inner = sorted({name.removeprefix(f"{task}/") for name in shown.values() if name})
    made = {f"{task}/{name}": data for name, data in pictures(root, inner, cores()).items()}
    small = {name: made[image] for name, image in shown.items() if image in made}
    body = [
        _head(root, task, layout, found),
        _findings(groups, small, task),
        _classes(found),
        _charts(found),
        _look(sample, small, task),
        _pairs(pairs, small, task),
    ]
    style = Path(__file__).with_name("data_page.css").read_text(encoding="utf-8")
    text = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(root.name)}: data check</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
    )
    path.write_text(text + "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n", encoding="utf-8")


def by_code(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings by code: what had to be left out first, then the most frequent."""
    codes: dict[str, list[Finding]] = {}
    for one in findings:
        codes.setdefault(one.code, []).append(one)
    return sorted(codes.values(), key=lambda some: (some[0].severity != BAD, -len(some), some[0].code))


def _head(root: Path, task: str, layout: str, found: Catalog) -> str:
    images, boxes = found.images, found.boxes
    usable = int((images["status"] == OK).sum())
    bad = sum(one.severity == BAD for one in found.findings)
    cards = [(f"{len(images):,}", "images", ""), (f"{usable:,}", "usable", "good"), (f"{len(images) - usable:,}", "left out", "bad")]
    cards += [(f"{len(found.classes):,}", "classes", "")]
    if len(boxes):
        cards += [(f"{len(boxes):,}", "boxes", ""), (f"{int((boxes['status'] == OK).sum()):,}", "usable boxes", "good")]
    cards += [(f"{bad:,}", "findings to mend", "bad"), (f"{len(found.findings) - bad:,}", "notes", "note")]
    items = "".join(f'<li><b class="{kind if text != "0" else ""}">{text}</b>{name}</li>' for text, name, kind in cards)
    formats = Counter(images["format"].dropna())
    stored = ", ".join(f"{count:,} {name}" for name, count in formats.most_common())
    size = int(images["bytes"].fillna(0).sum())
    lines = f"{task}, laid out as {layout}; {stored or 'no image that can be decoded'}; {_bytes(size)}"
    return f'<h1>{escape(root.name)}</h1>\n<p class="soft">{escape(lines)}</p>\n<ul class="cards">{items}</ul>'


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def _findings(groups: list[list[Finding]], small: dict[str, bytes], task: str) -> str:
    if not groups:
        return '<h2>Findings</h2>\n<p class="good">Nothing was found.</p>'
    return "<h2>Findings</h2>\n" + "\n".join(_code(some, small, task, is_open=some is groups[0]) for some in groups)


def _code(some: list[Finding], small: dict[str, bytes], task: str, *, is_open: bool) -> str:
    first = some[0]
    kind, what = ("bad", "left out") if first.severity == BAD else ("note", "note")
    seen = [one for one in some if one.file in small][:SHOTS]
    rest = [one for one in some if one not in seen][:_LINES]
    shots = "".join(f"<li>{_picture(one.file, small)}<p>{_named(one.where, task)}</p><p>{escape(one.found)}</p></li>" for one in seen)
    lines = "".join(f"<tr><td>{_named(one.where, task)}</td><td>{escape(one.found)}</td></tr>" for one in rest)
    inside = f'<ul class="shots">{shots}</ul>' if shots else ""
    if lines:
        head = "<thead><tr><th>file</th><th>found</th></tr></thead>"
        inside += f'<div class="scroll"><table class="files">{head}<tbody>{lines}</tbody></table></div>'
    left = len(some) - len(seen) - len(rest)
    inside += f'<p class="soft">and {left:,} more</p>' if left else ""
    return (
        f'<details{" open" if is_open else ""}><summary><span class="count {kind}">{len(some):,}</span>'
        f'<span class="what">{escape(first.code)}</span><span class="{kind}">{what}</span>'
        f'<span class="remedy">expected {escape(first.expected)}; {escape(first.remedy)}</span></summary>'
        f'<div class="inside">{inside}</div></details>'
    )


def _named(where: str, task: str) -> str:
    return f"<code>{escape(where.removeprefix(f'{task}/'))}</code>"


def _picture(name: str, small: dict[str, bytes]) -> str:
    if name not in small:
        return '<div class="blank">no picture</div>'
    return f'<img alt="{escape(name)}" src="data:image/jpeg;base64,{base64.b64encode(small[name]).decode()}">'


def _classes(found: Catalog) -> str:
    usable = found.images[found.images["status"] == OK]
    counted = found.boxes[found.boxes["status"] == OK] if len(found.boxes) else usable
    counts = counted["label"].value_counts()
    if counts.empty:
        return ""
    unit = "boxes" if len(found.boxes) else "images"
    rows = "".join(
        f'<tr><td>{escape(str(name))}</td><td class="number">{count:,}</td><td class="number">{count / counts.sum():.1%}</td>'
        f'<td class="share"><div style="width:{100 * count / counts.max():.1f}%"></div></td></tr>'
        for name, count in counts[:_LINES].items()
    )
    more = f'<p class="soft">and {len(counts) - _LINES:,} more classes</p>' if len(counts) > _LINES else ""
    head = f'<tr><th>class</th><th class="number">{unit}</th><th class="number">share</th><th></th></tr>'
    return f'<h2>Classes</h2>\n<div class="panel scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table>{more}</div>'


def _charts(found: Catalog) -> str:
    images = found.images.dropna(subset=["width"])
    if images.empty:
        return ""
    sizes = Counter(zip(images["width"].astype(int), images["height"].astype(int), strict=True))
    points = sorted((width, height, count) for (width, height), count in sizes.most_common(400))
    ratios = (images["width"] / images["height"]).tolist()
    panels = [
        _panel("Image sizes", "width across, height up, in pixels", scatter(points, "width", "height")),
        _panel("Aspect ratios", "width to height", histogram(ratios, _RATIOS, [f"{edge:g}" for edge in _RATIOS], "to 1")),
        _panel("Brightness", "mean luma, 0 black, 1 white", histogram(images["brightness"].tolist(), *_even(1), "")),
        _panel("Contrast", "standard deviation of luma, at most 0.5", histogram(images["contrast"].tolist(), *_even(0.5), "")),
    ]
    boxes = found.boxes[found.boxes["status"] == OK]
    if len(boxes):
        area = ((boxes["x_max"] - boxes["x_min"]) * (boxes["y_max"] - boxes["y_min"])).clip(lower=0) ** 0.5
        each = boxes["image_id"].value_counts().reindex(images["image_id"], fill_value=0).tolist()
        step = -(-(max(each) + 1) // 20)
        edges = [step * place for place in range(-(-(max(each) + 1) // step) + 1)]
        labels = [f"{edge}" if index % 2 == 0 else "" for index, edge in enumerate(edges)]
        panels += [
            _panel("Box sizes", "square root of the share of its image that a box covers", histogram(area.tolist(), *_even(1), "")),
            _panel("Boxes an image", "usable boxes", histogram(each, edges, labels, "boxes")),
        ]
    return f'<h2>What it is made of</h2>\n<div class="charts">{"".join(panels)}</div>'


_RATIOS = [0.1, 0.25, 0.33, 0.5, 0.67, 0.75, 0.95, 1.05, 1.34, 1.5, 2, 3, 4, 10]


def _even(most: float) -> tuple[list[float], list[str]]:
    """Twenty-one edges from 0 to `most`, and a label for every fourth."""
    edges = [round(step * most / 20, 4) for step in range(21)]
    return edges, [f"{edge:g}" if index % 4 == 0 else "" for index, edge in enumerate(edges)]


def _panel(title: str, words: str, chart: str) -> str:
    return f'<section class="panel"><h3>{escape(title)}</h3>{chart}<p class="soft">{escape(words)}</p></section>'


def _sample(images: pd.DataFrame) -> list[str]:
    """Paths of usable images, spread evenly over their order."""
    paths = images.loc[images["status"] == OK, "path"].tolist()
    return [paths[len(paths) * place // _SAMPLE] for place in range(_SAMPLE)] if len(paths) > _SAMPLE else paths


def _look(sample: list[str], small: dict[str, bytes], task: str) -> str:
    tiles = "".join(f"<li>{_picture(name, small)}<p>{_named(name, task)}</p></li>" for name in sample)
    return f'<h2>A few of its images</h2>\n<ul class="shots">{tiles}</ul>' if tiles else ""


def _alike(images: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of usable images of one group whose hashes differ in few bits, the most alike first."""
    usable = images[(images["status"] == OK) & images["phash"].notna()]
    pairs = []
    for _, group in usable[usable["group_id"].duplicated(keep=False)].groupby("group_id", sort=True):
        rows = list(zip(group["path"], group["phash"], strict=True))[:_LINES]
        near = [((int(a, 16) ^ int(b, 16)).bit_count(), one, other) for (one, a), (other, b) in combinations(rows, 2)]
        pairs += sorted(pair for pair in near if pair[0] <= _ALIKE)[:2]
    return [(one, other) for _, one, other in sorted(pairs)[:_PAIRS]]


def _pairs(pairs: list[tuple[str, str]], small: dict[str, bytes], task: str) -> str:
    tiles = "".join(
        f'<li><div class="pair">{_picture(one, small)}{_picture(other, small)}</div>'
        f"<p>{_named(one, task)}</p><p>{_named(other, task)}</p></li>"
        for one, other in pairs
    )
    words = "The most alike of the images that are kept together in one split."
    return f'<h2>Look-alikes</h2>\n<p class="soft">{words}</p>\n<ul class="shots pairs">{tiles}</ul>' if tiles else ""
