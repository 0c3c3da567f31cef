"""The one version of a run's weights: found, made, or brought up to date when the weights were evaluated and published again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.tracking.live import MODEL, MODEL_SHA256
from pipelines.tracking.once import once
from pipelines.tracking.publish import EVALUATION, LOGGED_MODEL, NOTE
from pipelines.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

TEST_DIGEST, DATA_DIGEST = "visionloop.test_digest", "visionloop.data_digest"
COPIED = (MODEL, MODEL_SHA256, TEST_DIGEST, DATA_DIGEST, EVALUATION)  # from the run; the last says which evaluation all are of


def version_of(store: Store, name: str, run_id: str, tags: Mapping[str, str]) -> "ModelVersion":
    """The oldest version of a published run's weights in the registered model `name`, made when there is none; `tags` are the run's.

    Description and tags are those of the run's evaluation. What was edited by hand since stays until there is another one.
    """
    found = _same(store, name, tags)
    if found is None:
        return _only(store, name, run_id, tags)
    return found if found.tags.get(EVALUATION) == tags[EVALUATION] else _updated(store, found, tags)


def _same(store: Store, name: str, tags: Mapping[str, str]) -> "ModelVersion | None":
    found = store.client.search_model_versions(f"name = '{name}' and tags.`{MODEL_SHA256}` = '{tags[MODEL_SHA256]}'")
    return min(found, key=lambda version: int(version.version), default=None)


def _only(store: Store, name: str, run_id: str, tags: Mapping[str, str]) -> "ModelVersion":
    """A new version; a second one, which the server made of a request that it seemed to have lost, is deleted."""
    made = once(lambda: _same(store, name, tags), lambda: _create(store, name, run_id, tags))
    oldest = _same(store, name, tags) or made
    if oldest.version != made.version:
        store.client.delete_model_version(made.name, made.version)
    return oldest


def _create(store: Store, name: str, run_id: str, tags: Mapping[str, str]) -> "ModelVersion":
    kept = {tag: tags[tag] for tag in COPIED if tag in tags}
    logged = store.client.get_logged_model(tags[LOGGED_MODEL])
    # Not models:/ID: the embedded store would look that up in the process's default store.
    return store.client.create_model_version(
        name, logged.artifact_location, run_id, tags=kept, description=tags.get(NOTE), model_id=logged.model_id
    )


def _updated(store: Store, found: "ModelVersion", tags: Mapping[str, str]) -> "ModelVersion":
    if NOTE in tags:
        store.client.update_model_version(found.name, found.version, description=tags[NOTE])
    for tag in COPIED:  # the evaluation last: until it stands, all is written again
        if tag in tags and found.tags.get(tag) != tags[tag]:
            store.client.set_model_version_tag(found.name, found.version, tag, tags[tag])
    return store.client.get_model_version(found.name, found.version)
