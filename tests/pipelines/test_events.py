"""A champion that changes is told of, and what listens never stops it."""

import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import events
from tests.pipelines.fabricate import project
from tests.webhooks import listening, wait_for

ENTRY = {
    "number": 7, "task": "classification", "event": "decision", "verdict": "promote", "at": "2026", "by": "a@b", "reasons": ["better"],
    "from": {"version": 1, "model": "old"}, "to": {"version": 2, "model": "new"}, "hash": "ab" * 32,
}  # fmt: skip


def test_mlflows_webhooks_are_called_where_no_server_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
    from mlflow.webhooks import delivery

    from pipelines.tracking.store import open_store

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setattr(delivery, "_webhook_cache", None)
    store = open_store(project(tmp_path / "project"))
    with listening() as (url, heard):
        store.client.create_webhook("promotions", url, [WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)])
        events.alias_moved(store, "classifier", "champion", 3)
        wait_for(heard, 1)
    assert heard[0]["data"] == {"name": "classifier", "alias": "champion", "version": "3"}
    assert (heard[0]["entity"], heard[0]["action"]) == ("model_version_alias", "created")
    heard.clear()
    events.alias_moved(SimpleNamespace(uri="http://server"), "classifier", "champion", 3)  # type: ignore[arg-type]
    assert heard == []


def test_webhooks_that_cannot_be_called_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    events.alias_moved(SimpleNamespace(uri="sqlite:///nowhere"), "classifier", "champion", 3)  # type: ignore[arg-type]
    assert "webhooks were not called" in caplog.text


def test_a_prefect_event_is_sent_where_a_server_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "prefect.events", SimpleNamespace(emit_event=lambda **event: sent.append(event)))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    events.champion_changed(ENTRY, "classifier")
    assert sent == []
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    events.champion_changed(ENTRY, "classifier")
    events.champion_changed({**ENTRY, "event": "rollback", "from": None}, "classifier")
    promoted, back = sent
    assert (promoted["event"], back["event"]) == ("visionloop.model.promoted", "visionloop.model.rolled_back")
    assert promoted["resource"]["prefect.resource.id"] == "visionloop.model.classifier.2"
    assert promoted["related"] == [{"prefect.resource.id": "visionloop.model.classifier.1", "prefect.resource.role": "previous"}]
    assert promoted["id"] == uuid.UUID("ab" * 16) and promoted["payload"]["reasons"] == ["better"] and back["related"] == []
    monkeypatch.setitem(sys.modules, "prefect.events", SimpleNamespace())
    events.champion_changed(ENTRY, "classifier")
    assert "no Prefect event was sent" in caplog.text
