"""A registry on an MLflow server, used from two machines: one ledger, one promoter at a time, and MLflow's own webhooks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.promoters_stores import prepare
from components.errors import ServiceError
from pipelines import registry as module
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from pipelines.tracking.store import open_store
from pipelines.ui import serving
from tests.pipelines.fabricate import empty_store, settings
from tests.project import ROOT
from tests.webhooks import listening, wait_for

TASK = "classification"
UNGUARDED = dict.fromkeys(["max_recall_drop", "max_size_ratio", "max_latency_ratio", "max_ece_rise"])
SETTINGS = settings(floor=0.0, **UNGUARDED)
HOLD = """
import sys, time
from pathlib import Path
from pipelines.paths import Paths
from pipelines.registry import Registry
with Registry(Paths(Path(sys.argv[1])), sys.argv[2]).promoting("classification"):
    print("held", flush=True)
    time.sleep(120)
"""

pytestmark = pytest.mark.slow


def promoted(paths: Paths, url: str, model: str) -> str:
    return promote(TASK, paths, SETTINGS, [paths.evaluate(model)], None, Registry(paths, url)).verdict


def test_two_machines_share_one_ledger_and_one_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.chdir(tmp_path)
    server, one, two = (Paths(tmp_path / name) for name in ("server", "one", "two"))
    server.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), server.mlflow_store / "mlflow.db")
    prepare(server.root, f"sqlite:///{server.mlflow_store / 'mlflow.db'}", 3)
    for machine in (one, two):
        shutil.copytree(server.outputs, machine.outputs)
    store = open_store(server)
    with listening() as (address, heard), serving(store) as url:
        store.client.create_webhook("promotions", address, [WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)])
        assert promoted(one, url, "model01") == "promote"
        assert promoted(two, url, "model02") == "promote"
        assert promoted(one, url, "model01") == "keep"
        ledgers = [Registry(machine, url) for machine in (one, two)]
        assert ledgers[0].history(TASK) == ledgers[1].history(TASK)
        assert [entry["verdict"] for entry in ledgers[1].history(TASK)] == ["promote", "promote", "keep"]
        assert ledgers[0].ledger.verify([ledgers[0].settled(TASK)]) == []
        assert not (one.mlflow_store / "ledger.jsonl").exists()
        wait_for(heard, 4)
        told = sorted(one["data"]["alias"] for one in heard)
        assert told == ["challenger", "champion", "champion", "previous"], "each once, by the server"

        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(two.root), url], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        )
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with monkeypatch.context() as patch:
                patch.setattr(module, "LOCK_SECONDS", 8.0)  # longer than a turn that nobody renews would stand
                with pytest.raises(ServiceError, match=rf"turn 4 of the promoters .*process {holder.pid} of"):
                    promoted(one, url, "model03")
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
        died = time.monotonic()
        with Registry(one, url).promoting(TASK):
            assert time.monotonic() - died < 10
        assert promoted(one, url, "model03") == "promote"
