"""What the evaluate stage says of slices, for either task: the table of members, each slice's number, the worst slice."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.evaluate.slice_scores import Row, errors_first, in_words
from components.evaluate.slices import slices
from components.evaluate.worst import Bools, memberships, search
from pipelines.stages.examples import Dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.settings import Settings


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
    rows = slices(test, dataset.part("train"), boxes, knobs.slices)
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
