"""Stage `evaluate`: one trained model on the validation and test images, in numbers and pictures."""

import hashlib
import html
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.data import tables
from pipelines.digest import sha256
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.stages.examples import Dataset, read_dataset
from pipelines.stages.models import chosen, in_a_line, write_json

if TYPE_CHECKING:
    from components.evaluate.headlines import Intervals
    from components.predict import Latency
    from pipelines.settings import Settings

log = logging.getLogger(__name__)

SPLITS = ("val", "test")
TABLES = ("predictions.parquet", "truth.parquet", "images.parquet", "slices.parquet", "corrupted.parquet")
DECISIVE, ENDS = ("accuracy", "macro_f1", "map50", "map"), ("low", "high")  # the metrics that a gate may have, with their intervals' ends
MEGABYTE = 1_000_000
DETAILS = ("_small", "_medium", "_large", "/ar1", "/ar10", "_low", "_high")  # ends of metrics that the log leaves to the report


@dataclass(frozen=True)
class Findings:
    """What a task's evaluation hands to the report: metrics without their prefix for each split, the test's classes and the
    intervals of the test's metrics, and what this model costs on this machine. `tiles`: how many pictures the network looks at
    for one test image, on average.
    """

    metrics: dict[str, dict[str, float]]
    per_class: dict[str, dict[str, float]]
    intervals: "Intervals"
    extra: dict[str, Any]
    latency: "Latency"
    memory_megabytes: float
    tiles: float = 1.0


def run(paths: Paths, settings: "Settings", name: str) -> None:
    """Write outputs/evaluate/<name>/: report.json, metrics.json, pictures/ and the tables of predictions, truth and images.

    A model whose dataset is absent leaves reports that say so. Raises DataError when the model was not trained.
    """
    task = chosen(settings, name).task
    about = json.loads((paths.train(name) / "model.json").read_text(encoding="utf-8"))
    if "skipped" in about:
        _skip(paths.evaluate(name), about["skipped"])
    else:
        evaluate_model(paths, settings, (paths.train(name) / "model.keras", about), paths.evaluate(name), task)


def evaluate_model(paths: Paths, settings: "Settings", trained: tuple[Path, dict[str, Any]], target: Path, task: str) -> None:
    """Evaluate a trained model, its file and what model.json says of it, on the current split; write `target`."""
    model_file, about = trained
    from pipelines.report.model_page import write_page
    from pipelines.revisions import head

    dataset = read_dataset(paths, task)
    with replacing(target) as folder:
        (folder / "pictures").mkdir()
        images = dataset.images[dataset.images["split"].isin(SPLITS)]
        images[["image_id", "path", "group_id", "split", "width", "height"]].to_parquet(folder / "images.parquet", index=False)
        findings = _evaluator(task)(paths, settings, dataset, about, (model_file, folder))
        _report(about, dataset, findings, model_file, folder)
        write_page(folder, head(paths))


def _skip(target: Path, reason: str) -> None:
    with replacing(target) as folder:
        write_json(folder / "report.json", {"skipped": reason})
        write_json(folder / "metrics.json", {})
        (folder / "report.html").write_text(f"<!doctype html><title>skipped</title><p>{html.escape(reason)}</p>\n", encoding="utf-8")
        (folder / "pictures").mkdir()
        for name in TABLES:
            pd.DataFrame({"image_id": pd.Series(dtype=str)}).to_parquet(folder / name, index=False)


def _evaluator(task: str) -> Any:
    from pipelines.stages import evaluate_classification, evaluate_detection

    return {tables.CLASSIFICATION: evaluate_classification.evaluate, tables.DETECTION: evaluate_detection.evaluate}[task]


def _report(about: dict[str, Any], dataset: Dataset, findings: Findings, model_file: Path, folder: Path) -> None:
    cost = {
        "cost/train_seconds": round(about["seconds"], 1),
        "cost/parameters": about["parameters"],
        "cost/flops": round(about["flops"] * findings.tiles),
        "cost/latency_ms": round(findings.latency.p50, 2),
        "cost/latency_p99_ms": round(findings.latency.p99, 2),
        "cost/memory_megabytes": round(findings.memory_megabytes, 1),
        "cost/megabytes": round(model_file.stat().st_size / MEGABYTE, 2),
    }
    measured = {f"{split}/{key}": _rounded(value) for split in SPLITS for key, value in findings.metrics[split].items()}
    limits = {f"test/{name}": (_rounded(low), _rounded(high)) for name, (low, high) in findings.intervals.items()}
    decisive = [f"test/{name}" for name in DECISIVE if name in findings.intervals]
    ends = {f"{name}_{end}": limits[name][at] for name in decisive for at, end in enumerate(ENDS)}
    metrics = {**measured, **ends, **cost}
    report = {
        "model": about["name"],
        "task": dataset.task,
        "architecture": about["params"]["architecture"],
        "classes": about["classes"],
        "data_digest": about["data_digest"],
        "test_digest": test_digest(dataset),
        "test_images": len(dataset.part("test")),
        "model_sha256": sha256(model_file),
        "network_flops": about["flops"],
        "metrics": metrics,
        "intervals": limits,
        "per_class": {label: {key: _rounded(value) for key, value in row.items()} for label, row in findings.per_class.items()},
        "params": {**about["params"], "seed": about["seed"]},
        "pictures": sorted(path.relative_to(folder).as_posix() for path in (folder / "pictures").iterdir()),
        **plain(findings.extra),
    }
    write_json(folder / "report.json", report)
    write_json(folder / "metrics.json", _nested(metrics))
    log.info("%s: %s", about["name"], in_a_line({name: value for name, value in metrics.items() if not name.endswith(DETAILS)}))


def trained_as(report: Mapping[str, Any]) -> dict[str, Any]:
    """What model.json said of a model when it was trained, by its report: `about`, to evaluate it once more."""
    cost = report["metrics"]
    known = {"seconds": cost["cost/train_seconds"], "parameters": cost["cost/parameters"]}
    flops = report.get("network_flops", cost["cost/flops"])  # reports older than that key have the network's alone
    params = {key: value for key, value in report["params"].items() if key != "seed"}
    about = {"name": report["model"], "classes": report["classes"], "data_digest": report["data_digest"], "seed": report["params"]["seed"]}
    return {**about, **known, "flops": flops, "params": params}


def every_class(known: list[str], present: list[str]) -> list[str]:
    """The classes a model knows, in its order, then those that only the data have: a champion may be older than them."""
    return [*known, *(label for label in present if label not in known)]


def test_digest(dataset: Dataset) -> str:
    """SHA-256 of which images are tested on and what is true of them, whatever the order of the rows."""
    test = dataset.part("test")
    boxes = dataset.boxes[dataset.boxes["image_id"].isin(test["image_id"])]
    lines = sorted(f"{image} {label}" for image, label in zip(test["image_id"], test["label"], strict=True))
    lines += sorted(" ".join(map(str, row)) for row in _truth(boxes).itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _truth(boxes: pd.DataFrame) -> pd.DataFrame:
    return boxes[["image_id", "label", "x_min", "y_min", "x_max", "y_max", "is_crowd", "is_difficult"]].round(6)


def plain(value: Any) -> Any:
    """A value of mappings, sequences and numbers as JSON holds it: six decimals, None for what is no number."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float) -> float | None:
    """Six decimals; JSON has no word for what is no number."""
    return round(value, 6) if math.isfinite(value) else None


def _nested(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`test/accuracy` as {"test": {"accuracy": …}}, which is how `dvc metrics show` prints columns."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in metrics.items():
        block, _, name = key.partition("/")
        nested.setdefault(block, {})[name] = value
    return nested
