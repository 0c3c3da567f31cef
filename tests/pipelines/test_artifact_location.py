"""Where the files of runs go: into the project, to the server, or to what the machines that share a database also share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.paths import Paths
from pipelines.registry import Registry
from pipelines.tracking import Store, Tracking
from pipelines.tracking.store import ARTIFACT_ROOT
from tests.pipelines.fabricate import classifier
from tests.postgres import binaries, postgres

TASK = "classification"
DATABASE = "postgresql+psycopg://user@host/mlflow"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is no place for files of a run."""
    for name in (ARTIFACT_ROOT, "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("uri", "root", "wanted"),
    [
        ("sqlite:////here/mlflow.db", None, "file:///here/artifacts/classification"),
        ("sqlite:////here/mlflow.db", "s3://bucket", "file:///here/artifacts/classification"),
        (DATABASE, None, "file:///here/artifacts/classification"),
        (DATABASE, "s3://bucket/mlflow", "s3://bucket/mlflow/classification"),
        ("postgresql://user@host/mlflow", "/srv/mlflow/", "/srv/mlflow/classification"),
        ("http://mlflow:5000", "s3://bucket", None),
    ],
)
def test_a_database_has_them_where_it_is_told_or_in_the_project_and_a_server_decides(
    uri: str, root: str | None, wanted: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if root:
        monkeypatch.setenv(ARTIFACT_ROOT, root)
    assert Store(Path("/here"), uri).artifacts(TASK) == wanted


@pytest.fixture
def server() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with postgres() as address:
        yield f"{address}/postgres"


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed here (initdb, pg_ctl)")
@pytest.mark.parametrize("is_shared", [False, True], ids=["the project's", "a shared folder"])
def test_a_run_in_postgresql_is_found_whole_and_nothing_lies_in_the_current_folder(
    tmp_path: Path, elsewhere: Path, server: str, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Paths(tmp_path / name) for name in ("one", "two"))
    if is_shared:
        monkeypatch.setenv(ARTIFACT_ROOT, str(tmp_path / "shared"))
    made = classifier(one, "cnn", 12)
    run_id = str(Tracking(one, server).publish(made.model_dir, made.evaluate_dir))
    place = tmp_path / "shared" if is_shared else one.mlflow_store / "artifacts"
    assert (place / TASK / run_id / "artifacts" / "evaluation" / "report.json").is_file()
    registry = Registry(two if is_shared else one, server)  # where the folder is shared, any machine may promote and serve
    version = registry.register(TASK, run_id)
    with registry.promoting(TASK):
        registry.assign(version, "champion")
    assert registry.model_file(version, tmp_path / "fetched").read_bytes() == (made.model_dir / "model.keras").read_bytes()
    assert (registry.evaluation(version, tmp_path / "fetched") / "report.json").is_file()
    assert list(elsewhere.iterdir()) == []
