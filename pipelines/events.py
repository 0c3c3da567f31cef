"""Tell the world that a champion changed: a Prefect event, and MLflow's own webhooks. Nothing here ever fails a promotion."""

import logging
import os
import uuid
from collections.abc import Mapping
from typing import Any

from pipelines.tracking.store import Store

log = logging.getLogger(__name__)

PROMOTED, ROLLED_BACK = "visionloop.model.promoted", "visionloop.model.rolled_back"

PATIENCE = {"MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "5", "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "1"}  # a command ends after its webhooks


def champion_changed(entry: Mapping[str, Any], name: str) -> None:
    """Emit a Prefect event about an entry that made another version champion, where a Prefect server is named (PREFECT_API_URL).

    Its id follows from the entry: an entry that is completed after a crash is the same event again.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return
    try:
        from prefect.events import emit_event

        before, after = entry["from"], entry["to"]
        emit_event(
            event=ROLLED_BACK if entry["event"] == "rollback" else PROMOTED,
            resource={
                "prefect.resource.id": f"visionloop.model.{name}.{after['version']}",
                "prefect.resource.name": f"{name} version {after['version']} ({after['model']})",
                "visionloop.task": entry["task"],
            },
            related=[{"prefect.resource.id": f"visionloop.model.{name}.{before['version']}", "prefect.resource.role": "previous"}]
            if before
            else [],
            payload={key: entry.get(key) for key in ("number", "at", "by", "from", "to", "reasons", "hash")},
            id=uuid.UUID(entry["hash"][:32]),
        )
    except Exception as error:
        log.warning("no Prefect event was sent of it: %s", error)


def alias_moved(store: Store, name: str, alias: str, version: int) -> None:
    """Deliver MLflow's `model_version_alias.created` webhooks; a server does so itself, a database that we write to does not."""
    if store.uri.startswith("http"):
        return
    for variable, value in PATIENCE.items():
        os.environ.setdefault(variable, value)
    try:
        from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
        from mlflow.webhooks.delivery import deliver_webhook
        from mlflow.webhooks.types import ModelVersionAliasCreatedPayload

        deliver_webhook(
            event=WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
            payload=ModelVersionAliasCreatedPayload(name=name, alias=alias, version=str(version)),
            store=store.client._get_registry_client().store,  # type: ignore[no-untyped-call]
        )
    except Exception as error:
        log.warning("MLflow's webhooks were not called: %s", error)
