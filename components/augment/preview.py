"""Pictures to look at: what a policy makes of training images, and where it does worst."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.augment.audit import Case
from components.augment.augmenter import Augmenter, Example

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]

LIME, RED = (60, 230, 60), (255, 60, 60)
INK, FAINT, ACCENT, PAPER = (25, 28, 33), (105, 112, 122), (37, 99, 235), (255, 255, 255)
GAP, MARGIN, LINE = 10, 16, 20  # pixels
LEAST, MOST = 150, 240  # pixels a picture is shown at
TITLE, TEXT = 19, 13  # pixels of font


def draw(example: Example, colours: Sequence[Colour] | None = None, thickness: int = 1) -> Pixels:
    """The picture with its boxes outlined, (S, S, 3) uint8, each in its colour or all in green."""
    canvas = example.pixels.copy()
    height, width = canvas.shape[:2]
    corners = example.boxes[:, 1:] * [width, height, width, height]
    for (x_min, y_min, x_max, y_max), colour in zip(corners, colours or [LIME] * len(corners), strict=True):
        cv2.rectangle(canvas, (round(x_min), round(y_min)), (round(x_max), round(y_max)), colour, thickness)
    return canvas


def sheet(examples: Sequence[Example], names: Sequence[str], augmenter: Augmenter, title: str, columns: int = 6) -> Pixels:
    """One row an image: the original first, framed, then `columns - 1` epochs as training shows them, under a title."""
    size = _shown_size(augmenter.image_size)
    rows = [[example, *(augmenter(example, epoch, row) for epoch in range(1, columns))] for row, example in enumerate(examples)]
    page = _Page(columns, len(rows), size, title, ["original", *(f"epoch {epoch}" for epoch in range(1, columns))])
    for row, versions in enumerate(rows):
        for column, version in enumerate(versions):
            page.put(_fit(version, size), column, row, ACCENT if column == 0 else None)
        page.say(names[row], 0, row)
    return page.pixels()


def sample_sheet(examples: Sequence[Example], names: Sequence[str], title: str, columns: int = 8, most: int = LEAST) -> Pixels:
    """Images as they are, `most` pixels wide at most, with their boxes, each over its name, under a title."""
    size = min(_shown_size(max((len(example.pixels) for example in examples), default=LEAST)), most)
    page = _Page(columns, max(1, -(-len(examples) // columns)), size, title, [])
    for number, (example, name) in enumerate(zip(examples, names, strict=True)):
        page.put(_fit(example, size), number % columns, number // columns, None)
        page.say(name, number % columns, number // columns)
    return page.pixels()


def worst_sheet(cases: Sequence[Case], names: Sequence[str], title: str, pairs: int = 3) -> Pixels:
    """The worst cases, `pairs` to a row, each before and after; boxes that were lost are red in the picture before."""
    size = _shown_size(max((len(case.before.pixels) for case in cases), default=LEAST))
    page = _Page(2 * pairs, -(-len(cases) // pairs), size, title, ["before", "after"] * pairs)
    for number, case in enumerate(cases):
        row, column = number // pairs, 2 * (number % pairs)
        colours = [LIME if kept else RED for kept in case.kept]
        page.put(_fit(case.before, size, colours), column, row, ACCENT)
        page.put(_fit(case.after, size), column + 1, row, None)
        page.say(names[case.key], column, row)
        lost = f"lost {int((~case.kept).sum())} of {len(case.kept)} boxes" if len(case.kept) else f"contrast -{case.score:.0%}"
        page.say(lost, column + 1, row)
    return page.pixels()


class _Page:
    """A grid of pictures under a title and column heads, a line of text below each."""

    def __init__(self, columns: int, rows: int, size: int, title: str, heads: Sequence[str]) -> None:
        self.size = size
        self.top = MARGIN + TITLE + 2 * GAP + LINE
        width, height = 2 * MARGIN + columns * (size + GAP) - GAP, self.top + rows * (size + LINE + GAP) + MARGIN - GAP
        self.image = Image.new("RGB", (width, height), PAPER)
        self.canvas = ImageDraw.Draw(self.image)
        self.canvas.text((MARGIN, MARGIN), _shortened(title, width - 2 * MARGIN, TITLE), INK, _font(TITLE))
        for column, head in enumerate(heads):
            self.canvas.text((self._left(column), self.top - LINE), head, ACCENT if head in ("original", "before") else FAINT, _font(TEXT))

    def put(self, picture: Pixels, column: int, row: int, frame: Colour | None) -> None:
        left, top = self._left(column), self._above(row)
        self.image.paste(Image.fromarray(picture), (left, top))
        if frame:
            self.canvas.rectangle((left - 3, top - 3, left + picture.shape[1] + 2, top + picture.shape[0] + 2), outline=frame, width=2)

    def say(self, text: str, column: int, row: int) -> None:
        place = (self._left(column), self._above(row) + self.size + 4)
        self.canvas.text(place, _shortened(text, self.size, TEXT), FAINT, _font(TEXT))

    def pixels(self) -> Pixels:
        return np.asarray(self.image)

    def _left(self, column: int) -> int:
        return MARGIN + column * (self.size + GAP)

    def _above(self, row: int) -> int:
        return self.top + row * (self.size + LINE + GAP)


def _shown_size(size: int) -> int:
    return min(size * max(1, -(-LEAST // size)), MOST)


def _fit(example: Example, size: int, colours: Sequence[Colour] | None = None) -> Pixels:
    """Enlarged first, so that the outlines of boxes stay thin."""
    own = example.pixels.shape[0]
    how = cv2.INTER_NEAREST if own <= size // 2 else cv2.INTER_LINEAR if own < size else cv2.INTER_AREA
    pixels = np.asarray(cv2.resize(example.pixels, (size, size), interpolation=how), np.uint8)
    return draw(Example(pixels, example.boxes), colours, 2)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, width: int, size: int) -> str:
    """The text, its middle left out where it is longer than `width` pixels."""
    font, shown = _font(size), text
    while len(shown) > 3 and font.getlength(shown) > width:
        text = text[: len(text) // 2 - 1] + text[len(text) // 2 + 1 :]
        shown = f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"
    return shown
