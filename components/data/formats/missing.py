"""Images that labels name and the dataset has not, and images that the dataset has and no label names."""

import posixpath
from collections import Counter
from collections.abc import Container, Iterable

from components.data.formats.listing import Collector


def missing(entry: str, images: list[str]) -> tuple[str, str]:
    """The code, and in words, why a path written in a label file means no image or more than one."""
    if len(images) > 1:
        return "image-ambiguous", f"{entry[:200]!r} may be {' or '.join(images[:3])}"
    if posixpath.normpath(entry.replace("\\", "/")).startswith(".."):
        return "path-outside", f"{entry[:200]!r} leaves the dataset"
    return "no-image", f"{entry[:200]!r} is not in the dataset"


def note_unlisted(images: Iterable[str], listed: Container[str], source: str, gathered: Collector) -> None:
    """Tell, folder by folder, how many images no label file speaks of."""
    count = Counter(posixpath.dirname(image) for image in images if image not in listed)
    for folder, number in count.items():
        gathered.find("image-unlisted", folder or ".", f"holds {number:,} images that {source} does not list: left out")
