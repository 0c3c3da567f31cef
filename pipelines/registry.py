"""Registered models: `classifier` and `detector`, their versions, and who is champion.

A registry that cannot be read never means "no champion": only MLflow's own "does not exist" does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import DataError, ServiceError, UsageError
from pipelines.digest import sha256
from pipelines.events import alias_moved
from pipelines.ledger import NOTHING, Mark
from pipelines.ledger_server import ledger_of
from pipelines.locks import promoters_lock
from pipelines.paths import Paths
from pipelines.registered import DATA_DIGEST, TEST_DIGEST, version_of
from pipelines.tracking.live import MODEL, MODEL_SHA256
from pipelines.tracking.publish import EVALUATION, LOGGED_MODEL, REQUEST_SECONDS, RETRIES
from pipelines.tracking.store import Store, open_store, patience, service

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

Alias = Literal["champion", "challenger", "previous"]

NAMES = {"classification": "classifier", "detection": "detector"}
ROLLED_BACK = "visionloop.rolled_back"
TURN, SETTLED = "visionloop.turn", "visionloop.settled"  # of a registered model: who may move its aliases, what was applied last
REFERENCE = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))")
LOCK_SECONDS = 300.0
REMEDY = "The champion is unchanged; check the store and run the command again"


@dataclass(frozen=True)
class Version:
    """One registered version: `number` counts from 1, `sha256` is that of its model.keras."""

    name: str
    number: int
    run_id: str
    model: str
    sha256: str
    test_digest: str
    data_digest: str
    rolled_back: str | None

    def named(self) -> dict[str, Any]:
        """What the ledger says of it."""
        return {"version": self.number, "model": self.model, "sha256": self.sha256, "run_id": self.run_id}


class Registry:
    """The registered models of one project, in the same store as its runs."""

    def __init__(self, paths: Paths, tracking_uri: str | None = None, store: Store | None = None) -> None:
        self.store = store or open_store(paths, tracking_uri)
        self.ledger = ledger_of(self.store)
        self._fence: Callable[[], None] | None = None

    def register(self, task: str, run_id: str) -> Version:
        """The version of a published run, made when there is none; the same weights never get two.

        One whose weights were evaluated and published again tells what the run tells now.

        Raises UsageError when the run was not published.
        """
        with self._service(), self.store.lock("register"):
            run = self.store.client.get_run(run_id)
            tags = run.data.tags
            if EVALUATION not in tags or LOGGED_MODEL not in tags:
                raise UsageError(f"run {run_id} is not published yet: run `visionloop run`")
            self._registered_model(task)
            return _version(version_of(self.store, NAMES[task], run_id, tags))

    def at(self, task: str, alias: Alias) -> Version | None:
        """The version an alias names; None only when the registry says that there is none.

        Raises ServiceError when the registry cannot be read.
        """
        from mlflow.exceptions import MlflowException

        with self._service():
            try:
                return _version(self.store.client.get_model_version_by_alias(NAMES[task], alias))
            except MlflowException as error:
                if _says_absent(error):
                    return None
                raise

    def named(self, reference: str) -> Version:
        """The version that `models:/NAME@ALIAS` or `models:/NAME/VERSION` means.

        Raises UsageError when the registry says that there is none, or the reference is of another form.
        """
        from mlflow.exceptions import MlflowException

        found = REFERENCE.fullmatch(reference)
        if found is None or found["name"] not in NAMES.values():
            known = " or ".join(f"models:/{name}@champion" for name in NAMES.values())
            raise UsageError(f"{reference!r} names no registered model: expected such as {known}, or models:/{NAMES['classification']}/3")
        with self._service():
            try:
                if found["alias"]:
                    return _version(self.store.client.get_model_version_by_alias(found["name"], found["alias"]))
                return _version(self.store.client.get_model_version(found["name"], found["number"]))
            except MlflowException as error:
                if not _says_absent(error):
                    raise
                raise UsageError(f"{reference!r} does not exist: `visionloop ui` shows the registered versions and their aliases") from None

    def assign(self, version: Version, alias: Alias) -> None:
        """Let the alias name this version. Raises ServiceError, and moves nothing, when this promoter has lost its turn."""
        self.check_turn()
        with self._service():
            self.store.client.set_registered_model_alias(version.name, alias, str(version.number))
        alias_moved(self.store, version.name, alias, version.number)

    def release(self, task: str, alias: Alias) -> None:
        """Let the alias name nothing. Raises ServiceError when this promoter has lost its turn."""
        self.check_turn()
        with self._service():
            self.store.client.delete_registered_model_alias(NAMES[task], alias)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        with self._service():
            for name, value in tags.items():
                self.store.client.set_model_version_tag(version.name, str(version.number), name, value)

    def untag(self, version: Version, name: str) -> None:
        """Take a tag from a version."""
        with self._service():
            self.store.client.delete_model_version_tag(version.name, str(version.number), name)

    def model_file(self, version: Version, folder: Path) -> Path:
        """The version's model.keras, fetched below `folder` where it is not a file of this machine.

        Raises DataError when its bytes are not those that were registered.
        """
        with self._service():
            run = self.store.client.get_run(version.run_id)
            logged = self.store.client.get_logged_model(run.data.tags[LOGGED_MODEL])
            path = self.store.fetched(f"{logged.artifact_location}/data/model.keras", folder)
        found = sha256(path) if path.is_file() else "nothing"
        if found != version.sha256:
            raise DataError(
                f"{version.name} version {version.number} is damaged: its model.keras has the hash {found[:12]}, "
                f"{version.sha256[:12]} was registered; restore the store, or roll back to another version"
            )
        return path

    def evaluation(self, version: Version, folder: Path) -> Path:
        """The folder of the version's evaluation (report.json, predictions.parquet), fetched below `folder` where needed."""
        with self._service():
            run = self.store.client.get_run(version.run_id)
            return self.store.fetched(f"{run.info.artifact_uri}/evaluation", folder)

    def history(self, task: str) -> list[dict[str, Any]]:
        """The ledger's entries of the task, oldest first."""
        return self.ledger.entries(task)

    @contextmanager
    def promoting(self, task: str) -> Iterator[dict[str, Any] | None]:
        """Only one promotion or rollback at a time on this registry; what was read before must be read again inside.

        What a promoter that died left half done is completed or voided first; yields the entry that was completed.
        Raises ServiceError, naming the holder, when another one does not end within five minutes.
        """
        from pipelines.acts import recover

        with ExitStack() as stack:
            with self._service():
                held = stack.enter_context(promoters_lock(self.store, LOCK_SECONDS))
                self._fence = self._take_turn(task, held)
            try:
                yield recover(self, task)
            finally:
                self._fence = None

    def check_turn(self) -> None:
        """Raise ServiceError when this registry's promoter is not the last that had its turn; nothing outside `promoting`."""
        if self._fence is not None:
            with self._service():
                self._fence()

    def settle(self, entry: Mapping[str, Any]) -> None:
        """Remember an entry of the ledger as the last whose aliases and tags are all in place."""
        with self._service():
            self.store.client.set_registered_model_tag(NAMES[entry["task"]], SETTLED, str(Mark(entry["number"], entry["hash"])))

    def settled(self, task: str) -> Mark:
        """The last entry of the task that was settled."""
        with self._service():
            return Mark.read(self._tags(task).get(SETTLED, "")) or NOTHING

    def numbered(self, task: str, number: int) -> Version | None:
        """The version of this number; None when it was deleted."""
        from mlflow.exceptions import MlflowException

        with self._service():
            try:
                return _version(self.store.client.get_model_version(NAMES[task], str(number)))
            except MlflowException as error:
                if _says_absent(error):
                    return None
                raise

    def _take_turn(self, task: str, held: Callable[[], None]) -> Callable[[], None]:
        """Number this turn in the registry; what is answered raises as soon as the lock was lost or a later turn was taken."""
        turn = int(self._registered_model(task).tags.get(TURN, "0")) + 1
        self.store.client.set_registered_model_tag(NAMES[task], TURN, str(turn))

        def fence() -> None:
            held()
            if (last := self._tags(task).get(TURN)) != str(turn):
                raise ServiceError(f"promoter {turn} has lost its turn to promoter {last}: it moves no alias any more")

        return fence

    def _tags(self, task: str) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return dict(self.store.client.get_registered_model(NAMES[task]).tags)
        except MlflowException as error:
            if _says_absent(error):
                return {}
            raise

    def _service(self) -> Any:
        return _patient(self.store.uri)

    def _registered_model(self, task: str) -> "RegisteredModel":
        """The task's registered model, made when there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return self.store.client.get_registered_model(NAMES[task])
        except MlflowException as error:
            if not _says_absent(error):
                raise
            about = f"The {NAMES[task]} of this project; `champion` serves."
            return self.store.client.create_registered_model(NAMES[task], description=about)


@contextmanager
def _patient(uri: str) -> Iterator[None]:
    with service(uri, REMEDY), patience(REQUEST_SECONDS, RETRIES):
        yield


def _says_absent(error: Any) -> bool:
    # An alias that was never set is reported as an invalid value, a model that never was as not existing.
    never_set = error.error_code == "INVALID_PARAMETER_VALUE" and "alias" in str(error) and "not found" in str(error)
    return never_set or error.error_code == "RESOURCE_DOES_NOT_EXIST"


def _version(found: "ModelVersion") -> Version:
    tags = found.tags
    return Version(
        name=found.name,
        number=int(found.version),
        run_id=str(found.run_id),
        model=tags.get(MODEL, ""),
        sha256=tags.get(MODEL_SHA256, ""),
        test_digest=tags.get(TEST_DIGEST, ""),
        data_digest=tags.get(DATA_DIGEST, ""),
        rolled_back=tags.get(ROLLED_BACK),
    )
