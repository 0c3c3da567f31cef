"""Charts as SVG text: drawn by the page's own style, readable without it, no script."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 520, 200
_LEFT, _RIGHT, _BOTTOM, _TOP = 44, 16, 24, 8
_WIDE, _TALL = WIDTH - _LEFT - _RIGHT, HEIGHT - _BOTTOM - _TOP


def histogram(values: Sequence[float], edges: Sequence[float], labels: Sequence[str], unit: str) -> str:
    """Counts of `values` between neighbouring `edges` as bars; `labels` stand below the edges, empty ones are left out.

    Values outside the edges count in the outermost bar.
    """
    counts = [0] * (len(edges) - 1)
    for value in values:
        place = sum(value >= edge for edge in edges[1:-1])
        counts[place] += 1
    most, step = _round_up(max(counts, default=0)), _WIDE / len(counts)
    parts = _grid(most)
    for index, count in enumerate(counts):
        height = _TALL * count / most
        text = f"{edges[index]:g} to {edges[index + 1]:g} {unit}: {count:,}"
        x, y = _LEFT + index * step + 1, _TOP + _TALL - height
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{height:.1f}"><title>{escape(text)}</title></rect>'
        )
    for index, label in enumerate(labels):
        if label:
            parts.append(f'<text class="tick" x="{_LEFT + index * step:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>')
    return _chart(parts, f"Histogram: {_in_words(counts, edges, unit)}")


def scatter(points: Sequence[tuple[float, float, int]], across: str, up: str) -> str:
    """Circles at (x, y), both from 0, whose area grows with the third number, which counts what lies there."""
    wide, high = (_round_up(1.05 * max((point[axis] for point in points), default=1)) for axis in (0, 1))
    most = max((count for _, _, count in points), default=1)
    parts = _grid(high)
    for x, y, count in points:
        cx, cy = _LEFT + _WIDE * x / wide, _TOP + _TALL * (1 - y / high)
        text = f"{x:g} x {y:g}: {count:,}"
        size = 2.5 + 9 * (count / most) ** 0.5
        parts.append(f'<circle class="dot" cx="{cx:.1f}" cy="{cy:.1f}" r="{size:.1f}"><title>{escape(text)}</title></circle>')
    for part in (0.25, 0.5, 0.75, 1):
        x = _LEFT + _WIDE * part
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="end">{wide * part:,.0f}</text>')
    return _chart(parts, f"{across} across, {up} up: {len(points):,} different sizes, the most common {_most_common(points)}")


def _most_common(points: Sequence[tuple[float, float, int]]) -> str:
    if not points:
        return "none"
    x, y, count = max(points, key=lambda point: point[2])
    return f"{x:g} by {y:g} ({count:,})"


def _round_up(value: float) -> float:
    """The next of 2, 4, 6, 8, 10, 20, 40 ... : halves of it are whole."""
    power = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if value <= step * power:
                return step * power
        power *= 10


def _grid(most: float) -> list[str]:
    parts = []
    for part in (0, 0.5, 1):
        y = _TOP + _TALL * (1 - part)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if part == 0 or most * part >= 1:
            parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * part:,.0f}</text>')
    return parts


def _chart(parts: list[str], words: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'


def _in_words(counts: Sequence[int], edges: Sequence[float], unit: str) -> str:
    said = (f"{edges[index]:g} to {edges[index + 1]:g}: {count}" for index, count in enumerate(counts) if count)
    return f"{unit}; " + ", ".join(said)


def interval(value: float, low: float, high: float, words: str) -> str:
    """A share 0..1 as a tick on its interval, on a line from 0 to 1."""
    middle, left, right = (200 * min(max(number, 0.0), 1.0) for number in (value, low, high))
    return (
        f'<svg class="range" viewBox="0 0 200 12" role="img" aria-label="{escape(words)}">'
        f'<line class="grid" x1="0" x2="200" y1="6" y2="6"/>'
        f'<rect class="bar" x="{left:.1f}" y="3" width="{max(right - left, 1):.1f}" height="6" rx="2"/>'
        f'<line class="tip" x1="{middle:.1f}" x2="{middle:.1f}" y1="0" y2="12"/></svg>'
    )
