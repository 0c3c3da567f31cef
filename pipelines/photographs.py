"""The photographs that a command names: files, or folders of files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}


def files(named: Sequence[Path]) -> list[Path]:
    """The named files, and those of the named folders that are called as images are. Raises UsageError for what is not there."""
    return [file for path in named for file in _below(path)]


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    elif path.is_file():
        yield path
    else:
        raise UsageError(f"{path} does not exist: name images, or folders that hold images")


def read(named: Sequence[Path], failed: list[str]) -> "Iterator[tuple[Path, NDArray[np.uint8]]]":
    """Each file with its pixels (H, W, 3), upright; what cannot be read is left out, and told in words in `failed`."""
    from components.data.decode import DecodeError, read_image
    from components.data.findings import in_words

    for file in named:
        try:
            yield file, read_image(file)
        except DecodeError as error:
            failed.append(in_words(error))
