"""What faults between a training and its MLflow server cost: runs and versions made twice, metrics lost.

    python -m benchmarks.tracking_faults [--faults 500] [--share 0.15] [--seed 0]

A real MLflow server runs on loopback, in a temporary folder, behind a proxy that mistreats a share of the requests: `drop`
closes the connection before the server hears of it, `reset` after it has done what was asked, `half` delivers half of the
answer's body, `error` answers 503 and `late` 500 after the server has done what was asked, `slow` answers after the client's
patience. Trainings, each a process of its own, log EPOCHS epochs of METRICS through it; each model is published and
registered, again and again until that succeeds. Once the number of faults is reached, every candidate is published and
registered once more without faults. Then the server's own database is asked what it holds.
"""

import argparse
import http.client
import multiprocessing
import os
import random
import socketserver
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TASK = "classification"
EPOCHS, METRICS = 20, ("loss", "val/accuracy")
KINDS = ("drop", "reset", "half", "error", "late", "slow")
SLOW_SECONDS = 2.5  # a training waits 2 s
ATTEMPTS = 200


class Proxy(ThreadingHTTPServer):
    """Passes requests on to `target`, and mistreats a `share` of them until `left` is 0."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target: str, share: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.share, self.left = urlsplit(target), share, 0
        self.random, self.counts, self.lock = random.Random(seed), Counter[str](), threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self) -> str | None:
        """What befalls the next request."""
        with self.lock:
            if self.left <= 0 or self.random.random() >= self.share:
                return None
            self.left -= 1
            kind = self.random.choice(KINDS)
            self.counts[kind] += 1
            return kind

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this is for."""


class Handler(BaseHTTPRequestHandler):
    """One request through the proxy."""

    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Pass on, or mistreat."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.server.fault()
        if kind == "drop":
            return self._hang_up()
        if kind == "error":
            return self._answer(503, [], b"")
        if kind == "slow":
            time.sleep(SLOW_SECONDS)
        status, headers, answer = self._passed_on(body)
        if kind == "reset":
            return self._hang_up()
        if kind == "late":
            return self._answer(500, [], b"")
        self._answer(status, headers, answer, half=kind == "half")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.target.hostname or "", self.server.target.port, timeout=60)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body, {**kept, "Host": self.server.target.netloc})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() in ("content-type", "content-disposition")]
        return answer.status, headers, content

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, half: bool = False) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        # Lingering for no time makes the system send a reset instead of an orderly end.
        self.connection.setsockopt(socketserver.socket.SOL_SOCKET, socketserver.socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


@contextmanager
def mistreated(root: Path, share: float, seed: int) -> Iterator[tuple[Proxy, Any]]:
    """The proxy before a server, and the server's own store."""
    from pipelines.tracking.store import open_store
    from pipelines.ui import serving
    from tests.pipelines.fabricate import project

    store = open_store(project(root / "server"), None)
    with serving(store) as url:
        proxy = Proxy(url, share, seed)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy, store
        proxy.shutdown()


def train(uri: str, root: Path, name: str, digest: str) -> None:
    """What the train stage tells MLflow."""
    from pipelines.paths import Paths
    from pipelines.tracking import Tracking

    live = Tracking(Paths(root), uri).start_candidate(TASK, name, f"{name}-dddddddd", {"epochs": EPOCHS}, {"visionloop.training": name})
    if live is None:
        return
    for epoch in range(EPOCHS):
        live.log_epoch(epoch, {metric: value(metric, epoch) for metric in METRICS})
    live.finish(digest)


def value(metric: str, epoch: int) -> float:
    """Any number that is known again."""
    return 1 / (epoch + 1) if metric == "loss" else epoch / EPOCHS


def persistently(act: Callable[[], Any]) -> Any:
    """Until it succeeds, as a scheduled flow comes back."""
    from components.errors import ServiceError

    last = ""
    for _ in range(ATTEMPTS):
        try:
            return act()
        except ServiceError as error:
            last = str(error)
            time.sleep(0.05)
    raise SystemExit(f"{ATTEMPTS} attempts failed, the last one with: {last}")


def candidate(paths: Any, number: int) -> Any:
    """A trained and evaluated model."""
    import json

    from tests.pipelines.fabricate import classifier

    made = classifier(paths, f"model{number:03d}", 10 + number % 20, seed=number)
    rows = [",".join([str(epoch), *(str(value(metric, epoch)) for metric in METRICS)]) for epoch in range(EPOCHS)]
    (made.model_dir / "history.csv").write_text("\n".join([",".join(["epoch", *METRICS]), *rows]) + "\n")
    (made.model_dir / "model.json").write_text(json.dumps({"training": f"model{number:03d}"}))
    return made


def delivered(made: Any, paths: Any, uri: str) -> None:
    """Publish and register, until it is done."""
    from pipelines.registry import Registry
    from pipelines.tracking import Tracking

    run_id = persistently(lambda: Tracking(paths, uri).publish(made.model_dir, made.evaluate_dir))
    persistently(lambda: Registry(paths, uri).register(TASK, run_id))


def told(store: Any, candidates: list[Any]) -> dict[str, int]:
    """What the server holds that it should not, and what it lacks."""
    client, experiment = store.client, store.experiment(TASK)
    runs = list(client.search_runs([experiment], max_results=10_000))
    versions = Counter(
        found.tags["visionloop.model_sha256"] for found in client.search_model_versions("name = 'classifier'", max_results=10_000)
    )
    found = Counter(run.data.tags.get("visionloop.model_sha256", "none") for run in runs)
    lost = wrong = 0
    for made in candidates:
        run = next(run for run in runs if run.data.tags.get("visionloop.model_sha256") == made.sha256)
        for metric in METRICS:
            points = Counter((point.step, round(point.value, 12)) for point in client.get_metric_history(run.info.run_id, metric))
            expected = {(epoch, round(value(metric, epoch), 12)) for epoch in range(EPOCHS)}
            lost += len(expected - points.keys())
            wrong += sum(count - 1 for point, count in points.items() if point in expected)
    return {
        "versions made twice": sum(versions[made.sha256] - 1 for made in candidates),
        "runs made twice": sum(found[made.sha256] - 1 for made in candidates),
        "runs without a model": found["none"],
        "runs still RUNNING": sum(run.info.status == "RUNNING" for run in runs),
        "metrics lost": lost,
        "metrics logged twice": wrong,
    }


def main() -> int:
    """Measure; answers 1 when a version was made twice or a metric lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.15, help="of the requests")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ |= {"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "pipelines.tracking"])
    with tempfile.TemporaryDirectory() as place, mistreated(Path(place), given.share, given.seed) as (proxy, store):
        from pipelines.paths import Paths

        paths, candidates = Paths(Path(place) / "client"), []
        proxy.left = given.faults
        while proxy.left > 0:
            made = candidate(paths, len(candidates))
            candidates.append(made)
            name = made.model_dir.name
            process = context.Process(target=train, args=(proxy.url, paths.root, name, made.sha256))
            process.start()
            process.join()
            delivered(made, paths, proxy.url)
        for made in candidates:
            delivered(made, paths, proxy.url)
        from pipelines.tracking import Tracking

        Tracking(paths, proxy.url).reconcile()
        found = told(store, candidates)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(proxy.counts.items()))
        print(f"seed {given.seed}: {sum(proxy.counts.values())} faults ({kinds}) over {len(candidates)} candidates of {EPOCHS} epochs")
        for name, count in found.items():
            print(f"  {name:22} {count}")
    return int(bool(found["versions made twice"] or found["metrics lost"]))


if __name__ == "__main__":
    raise SystemExit(main())
