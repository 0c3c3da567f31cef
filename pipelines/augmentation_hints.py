"""How often a trained model is right on validation images under each transform of a policy."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.tables import DETECTION
from pipelines.chosen import Chosen
from pipelines.paths import Paths
from pipelines.stages.command import silent_stderr
from pipelines.stages.examples import Dataset, examples

if TYPE_CHECKING:
    from components.augment.augmenter import Augmenter, Example
    from components.augment.pipeline import Policy
    from components.train.examples import Examples

IMAGES = 200  # at most
WHOLE = "the whole policy"


class Scores(NamedTuple):
    """Of each image (N,), 0..1, without and with the transform; and the label most often confused, with what, how often."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    most_confused: tuple[str, str, int] | None


def alone(policy: "Policy") -> "Iterator[tuple[str, Policy]]":
    """Each transform of a policy always applied, under a name of its own, then the whole policy as it is."""
    from components.augment.pipeline import always, leaves, parts

    resize: Policy = [{"Resize": {}}]  # a crop may stand before the one that the policy holds
    every = list(leaves(policy))
    names = [parts(entry)[0] for entry in every]
    for number, (name, entry) in enumerate(zip(names, every, strict=True)):
        yield (f"{name} ({names[: number + 1].count(name)})" if names.count(name) > 1 else name), [always(entry), *resize]
    yield WHOLE, [*policy, *resize]


def measure(paths: Paths, dataset: Dataset, tried: "list[tuple[str, Policy]]", chosen: Chosen, seed: int) -> list[dict[str, Any]]:
    """A hint for each of the named policies, from at most IMAGES validation images, each transformed once; shows its progress."""
    with silent_stderr():
        from components.augment.augmenter import Augmenter
        from components.augment.hint import compare
        from components.predict import load_model
    validation = dataset.part("val")
    rows = np.sort(np.random.default_rng(seed).permutation(len(validation))[:IMAGES])
    size = int(chosen.report["params"]["image_size"])
    given = examples(paths, Dataset(dataset.task, dataset.classes, validation.iloc[rows], dataset.boxes), "val", size)
    network = load_model(chosen.path)
    score = (
        _detector(network, chosen, given, dataset.classes)
        if dataset.task == DETECTION
        else _classifier(network, chosen, given, dataset.classes)
    )
    found = []
    for number, (name, policy) in enumerate(tried):
        _progress(number, len(tried), name)
        scores = score(Augmenter(policy, size, seed))
        hint = compare(scores.before, scores.after, len(tried))
        found.append({"transform": name, "images": len(scores.before), **asdict(hint), "most_confused": scores.most_confused})
    _progress(len(tried), len(tried), "")
    return found


def _classifier(network: Any, chosen: Chosen, given: "Examples", classes: list[str]) -> "Callable[[Augmenter], Scores]":
    from components.augment.hint import most_confused
    from components.predict import probabilities

    truth = [classes[number] for number in given.targets]

    def labels(pixels: NDArray[np.uint8]) -> list[str]:
        return [chosen.report["classes"][number] for number in probabilities(network, pixels).argmax(axis=1)]

    def score(augmenter: "Augmenter") -> Scores:
        now = labels(np.stack([example.pixels for example in _drawn(given, augmenter)]))
        right = [np.array([one == label for one, label in zip(found, truth, strict=True)], float) for found in (then, now)]
        return Scores(right[0], right[1], most_confused(truth, then, now))

    then = labels(np.asarray(given.pixels))
    return score


def _detector(network: Any, chosen: Chosen, given: "Examples", classes: list[str]) -> "Callable[[Augmenter], Scores]":
    """Scores of the images that have boxes left: the share of these boxes that is found, before and after."""

    def score(augmenter: "Augmenter") -> Scores:
        after = _drawn(given, augmenter, numbered=True)
        left = [example.boxes[:, 0].astype(int) for example in after]
        named = [
            _named(example, given.example(index).boxes[kept, 0]) for index, (example, kept) in enumerate(zip(after, left, strict=True))
        ]
        now = _found(network, chosen, named, classes)
        shares = [(then[index][kept].mean(), now[index].mean()) for index, kept in enumerate(left) if len(kept)]
        before, later = np.array(shares, float).reshape(-1, 2).T
        return Scores(before, later, None)

    then = _found(network, chosen, [given.example(index) for index in range(len(given))], classes)
    return score


def _drawn(given: "Examples", augmenter: "Augmenter", *, numbered: bool = False) -> "list[Example]":
    """Each image drawn once; `numbered`: its boxes have their position in place of their class, to know which are left."""
    shown = [given.example(index) for index in range(len(given))]
    if numbered:
        shown = [_named(example, np.arange(len(example.boxes))) for example in shown]
    return [augmenter.draw(example, 1, int(key)) for example, key in zip(shown, given.keys, strict=True)]


def _named(example: "Example", first: NDArray[Any]) -> "Example":
    from components.augment.augmenter import Example

    return Example(example.pixels, np.column_stack([first, example.boxes[:, 1:]]).astype(np.float32))


def _found(network: Any, chosen: Chosen, shown: "list[Example]", classes: list[str]) -> list[NDArray[np.bool_]]:
    """Which boxes of each picture are found: at the operating points of the model, by an IoU of half and more."""
    from components.evaluate.detection_matches import match_image
    from components.evaluate.detection_points import above
    from components.predict import detections

    size = len(shown[0].pixels)
    frame = pd.DataFrame({"image_id": [str(index) for index in range(len(shown))], "width": size, "height": size})
    rows = detections(network, np.stack([example.pixels for example in shown]), frame, chosen.report["classes"])
    rows = above(rows, chosen.report["operating_points"])
    answer = []
    for index, example in enumerate(shown):
        found = np.zeros(len(example.boxes), bool)
        for number, label in enumerate(classes):
            own = example.boxes[:, 0] == number
            here = rows[(rows["image_id"] == str(index)) & (rows["label"] == label)]
            boxes = _wide(here[["x_min", "y_min", "x_max", "y_max"]].to_numpy(np.float64))
            found[own] = match_image(_wide(example.boxes[own, 1:].astype(np.float64)), np.zeros(own.sum(), bool), boxes).taken[0]
        answer.append(found)
    return answer


def _wide(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners (N, 4) as x, y, width, height."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _progress(done: int, total: int, name: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[Kpredicting {done}/{total} {name}", end="\n" if done == total else "", file=sys.stderr, flush=True)
