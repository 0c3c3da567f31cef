"""Complete a candidate's run from the files its training and evaluation left: once, whatever was interrupted before."""

import csv
import json
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import DataError
from pipelines.digest import sha256
from pipelines.tracking.describe import describe, origin
from pipelines.tracking.images import log_images
from pipelines.tracking.lease import owner
from pipelines.tracking.live import MODEL, MODEL_SHA256, reconcile, unfinished
from pipelines.tracking.model_files import write_model_files
from pipelines.tracking.once import once
from pipelines.tracking.store import Store, patience, service

LOG = logging.getLogger(__name__)

EVALUATION = "visionloop.evaluation_sha256"
BACKFILLED = "visionloop.backfilled"
LOGGED_MODEL = "visionloop.logged_model"
NOTE = "mlflow.note.content"
COMMIT = "mlflow.source.git.commit"
REMEDY = "The model and its evaluation are kept in outputs/; the next `visionloop run` publishes them"
REQUEST_SECONDS, RETRIES = 30, 2
METRICS_A_REQUEST = 1000
# MLflow's compare page shows, side by side, the files that runs have outside of any folder.
PICTURES, PROVENANCE = "", "provenance"


@dataclass(frozen=True)
class Candidate:
    """The files of one trained and evaluated model."""

    model_dir: Path
    evaluate_dir: Path

    @cached_property
    def report(self) -> dict[str, Any]:
        """report.json of the evaluation. Raises DataError when it is missing or no JSON."""
        path = self.evaluate_dir / "report.json"
        try:
            return dict(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}): run the evaluate stage again") from error

    @property
    def model_file(self) -> Path:
        """The trained model."""
        return self.model_dir / "model.keras"

    @cached_property
    def training(self) -> str | None:
        """The key of the training that made the model, by which its live run goes; None where model.json tells none."""
        path = self.model_dir / "model.json"
        return json.loads(path.read_bytes()).get("training") if path.is_file() else None

    @property
    def run_name(self) -> str:
        """`<model>-<short data hash>`, the name a live run has too."""
        return f"{self.report['model']}-{self.report['data_digest'][:8]}"

    @cached_property
    def evaluation(self) -> str:
        """The hash by which a repeated publication knows that nothing is new."""
        return sha256(self.evaluate_dir / "report.json")

    def check(self) -> None:
        """Raise DataError unless the model file is the one that was evaluated."""
        if not self.model_file.is_file():
            raise DataError(f"{self.model_file} does not exist: run the train stage (`dvc repro`)")
        found = sha256(self.model_file)
        if found != self.report["model_sha256"]:
            evaluated = self.report["model_sha256"]
            raise DataError(f"{self.model_file} has the hash {found[:12]}, but {evaluated[:12]} was evaluated: run `dvc repro`")


Then = Callable[[str], None]
Files = Mapping[str, Sequence[Path]]  # by the folder of the run that they go into


def publish(
    store: Store, model_dir: Path, evaluate_dir: Path, files: Files, tags: Mapping[str, str], then: Then | None = None
) -> str | None:
    """See Tracking.publish."""
    candidate = Candidate(model_dir, evaluate_dir)
    if "skipped" in candidate.report:
        return None
    with service(store.uri, REMEDY), patience(REQUEST_SECONDS, RETRIES), store.lock("publish"):
        run = find_run(store, candidate.report["task"], candidate.report["model_sha256"])
        if run is not None and run.data.tags.get(EVALUATION) == candidate.evaluation:
            return str(run.info.run_id)
        candidate.check()
        run = run or _adopt(store, candidate) or _backfill(store, candidate)
        _complete(store, run, candidate, files, tags)
    if then is not None:
        then(str(run.info.run_id))
    return str(run.info.run_id)


@contextmanager
def side_channel(lost: str) -> Iterator[None]:
    """What a run is told beside, which nobody decides by: whatever goes wrong within is a warning that says what is `lost`."""
    try:
        with patience(REQUEST_SECONDS, RETRIES):
            yield
    except Exception as error:
        LOG.warning("%s: %s", lost, error)


def find_run(store: Store, task: str, model_sha256: str) -> Any | None:
    """The run of these weights, the published one first, then the oldest; None when there is none."""
    same = f"tags.`{MODEL_SHA256}` = '{model_sha256}'"
    runs = store.runs(task, same, ["attributes.start_time ASC"])
    return next((run for run in runs if EVALUATION in run.data.tags), runs[0] if runs else None)


def _adopt(store: Store, candidate: Candidate) -> Any | None:
    """The live run of this training, which did not hear of its end; None when there is none."""
    task = candidate.report["task"]
    reconcile(store)
    run = unfinished(store, task, candidate.training)
    if run is None:
        return None
    store.client.set_tag(run.info.run_id, MODEL_SHA256, candidate.report["model_sha256"])
    return store.client.get_run(run.info.run_id)


def _backfill(store: Store, candidate: Candidate) -> Any:
    report = candidate.report
    task, digest = report["task"], report["model_sha256"]
    marks = {MODEL: report["model"], MODEL_SHA256: digest, BACKFILLED: "true", **owner()}
    return once(
        lambda: find_run(store, task, digest),
        lambda: store.client.create_run(store.experiment(task), run_name=candidate.run_name, tags=marks),
    )


def _complete(store: Store, run: Any, candidate: Candidate, files: Files, tags: Mapping[str, str]) -> None:
    run_id, report = run.info.run_id, candidate.report
    log_params(store, run, report.get("params", {}))
    last = _log_history(store, run, candidate.model_dir / "history.csv")
    _log_final(store, run_id, report["metrics"], last)
    _log_dataset(store, run_id, report)
    _log_files(store, run_id, candidate, files)
    if LOGGED_MODEL not in run.data.tags:
        _log_model(store, run, candidate)
    store.client.log_batch(run_id, tags=_tags(run, report, tags))
    if run.info.status != "FINISHED":
        store.client.set_terminated(run_id, "FINISHED")
    # Last: until it stands, a repeated publication does everything again.
    store.client.set_tag(run_id, EVALUATION, candidate.evaluation)


def log_params(store: Store, run: Any, params: Mapping[str, object]) -> None:
    """Log the parameters that the run lacks."""
    from mlflow.entities import Param

    missing = [Param(name, str(value)) for name, value in params.items() if name not in run.data.params]
    if missing:
        store.client.log_batch(run.info.run_id, params=missing)


def _log_history(store: Store, run: Any, path: Path) -> int:
    """Log the epochs of history.csv that the run lacks; answers the last epoch's number, 0 without a history."""
    rows = _history(path)
    log_rows(store, run, rows, int(path.stat().st_mtime * 1000) if rows else 0)
    return max((step for step, _ in rows), default=0)


def log_rows(store: Store, run: Any, rows: Sequence[tuple[int, Mapping[str, float]]], written: int) -> None:
    """Log those of the epochs' numbers that the run lacks, as of the Unix time `written` in milliseconds."""
    from mlflow.entities import Metric

    known = {
        (name, point.step)
        for name in ({name for _, metrics in rows for name in metrics} & run.data.metrics.keys())
        for point in store.client.get_metric_history(run.info.run_id, name)
    }
    # One millisecond an epoch, so that MLflow's charts by time keep the order.
    missing = [
        Metric(name, value, written + step, step) for step, metrics in rows for name, value in metrics.items() if (name, step) not in known
    ]
    for start in range(0, len(missing), METRICS_A_REQUEST):
        store.client.log_batch(run.info.run_id, metrics=missing[start : start + METRICS_A_REQUEST])


def _history(path: Path) -> list[tuple[int, dict[str, float]]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(float(row.pop("epoch"))), {name: float(value) for name, value in row.items() if value}) for row in rows]


def _log_final(store: Store, run_id: str, metrics: Mapping[str, float | None], step: int) -> None:
    """Log the evaluation's numbers at the last epoch's step: MLflow shows what was logged last of the highest step."""
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    numbers = {name: float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)}
    store.client.log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value in numbers.items()])


def _log_dataset(store: Store, run_id: str, report: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=report["task"],
        digest=report["data_digest"][:36],
        source_type="local",
        source=json.dumps({"uri": f"data/{report['task']}", "digest": report["data_digest"]}),
        profile=json.dumps({"classes": len(report["classes"]), "test_digest": report["test_digest"]}),
    )
    store.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _log_files(store: Store, run_id: str, candidate: Candidate, files: Files) -> None:
    named = [candidate.evaluate_dir / name for name in candidate.report.get("pictures", [])]
    evaluation = [path for path in sorted(candidate.evaluate_dir.iterdir()) if path.suffix in (".json", ".parquet", ".csv")]
    page = [path] if (path := candidate.evaluate_dir / "report.html").is_file() else []
    history = [path] if (path := candidate.model_dir / "history.csv").is_file() else []
    pictures = [*named, *files[PICTURES]]
    places = {**files, PICTURES: [*pictures, *page], "evaluation": [*evaluation, *history]}
    with tempfile.TemporaryDirectory() as folder:
        for place, chosen in places.items():
            (Path(folder) / place).mkdir(exist_ok=True)
            for file in chosen:
                if not file.is_file():
                    raise DataError(f"{file} does not exist, but the report or the caller names it: run the evaluate stage again")
                (Path(folder) / place / file.name).write_bytes(file.read_bytes())
        store.client.log_artifacts(run_id, folder)
    log_images(store, run_id, pictures)


def _log_model(store: Store, run: Any, candidate: Candidate) -> None:
    from mlflow.entities import LoggedModelOutput

    client, report, run_id = store.client, candidate.report, run.info.run_id
    model = once(
        lambda: _unready(store, run),
        lambda: client.create_logged_model(
            run.info.experiment_id,
            name=report["model"],
            source_run_id=run_id,
            model_type=report["architecture"],
            tags={MODEL_SHA256: report["model_sha256"]},
            params={name: str(value) for name, value in report.get("params", {}).items()},
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "model"
        write_model_files(candidate.model_file, files, model.model_id, run_id, report)
        client.log_model_artifacts(model.model_id, str(files))
    client.finalize_logged_model(model.model_id, "READY")
    logged = client.get_run(run_id).outputs
    if logged is None or all(output.model_id != model.model_id for output in logged.model_outputs):  # the store refuses it twice
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    client.set_tag(run_id, LOGGED_MODEL, model.model_id)


def _unready(store: Store, run: Any) -> Any | None:
    """The logged model that an earlier publication of the run made and did not name in its tags."""
    found = store.client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return next(iter(found), None)


def _tags(run: Any, report: Mapping[str, Any], tags: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    named = {f"visionloop.{name}": value for name, value in tags.items()}
    named |= {f"visionloop.{name}": report[name] for name in ("architecture", "test_digest", "data_digest")}
    named |= {NOTE: describe(report, origin(run.info, tags)), "mlflow.source.name": "visionloop"}
    if "git_commit" in tags:
        named[COMMIT] = tags["git_commit"]
    return [RunTag(name, str(value)) for name, value in named.items()]
