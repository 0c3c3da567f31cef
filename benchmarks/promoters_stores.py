"""Fresh registries for `benchmarks.promoters`, on SQLite or PostgreSQL: versions with fabricated evaluations, no models."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGES, STEP = 1000, 50
COSTS = ("cost/parameters", "cost/latency_ms", "cost/megabytes")


def evaluation(folder: Path, name: str, quality: int, most: int) -> str:
    """report.json and predictions.parquet of a model that is right about more images the higher its quality; answers its hash."""
    import numpy as np
    import pandas as pd

    folder.mkdir(parents=True)
    correct = np.arange(IMAGES) >= (most - quality) * STEP
    rows = {"image_id": np.arange(IMAGES).astype(str), "group_id": (np.arange(IMAGES) // 2).astype(str), "split": "test", "label": "a"}
    table = pd.DataFrame({**rows, "predicted": np.where(correct, "a", "b"), "confidence": 0.9, "correct": correct})
    table.to_parquet(folder / "predictions.parquet")
    sha, accuracy = f"{quality:064x}", float(correct.mean())
    report = {
        "model": name, "task": "classification", "classes": ["a", "b"], "test_digest": "t" * 64, "data_digest": "d" * 64,
        "model_sha256": sha,
        "metrics": {"val/accuracy": accuracy, "test/accuracy": accuracy, "test/ece": 0.0, **dict.fromkeys(COSTS, 1.0)}, "params": {},
        "per_class": {"a": {"recall": accuracy, "support": IMAGES}},
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    return sha


def prepare(root: Path, uri: str, promoters: int) -> None:
    """Versions `model00` (the one every round begins with) to `modelNN` in a store at `uri`; the higher the number, the better."""
    from mlflow import MlflowClient

    from pipelines.paths import Paths
    from pipelines.tracking.live import MODEL, MODEL_SHA256
    from pipelines.tracking.publish import EVALUATION, LOGGED_MODEL

    client, paths = MlflowClient(uri, uri), Paths(root)
    experiments = {
        task: client.create_experiment(task, artifact_location=(root / "artifacts" / task).as_uri())
        for task in ("classification", "detection")
    }
    client.create_experiment("promotions", artifact_location=(root / "artifacts" / "promotions").as_uri())
    client.create_registered_model("classifier")
    for quality in range(promoters + 1):
        name = f"model{quality:02}"
        sha = evaluation(paths.evaluate(name), name, quality, promoters + 1)
        tags = {MODEL: name, MODEL_SHA256: sha, EVALUATION: "e", LOGGED_MODEL: "m", "quality": str(quality)}
        run = client.create_run(experiments["classification"], tags=tags)
        client.log_artifacts(run.info.run_id, str(paths.evaluate(name)), "evaluation")
        client.create_model_version("classifier", "nowhere", run.info.run_id, tags=tags)


@contextmanager
def stores(kind: str, folder: Path, promoters: int) -> Iterator[Iterator[tuple[Path, str]]]:
    """One fresh store after the other, each with its versions."""
    if kind == "sqlite":
        yield _sqlite(folder, promoters)
        return
    from tests.postgres import postgres

    with postgres() as server:
        yield _postgres(server, folder, promoters)


def _sqlite(folder: Path, promoters: int) -> Iterator[tuple[Path, str]]:
    for number in range(1_000_000):
        root = folder / f"sqlite{number}"
        (root / "mlflow" / "store").mkdir(parents=True)
        uri = f"sqlite:///{root / 'mlflow' / 'store' / 'mlflow.db'}"
        prepare(root, uri, promoters)
        yield root, uri


def _postgres(server: str, folder: Path, promoters: int) -> Iterator[tuple[Path, str]]:
    import psycopg

    plain = server.replace("+psycopg", "")
    for number in range(1_000_000):
        with psycopg.connect(f"{plain}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE round{number}")
        root = folder / f"postgres{number}"
        root.mkdir()
        prepare(root, f"{server}/round{number}", promoters)
        yield root, f"{server}/round{number}"
