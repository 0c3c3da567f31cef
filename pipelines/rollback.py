"""Put the previous champion back, after it was seen to work: its bytes, its loading, and its answers to images it has answered before."""

import gc
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import DETECTION
from components.errors import DataError, UsageError
from pipelines import acts
from pipelines.chosen import Chosen
from pipelines.digest import sha256
from pipelines.evidence import read_report
from pipelines.paths import Paths
from pipelines.registry import NAMES, Registry, Version

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

SAMPLE = 4  # test images
BATCH = 32
AGREE = 0.75  # share of them that must be answered as before; another machine rounds differently
CONFIDENCE = 0.1  # by which that of an answer, of a detector the highest, may differ from what it was


@dataclass(frozen=True)
class Tried:
    """How a model did: on how many images, the share answered as recorded, and the seconds it took to load and to answer."""

    images: int
    agreement: float | None
    load_seconds: float
    answer_seconds: float

    def told(self) -> str:
        """In words."""
        if self.agreement is None:
            return "loaded, and answers in numbers; none of its test images is on this machine"
        return f"loaded, and answers {self.agreement:.0%} of {self.images} of its test images as it did"


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Walking all objects of TensorFlow and a model just loaded, in search of garbage, would double the time of a rollback."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_no_collecting()
def rollback(registry: Registry, paths: Paths, task: str) -> dict[str, Any]:
    """Make the previous champion champion again, and the present one previous; answers the ledger's entry.

    The version rolled back from is not promoted again until it is rolled back to. Raises UsageError when there is no other,
    previous champion, DataError when it is damaged, does not load or answers other than it did: the champion stays then.
    """
    if acts.is_out_of_step(registry, task):  # a champion that was chosen past the ledger decides what is previous
        with registry.promoting(task) as completed:
            if completed is not None:
                return _asked_for(completed)
    _, previous = _both(registry, task)
    with tempfile.TemporaryDirectory() as folder:
        tried = try_out(registry, paths, task, previous, Path(folder))
    with registry.promoting(task) as completed:
        if completed is not None:
            return _asked_for(completed)
        champion, now = _both(registry, task)
        if now.number != previous.number:
            raise _changed(task)
        why = f"rolled back by hand from version {champion.number} ({champion.model}) to version {previous.number} ({previous.model})"
        moved = {"from": champion.named(), "to": previous.named(), "reasons": [why, f"version {previous.number} {tried.told()}"]}
        entry = acts.record(registry, {"task": task, "event": "rollback", **moved})
        acts.apply(registry, entry)
        return entry


def _asked_for(completed: dict[str, Any]) -> dict[str, Any]:
    """A rollback that was cut short is what was asked for; after a promotion that was, nobody has asked for one."""
    if completed["event"] != "rollback":
        raise _changed(completed["task"])
    return completed


def _changed(task: str) -> UsageError:
    return UsageError(f"the {NAMES[task]} changed meanwhile: look at `visionloop history {task}`, then run it again")


def _both(registry: Registry, task: str) -> tuple[Version, Version]:
    """The champion and the previous one, which is another. Raises UsageError when there are not two."""
    champion, previous = registry.at(task, "champion"), registry.at(task, "previous")
    if previous is None or champion is None:
        raise UsageError(f"there is no previous {NAMES[task]} to roll back to; `visionloop history {task}` shows what happened")
    if previous.number == champion.number:
        same = f"version {champion.number} ({champion.model}) of the {NAMES[task]} is both champion and previous"
        remedy = "give another version the alias `previous` in MLflow (`visionloop ui`), then run it again"
        raise UsageError(f"{same}, so there is nothing to roll back to: {remedy}")
    return champion, previous


def try_out(registry: Registry, paths: Paths, task: str, version: Version, folder: Path) -> Tried:
    """Load a version and let it answer a few of its test images again. Raises DataError when it does not do as it did."""
    import numpy as np

    from pipelines.stages.command import silent_stderr

    path = registry.model_file(version, folder)
    evaluation = registry.evaluation(version, folder)
    with silent_stderr():
        from components.predict import load_model

    begun = time.perf_counter()
    model = load_model(path)
    loaded = time.perf_counter()
    chosen = Chosen(path, read_report(evaluation))
    known = _known(paths, evaluation)
    if known.empty:
        numbers = np.asarray(model(np.zeros((1, *model.input_shape[1:]), np.uint8), training=False))
        agreement = None
    else:
        numbers, agreement = _answers(model, chosen, paths, known, evaluation)
    tried = Tried(len(known), agreement, loaded - begun, time.perf_counter() - loaded)
    if not np.isfinite(numbers).all():
        raise DataError(f"{version.name} version {version.number} answers with what is no number: the champion stays")
    if agreement is not None and agreement < AGREE:
        found = f"answers only {agreement:.0%} of {len(known)} test images as its evaluation says"
        raise DataError(f"{version.name} version {version.number} {found}: its evaluation, the images or this machine's libraries changed")
    return tried


def _known(paths: Paths, evaluation: Path) -> "pd.DataFrame":
    """A few of the test images that the version answered and that lie in data/ (image_id, path, width, height), evenly spread."""
    import pandas as pd

    table = evaluation / "images.parquet"
    if not table.is_file():
        return pd.DataFrame()
    images = pd.read_parquet(table)
    images = images[images["split"] == "test"].sort_values("image_id", ignore_index=True)
    spread = images.iloc[:: max(1, len(images) // (4 * SAMPLE))]
    here = (index for index, row in spread.iterrows() if _is_here(paths.data / str(row["path"]), str(row["image_id"])))
    return spread.loc[list(itertools.islice(here, SAMPLE))]


def _is_here(file: Path, image_id: str) -> bool:
    return file.is_file() and sha256(file) == image_id


def _answers(model: "keras.Model", chosen: Chosen, paths: Paths, known: "pd.DataFrame", evaluation: Path) -> "tuple[np.ndarray, float]":
    """The raw answers, and the share of images answered as predictions.parquet says."""
    import numpy as np
    import pandas as pd

    from components.data.decode import read_image

    photographs = [read_image(paths.data / path) for path in known["path"]]
    is_detector = chosen.report["task"] == DETECTION
    squares = [chosen.tiles(one, "image")[0] if is_detector else chosen.seen(one)[None] for one in photographs]
    # Called as a function: for one batch of a few images, tracing it first, as `predict` does, takes longer.
    batches = np.array_split(np.concatenate(squares), -(-sum(map(len, squares)) // BATCH))
    numbers = np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])
    found = np.split(numbers, np.cumsum([len(one) for one in squares])[:-1])
    predictions = pd.read_parquet(evaluation / "predictions.parquet")
    then = [predictions[predictions["image_id"] == image_id] for image_id in known["image_id"]]
    agrees = _boxes_agree if is_detector else _label_agrees
    return numbers, float(np.mean([agrees(one, before, chosen.report["classes"]) for one, before in zip(found, then, strict=True)]))


def _label_agrees(found: "np.ndarray", then: "pd.DataFrame", classes: list[str]) -> bool:
    before = then.iloc[0]
    return bool(classes[int(found[0].argmax())] == before["predicted"] and abs(float(found[0].max()) - before["confidence"]) <= CONFIDENCE)


def _boxes_agree(found: "np.ndarray", then: "pd.DataFrame", _classes: list[str]) -> bool:
    """Whether the most confident box of all tiles is as confident as it was, which merging them changes not."""
    kept = found[found[..., 5] >= 0]
    now = float(kept[:, 4].max()) if len(kept) else 0.0
    before = float(then["confidence"].max()) if len(then) else 0.0
    return abs(now - before) <= CONFIDENCE


def told(entry: Mapping[str, Any]) -> str:
    """One line about a rollback."""
    now, before = entry["to"], entry["from"]
    return f"version {now['version']} ({now['model']}) is champion again, version {before['version']} is previous"
