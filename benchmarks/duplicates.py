"""How well near-copies are found: copies of every kind are planted among a folder's images, then looked for.

Run: .venv/bin/python benchmarks/duplicates.py FOLDER [--originals 500] [--seed 0] [--others FILE.png]

Prints recall for each kind of copy, precision, seconds and the largest clusters. A found pair of two different
originals is no error if the folder itself holds the same picture twice, so such pairs are counted apart; --others draws
a sample of them to be judged by eye.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from components.data import duplicates
from components.data.facts import shrink
from components.data.files import is_image, walk

Image = np.ndarray
Kind = Callable[[Image, np.random.Generator], Image]


def encoded(low: int, high: int) -> Kind:
    """JPEG at a quality drawn from low..high."""

    def change(image: Image, rng: np.random.Generator) -> Image:
        quality = int(rng.integers(low, high + 1))
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    return change


def resized(low: float, high: float) -> Kind:
    """Sides times a factor drawn evenly on a logarithmic scale."""

    def change(image: Image, rng: np.random.Generator) -> Image:
        factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)

    return change


def cropped(image: Image, rng: np.random.Generator) -> Image:
    """5 % of each side cut off, at a place drawn anew."""
    height, width = image.shape[:2]
    cut = int(height * 0.05), int(width * 0.05)
    top, left = (int(rng.integers(0, most + 1)) for most in cut)
    return image[top : top + height - cut[0], left : left + width - cut[1]]


def brightened(image: Image, rng: np.random.Generator) -> Image:
    """Every pixel times 0.8 or 1.2, clipped."""
    return np.clip(image * rng.choice([0.8, 1.2]), 0, 255).astype(np.uint8)


def shifted(image: Image, rng: np.random.Generator) -> Image:
    """A fifth of the range added to or taken from every pixel, clipped."""
    return np.clip(image + rng.choice([-51.0, 51.0]), 0, 255).astype(np.uint8)


def several(image: Image, rng: np.random.Generator) -> Image:
    """Turned and mirrored, cropped, brightened and encoded at quality 50, all in one."""
    image = np.rot90(image, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]
    return encoded(50, 50)(brightened(cropped(np.ascontiguousarray(image), rng), rng), rng)


KINDS: dict[str, Kind] = {
    "JPEG, quality 20-95": encoded(20, 95),
    "JPEG, quality 20": encoded(20, 20),
    "resized x 0.5-2": resized(0.5, 2),
    "resized x 0.5": resized(0.5, 0.5),
    "mirrored": lambda image, _: image[:, ::-1],
    "turned by 90°": lambda image, _: np.rot90(image),
    "turned by 180°": lambda image, _: np.rot90(image, 2),
    "turned by 270°": lambda image, _: np.rot90(image, 3),
    "sides cropped by 5 %": cropped,
    "brightness x 0.8 or 1.2": brightened,
    "brightness -51 or +51": shifted,
    "several at once": several,
}


def thumbnail(image: Image) -> np.ndarray:
    """The luma thumbnail a scan measures."""
    return shrink(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY))


def planted(paths: list[Path], count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbnails of all files and of the copies; each one's original; each one's kind, -1 for the files themselves."""
    rng = np.random.default_rng(seed)
    thumbnails = [thumbnail(cv2.imread(str(path))) for path in paths]
    origins, kinds = list(range(len(paths))), [-1] * len(paths)
    for number, change in enumerate(KINDS.values()):
        for chosen in rng.choice(len(paths), min(count, len(paths)), replace=False):
            thumbnails.append(thumbnail(change(cv2.imread(str(paths[chosen])), rng)))
            origins.append(int(chosen))
            kinds.append(number)
    return np.stack(thumbnails), np.array(origins), np.array(kinds)


def sheet(paths: list[Path], pairs: list[tuple[int, int]], target: Path) -> None:
    """Draw pairs of files side by side, ten to a row."""
    tiles = [
        np.hstack([cv2.resize(cv2.imread(str(paths[one])), (96, 96)) for one in pair] + [np.full((96, 8, 3), 255, np.uint8)])
        for pair in pairs
    ]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % 10)
    cv2.imwrite(str(target), np.vstack([np.hstack(tiles[start : start + 10]) for start in range(0, len(tiles), 10)]))


def main() -> None:
    """Plant, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--originals", type=int, default=500, help="copied in each way (500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--others", type=Path, help="a picture of pairs of two different originals, to be judged by eye")
    own = parser.parse_args()
    paths = sorted(path for path in walk(own.folder) if is_image(path))
    thumbnails, origins, kinds = planted(paths, own.originals, own.seed)
    print(f"{len(paths)} images and {len(origins) - len(paths)} copies, seed {own.seed}")
    cpu, wall = time.process_time(), time.perf_counter()
    pairs = duplicates.copies(thumbnails)
    clusters = duplicates.clusters(pairs, len(thumbnails))
    print(f"search: {time.process_time() - cpu:.1f} CPU-seconds, {time.perf_counter() - wall:.1f} s")
    for number, name in enumerate(KINDS):
        copy = np.flatnonzero(kinds == number)
        print(f"  recall {np.mean(clusters[copy] == clusters[origins[copy]]):7.2%}  {name} ({len(copy)})")
    _precision(paths, pairs, origins, kinds, own)
    print("largest clusters, originals in each:", _largest(clusters, origins))


def _precision(paths: list[Path], pairs: duplicates.Pairs, origins: np.ndarray, kinds: np.ndarray, own: argparse.Namespace) -> None:
    first, second = origins[pairs.first], origins[pairs.second]
    touched = (kinds[pairs.first] >= 0) | (kinds[pairs.second] >= 0)
    same = first == second
    natural = {(int(a), int(b)) for a, b in zip(first[~touched & ~same], second[~touched & ~same], strict=True)}
    known = np.array([(min(a, b), max(a, b)) in natural for a, b in zip(first.tolist(), second.tolist(), strict=True)], bool)
    new = touched & ~same & ~known
    print(f"  pairs of one original {int(same.sum())}; of two files alike without copies {len(natural)}; others {int(new.sum())}")
    print(f"  precision {same.sum() / max(1, (same | new).sum()):.2%} of the pairs that planting made")
    others = sorted(natural | {(min(a, b), max(a, b)) for a, b in zip(first[new].tolist(), second[new].tolist(), strict=True)})
    if own.others and others:
        chosen = np.random.default_rng(own.seed).permutation(len(others))[:120]
        sheet(paths, [others[index] for index in chosen], own.others)
        print(f"  {len(chosen)} of {len(others)} pairs of two files drawn to {own.others}")


def _largest(clusters: np.ndarray, origins: np.ndarray) -> list[int]:
    members = {(int(cluster), int(origin)) for cluster, origin in zip(clusters, origins, strict=True)}
    sizes = np.unique([cluster for cluster, _ in members], return_counts=True)[1]
    return sorted(sizes.tolist(), reverse=True)[:5]


if __name__ == "__main__":
    main()
