"""What the evaluate stage says of slices, for either task: the table of members, each slice's number, the worst slice."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import column_of
from components.evaluate.slice_scores import Row, errors_first, in_words
from components.evaluate.slices import MOST_VALUES, slices, too_many
from components.evaluate.worst import Bools, memberships, search
from pipelines.stages.examples import Dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """The test images, in their order: how well each is answered (N,) 0..1 and what that is called; `score` of the slices
    named, and `draw` of the rows that are answered worst under a title.
    """

    quality: "NDArray[np.floating]"
    measure: str
    score: Callable[[tuple[list[str], Bools]], list[Row]]
    draw: Callable[[list[int], str], None]


def by_slice(settings: "Settings", dataset: Dataset, judged: Judged, folder: Path) -> dict[str, Any]:
    """Write slices.parquet; answer what the report says of `slices` and the `worst_slice`, whose errors are drawn."""
    knobs, test = settings.evaluate, dataset.part("test")
    boxes = dataset.boxes[dataset.boxes["image_id"].isin(test["image_id"])]
    rows = slices(test, dataset.part("train"), boxes, _columns(dataset, knobs.slices))
    rows.to_parquet(folder / "slices.parquet", index=False)
    named = memberships(rows, test["image_id"].tolist())
    found = search(judged.quality, test["group_id"].to_numpy(), named, knobs.slice_images, settings.seed)
    if found.worst is not None:
        judged.draw(errors_first(judged.quality, found.members, knobs.worst), f"worst slice: {found.worst.slice}")
    return {
        "slices": judged.score(named),
        "worst_slice": {
            "found": asdict(found.worst) if found.worst else None,
            "tested": found.tested,
            "words": in_words(found, knobs.slice_images, judged.measure),
        },
    }


def _columns(dataset: Dataset, asked: list[str]) -> list[str]:
    """Those of the columns asked for that this task's images have: the split stage has refused what neither task's have."""
    there = [name for name in asked if column_of(dataset.images, name)]
    for name in asked:
        if name not in there:
            log.warning("evaluate.slices: the %s images have no column %s, so there are no slices by it", dataset.task, name)
    for name, count in too_many(dataset.part("test"), there).items():
        log.warning("evaluate.slices: %s has %d different texts among the test images, more than %d: no slices", name, count, MOST_VALUES)
    return there
