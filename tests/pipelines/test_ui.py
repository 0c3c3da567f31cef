"""`visionloop ui` where the runs are elsewhere: it says how to look at them, and no password."""

import pytest

from pipelines.paths import Paths
from pipelines.ui import show

DATABASE = "`mlflow server --backend-store-uri"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:5000", "open http://127.0.0.1:5000\n"),
        ("https://ada:secret@mlflow.example/team", "open https://ada:***@mlflow.example/team\n"),
        ("postgresql+psycopg://ada:secret@db/mlflow", f"names a database, postgresql+psycopg://ada:***@db/mlflow: {DATABASE}"),
    ],
)
def test_it_says_where_to_look_and_no_password(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uri: str, told: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert show(paths) == 0
    out = capsys.readouterr().out
    assert told in out
    assert "secret" not in out
