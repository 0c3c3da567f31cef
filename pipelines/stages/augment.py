"""Stage `augment`: the policy each task's training images go through, shown on real pictures."""

import json
import logging
from typing import TYPE_CHECKING, Any

from components.data import tables
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.stages.examples import Dataset, examples, read_dataset

if TYPE_CHECKING:
    from pipelines.settings import Settings

log = logging.getLogger(__name__)

PREVIEW_SIDE = {tables.CLASSIFICATION: 160, tables.DETECTION: 320}  # pixels


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/augment/<task>/: policy.json, audit.json and, where there is data, preview.png.

    Raises UsageError for a policy that Albumentations does not know.
    """
    for task in tables.TASKS:
        dataset = read_dataset(paths, task)
        policy = getattr(settings.augment, task)
        _augment_task(paths, settings, dataset, policy)


def _augment_task(paths: Paths, settings: "Settings", dataset: Dataset, chosen: Any) -> None:
    from components.augment.policies import resolve

    policy = resolve(chosen)
    with replacing(paths.augment(dataset.task)) as folder:
        (folder / "policy.json").write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")
        result: dict[str, Any] = {"skipped": f"data/{dataset.task} is absent"}
        if not dataset.is_absent:
            result = _show(paths, settings, dataset, policy, folder / "preview.png")
        (folder / "audit.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    log.info("%s: %s", dataset.task, result)


def _show(paths: Paths, settings: "Settings", dataset: Dataset, policy: Any, picture: Any) -> dict[str, Any]:
    import cv2
    import numpy as np

    from components.augment.augmenter import Augmenter
    from components.augment.preview import audit, sheet

    side = PREVIEW_SIDE[dataset.task]
    training = dataset.part("train")
    rows = np.random.default_rng(settings.seed).permutation(len(training))[: settings.augment.preview_images]
    chosen = Dataset(dataset.task, dataset.classes, training.iloc[np.sort(rows)], dataset.boxes)
    shown = examples(paths, chosen, "train", side)
    augmenter = Augmenter(policy, side, settings.seed)
    few = [shown.example(index) for index in range(len(shown))]
    cv2.imwrite(str(picture), sheet(few, augmenter)[:, :, ::-1])
    return audit(few, augmenter)
