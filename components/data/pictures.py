"""Small pictures of image files to look at, made in processes that no file can take down."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2

from components.data.decode import DecodeError, decode, open_image
from components.data.facts import is_heavy
from components.data.workers import Guard, work

SIDE = 160  # pixels, at most
_QUALITY = 80
_PICTURE = "components.data.pictures:picture"


def pictures(root: Path, paths: Sequence[str], workers: int) -> dict[str, bytes]:
    """A JPEG of at most SIDE x SIDE pixels, upright, of each of the `paths` below `root` that can be decoded."""
    answers = work(_PICTURE, [str(root / path) for path in paths], workers)
    return {paths[index]: answer for index, answer in answers if isinstance(answer, bytes)}


def picture(item: str, guard: Guard) -> bytes | None:
    """One picture, as a process of `workers.work` makes it; None for a file that shows nothing."""
    cv2.setNumThreads(1)
    try:
        data = Path(item).read_bytes()
        with guard.heavy() if is_heavy(open_image(data)) else nullcontext():
            image = decode(data)
    except (DecodeError, OSError):
        return None
    scale = min(1.0, SIDE / max(image.shape[:2]))
    width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else None
