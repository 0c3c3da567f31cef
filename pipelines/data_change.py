"""What changed in the data since the champion was trained, attached to a candidate's run. A side channel: nothing here raises."""

import logging
import tempfile
from pathlib import Path

from pipelines import versions
from pipelines.data_diff import compared
from pipelines.paths import Paths
from pipelines.registry import Registry
from pipelines.revisions import resolve
from pipelines.tracking.publish import side_channel
from pipelines.tracking.store import Store

log = logging.getLogger(__name__)

REVISION, CHANGED = "visionloop.data_revision", "visionloop.data_changed"
ARTIFACTS = "data"


def attach(paths: Paths, store: Store, task: str, run_id: str) -> None:
    """Log data_diff.json, its picture and a line in the tag `visionloop.data_changed` to the run.

    Nothing is logged, and no file read, when there is no champion or it was trained on the same files. A version that
    cannot be had any more, or a store that is away, is a warning.
    """
    with side_channel(f"what changed in data/{task} since the champion is not in run {run_id}"):
        _attach(paths, store, task, run_id)


def _attach(paths: Paths, store: Store, task: str, run_id: str) -> None:
    champion = Registry(paths, store=store).at(task, "champion")
    if champion is None or champion.run_id == run_id:
        return
    trained_on, today = store.client.get_run(champion.run_id).data.tags.get(REVISION), versions.data_digest(paths)
    if trained_on in (None, today):
        return
    before, after = resolve(paths, trained_on), resolve(paths, today)
    if before.part(task) == after.part(task):
        return
    since = f"since {champion.model} (version {champion.number}, data {trained_on[:12]})"
    with compared(paths, before, after, task) as change, tempfile.TemporaryDirectory() as folder:
        change.write(Path(folder), "data_diff")
        store.client.log_artifacts(run_id, folder, ARTIFACTS)
        store.client.set_tag(run_id, CHANGED, f"{since}: {change.in_words()}")
    log.info("data/%s changed %s: %s", task, since, change.in_words())
