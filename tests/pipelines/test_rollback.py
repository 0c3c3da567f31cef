"""The way back: the old model is loaded and answers its own test images before anything moves."""

import gc
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.registry import Registry, Version
from pipelines.rollback import Tried, rollback, try_out
from tests.pipelines.fabricate import CLASSES, UNTRAINED_CLASSES, classifier, with_untrained


def photographs(paths: Paths, count: int, side: int) -> pd.DataFrame:
    """Random pictures in data/, as images.parquet names them."""
    random, rows = np.random.default_rng(3), []
    for number in range(count):
        file = paths.data / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (side, side, 3), np.uint8)).save(file)
        rows.append({"image_id": sha256(file), "path": file.name, "group_id": "g", "split": "test", "width": side, "height": side})
    return pd.DataFrame(rows)


def published(paths: Paths, name: str, images: pd.DataFrame | None, wrong: int = 0, less: float = 0.0) -> Version:
    """A version whose evaluation holds what the model truly answers, but for the first `wrong` images, and `less` sure of itself."""
    from components.data.decode import read_image
    from components.predict import load_model, probabilities
    from pipelines.tracking import Tracking

    made = classifier(paths, name, 12, seed=len(name))
    report = json.loads((made.evaluate_dir / "report.json").read_text())
    report["params"]["image_size"] = 8
    (made.evaluate_dir / "report.json").write_text(json.dumps(report))
    if images is not None:
        found = probabilities(
            load_model(made.model_dir / "model.keras"), np.stack([read_image(paths.data / path) for path in images["path"]])
        )
        answers = found.argmax(axis=1)
        answers[:wrong] = (answers[:wrong] + 1) % 3
        images.to_parquet(made.evaluate_dir / "images.parquet")
        known = images[["image_id", "split"]].assign(predicted=[CLASSES[one] for one in answers], confidence=found.max(axis=1) - less)
        known.to_parquet(made.evaluate_dir / "predictions.parquet")
    registry = Registry(paths)
    return registry.register(CLASSIFICATION, str(Tracking(paths).publish(made.model_dir, made.evaluate_dir)))


def tried(paths: Paths, version: Version, folder: Path) -> Tried:
    return try_out(Registry(paths), paths, CLASSIFICATION, version, folder)


def test_it_answers_its_test_images_as_it_did(paths: Paths, tmp_path: Path) -> None:
    images = photographs(paths, 12, 8)
    version = published(paths, "old", images)
    assert (one := tried(paths, version, tmp_path)).agreement == 1.0 and one.images == 4
    for path in images["path"][:8]:
        (paths.data / path).unlink()
    Image.new("RGB", (8, 8)).save(paths.data / images["path"][8])  # another picture by the same name is no witness
    assert tried(paths, version, tmp_path).images == 3
    for path in images["path"]:
        (paths.data / path).unlink(missing_ok=True)
    nothing = tried(paths, version, tmp_path)
    assert nothing.agreement is None and "none of its test images" in nothing.told()


@pytest.mark.parametrize(("wrong", "less", "share"), [(2, 0.0, "50%"), (0, 0.2, "0%")], ids=["another class", "as sure no more"])
def test_one_that_answers_otherwise_stays_out_and_nothing_changes(paths: Paths, wrong: int, less: float, share: str) -> None:
    images = photographs(paths, 4, 8).sort_values("image_id", ignore_index=True)
    old, new = published(paths, "old", images, wrong, less), published(paths, "newer", None)
    registry = Registry(paths)
    registry.assign(old, "previous")
    registry.assign(new, "champion")
    with pytest.raises(DataError, match=f"answers only {share} of 4 test images"):
        rollback(registry, paths, CLASSIFICATION)
    assert gc.isenabled()  # which a rollback that fails stops for its time only
    assert (registry.at(CLASSIFICATION, "champion"), registry.history(CLASSIFICATION)) == (new, [])


def test_one_that_does_not_load_stays_out(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = published(paths, "old", None), published(paths, "newer", None)
    registry = Registry(paths)
    registry.assign(old, "previous")
    registry.assign(new, "champion")
    entry = rollback(registry, paths, CLASSIFICATION)
    assert entry["reasons"] == ["rolled back by hand from version 2 (newer) to version 1 (old)", f"version 1 {Tried(0, None, 0, 0).told()}"]

    def unreadable(_path: Path) -> None:
        raise DataError("not a Keras model")

    monkeypatch.setattr("components.predict.load_model", unreadable)
    with pytest.raises(DataError, match="not a Keras model"):
        rollback(registry, paths, CLASSIFICATION)
    assert registry.at(CLASSIFICATION, "champion").number == 1  # type: ignore[union-attr]


def test_a_detector_answers_with_the_confidence_it_had(tmp_path: Path) -> None:
    from components.data.decode import read_image
    from components.predict import load_model
    from pipelines.chosen import Chosen
    from pipelines.rollback import _answers

    paths = with_untrained(tmp_path / "project")
    images, path = photographs(paths, 3, 64), paths.train("tiny_yolo") / "model.keras"
    model, report = load_model(path), {"task": DETECTION, "classes": UNTRAINED_CLASSES, "params": {"image_size": 64}}
    found = [np.asarray(model(read_image(paths.data / one)[None], training=False))[0] for one in images["path"]]
    best = [float(boxes[boxes[:, 5] >= 0, 4].max()) for boxes in found]
    rows = pd.DataFrame({"image_id": images["image_id"], "confidence": [best[0], best[1] - 0.05, best[2] - 0.3]})
    rows.to_parquet(paths.evaluate("tiny_yolo") / "predictions.parquet")
    numbers, agreement = _answers(model, Chosen(path, report), paths, images, paths.evaluate("tiny_yolo"))
    assert agreement == pytest.approx(2 / 3) and np.isfinite(numbers).all()
