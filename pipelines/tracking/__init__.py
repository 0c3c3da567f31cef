"""Runs in MLflow: one a trained candidate, live while it trains, complete once it is published."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.paths import Paths
from pipelines.tracking import live
from pipelines.tracking.live import LiveRun
from pipelines.tracking.store import Store, open_store

if TYPE_CHECKING:
    from pipelines.tracking.search import Runs

__all__ = ["LiveRun", "Store", "Tracking", "open_store"]


class Tracking:
    """The runs of one project.

    `tracking_uri` names another store than MLFLOW_TRACKING_URI or, without that, the project's own SQLite file.
    """

    def __init__(self, paths: Paths, tracking_uri: str | None = None) -> None:
        self.store = open_store(paths, tracking_uri)

    def start_candidate(
        self, task: str, model: str, run_name: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> LiveRun | None:
        """Open a run for a training that begins now; None when MLflow is away. Never raises; waits about 2 s at most."""
        return live.start(self.store, task, model, run_name, params, tags)

    def search(self, task: str, model: str, key: str, name: str) -> "Runs":
        """The runs of a search for better knobs, found again by its `key`; nothing of it raises."""
        from pipelines.tracking.search import Runs

        return Runs(self.store, task, model, key, name)

    def reconcile(self) -> list[str]:
        """Mark as KILLED the runs of all tasks whose process is no more; answers their ids.

        Never raises, for it stands before other work; where MLflow is away it does nothing, and waits about 2 s at most.
        """
        return live.reconcile_if_there(self.store)

    def publish(
        self,
        model_dir: Path,
        evaluate_dir: Path,
        pictures: Sequence[Path] = (),
        tags: Mapping[str, str] | None = None,
        made_of: Sequence[Path] = (),
        then: Callable[[str], None] | None = None,
    ) -> str | None:
        """Complete the run of a trained and evaluated model, once, and answer its id; None for a skipped model.

        `tags` are short names: git_commit, data_revision, dvc_lock, flow_run. `made_of` are files that say what the model
        came from, kept with the run. `then` is called with the id once the run
        is complete. The same evaluation again does nothing. Raises DataError for files that do not belong together,
        ServiceError when MLflow is away: nothing is lost then, and the next call publishes.
        """
        from pipelines.tracking.publish import PICTURES, PROVENANCE, publish

        return publish(self.store, model_dir, evaluate_dir, {PICTURES: pictures, PROVENANCE: made_of}, tags or {}, then)
