"""How long a rollback takes besides loading the model.

    python -m benchmarks.rollbacks --rollbacks 200 [--architecture efficientnet_lite0]

Two untrained models of the architecture are published with what they answer to four photographs, and rolled back to in turn, by the
product's own code: hash, loading, four answers, lock, ledger, tags, aliases. Printed: median, 99th percentile and longest of a rollback
without the loading, of its CPU time, of the answering alone, and of the loading.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

TASK, SIDE = "classification", 500


def publish(root: Path, name: str, architecture: str, seed: int) -> None:
    """A version of an untrained model, whose evaluation says what it answers."""
    import keras
    import numpy as np
    import pandas as pd
    from PIL import Image

    from components.data.decode import read_image, resize_crop
    from components.models import catalog
    from components.models.catalog import Design
    from components.models.sizes import usual_size
    from components.predict import load_model, probabilities
    from components.train.saving import save_model
    from pipelines.digest import sha256
    from pipelines.paths import Paths
    from pipelines.registry import Registry
    from pipelines.rollback import SAMPLE
    from pipelines.tracking import Tracking

    paths, size = Paths(root), usual_size(architecture)
    keras.utils.set_random_seed(seed)
    design = Design(TASK, architecture, 3, size, 0.0)
    for folder in (paths.train(name), paths.evaluate(name), paths.data):
        folder.mkdir(parents=True, exist_ok=True)
    file = paths.train(name) / "model.keras"
    save_model(catalog.serving_model(catalog.build(design, None)[0], design), file)
    random, rows = np.random.default_rng(0), []
    for number in range(SAMPLE):
        picture = paths.data / f"{number}.png"
        Image.fromarray(random.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(picture)
        rows.append({"image_id": sha256(picture), "path": picture.name, "split": "test"})
    images = pd.DataFrame(rows)
    found = probabilities(load_model(file), np.stack([resize_crop(read_image(paths.data / path), size) for path in images["path"]]))
    images.to_parquet(paths.evaluate(name) / "images.parquet")
    known = images.assign(predicted=[str(number) for number in found.argmax(axis=1)], confidence=found.max(axis=1))
    known.to_parquet(paths.evaluate(name) / "predictions.parquet")
    report = {
        "model": name, "task": TASK, "architecture": architecture, "classes": ["0", "1", "2"], "test_digest": "t" * 64,
        "data_digest": "d" * 64, "model_sha256": sha256(file), "metrics": {}, "per_class": {}, "params": {"image_size": size},
    }  # fmt: skip
    (paths.evaluate(name) / "report.json").write_text(json.dumps(report))
    registry = Registry(paths)
    version = registry.register(TASK, str(Tracking(paths).publish(paths.train(name), paths.evaluate(name))))
    registry.assign(version, "previous" if seed else "champion")


def main() -> None:
    """Roll back again and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollbacks", type=int, default=200)
    parser.add_argument("--architecture", default="efficientnet_lite0")
    arguments = parser.parse_args()

    from pipelines.environment import prepare_environment

    prepare_environment()
    os.environ.pop("MLFLOW_TRACKING_URI", None)

    from pipelines import rollback
    from pipelines.paths import Paths
    from pipelines.registry import Registry

    tried: list[rollback.Tried] = []
    real = rollback.try_out

    def noting(*what: object) -> rollback.Tried:
        tried.append(real(*what))  # type: ignore[arg-type]
        return tried[-1]

    rollback.try_out = noting
    root = Path(tempfile.mkdtemp())
    try:
        for seed, name in enumerate(("one", "two")):
            publish(root, name, arguments.architecture, seed)
        took, spent = [], []
        for _ in range(arguments.rollbacks):
            start, before = time.perf_counter(), time.process_time()
            rollback.rollback(Registry(Paths(root)), Paths(root), TASK)
            took.append(time.perf_counter() - start - tried[-1].load_seconds)
            spent.append(time.process_time() - before)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{arguments.rollbacks} rollbacks, {arguments.architecture}; seconds: median, 99th percentile, longest")
    show("besides loading the model", took)
    show("CPU time, loading included", spent)
    show(f"answers to {rollback.SAMPLE} test images", [one.answer_seconds for one in tried])
    show("loading the model", [one.load_seconds for one in tried])


def show(what: str, seconds: list[float]) -> None:
    """One line."""
    ordered = sorted(seconds)
    at = [ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], ordered[-1]]
    print(f"  {what:40}" + "".join(f"{value:8.3f}" for value in at))


if __name__ == "__main__":
    main()
