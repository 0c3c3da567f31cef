"""The machines that train one model together, as TF_CONFIG names them, and how they wait for each other.

TF_CONFIG is TensorFlow's own format (https://www.tensorflow.org/guide/distributed_training#TF_CONFIG), the same on
every machine but for `task.index`:
{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}
"""

import json
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from components.errors import ServiceError, UsageError

WAIT_SECONDS = 600.0  # for the slowest worker to be started
POLL_SECONDS = 0.5
EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """Addresses `host:port` of all workers, the chief first, and which of them this process is."""

    addresses: list[str]
    index: int

    @property
    def others(self) -> list[str]:
        """Addresses of all but this worker."""
        return [address for number, address in enumerate(self.addresses) if number != self.index]


def read_cluster(environment: Mapping[str, str]) -> Cluster:
    """The cluster that TF_CONFIG of an environment names. Raises UsageError when it does not name one."""
    text = environment.get("TF_CONFIG")
    if not text:
        raise UsageError(f"strategy: multi_worker needs the environment variable TF_CONFIG, such as {EXAMPLE}; see docs/distributed.md")
    try:
        found = json.loads(text)
        jobs, task = found["cluster"], found["task"]
        kind, index = str(task["type"]), int(task["index"])
        chiefs, workers = _addresses(jobs, "chief"), _addresses(jobs, "worker")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG cannot be read ({type(error).__name__}: {error}): {text}; expected such as {EXAMPLE}") from None
    unknown = sorted(set(jobs) - {"chief", "worker"})
    if unknown or len(chiefs) > 1 or kind not in ("chief", "worker"):
        raise UsageError(f"TF_CONFIG names {unknown or kind}: expected only workers, and one chief at most, such as {EXAMPLE}")
    if not 0 <= index < len(chiefs if kind == "chief" else workers):
        raise UsageError(f"TF_CONFIG says that this is {kind} {index}, but its cluster has {len(chiefs)} chief and {len(workers)} worker")
    return Cluster(chiefs + workers, index + (len(chiefs) if kind == "worker" else 0))


def _addresses(jobs: Any, kind: str) -> list[str]:
    addresses = [str(address) for address in jobs.get(kind, [])]
    for address in addresses:
        _split(address)
    return addresses


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is no host:port")
    return host, int(port)


def meet(cluster: Cluster, seconds: float = WAIT_SECONDS) -> None:
    """Return once every worker of the cluster is there, each within `seconds` of this one.

    TensorFlow waits too, but for an hour, without a word, and deaf to Ctrl-C. Raises ServiceError when a worker does
    not come, UsageError when this one's port is not to be had.
    """
    address = cluster.addresses[cluster.index]
    with closing(_listening(address)):
        missing, end = cluster.others, time.monotonic() + seconds
        while missing := [other for other in missing if not _answers(other)]:
            if time.monotonic() > end:
                raise ServiceError(
                    f"no worker answered at {', '.join(missing)} within {seconds:.0f} seconds: start it, "
                    f"or mend its address in TF_CONFIG or what blocks its port, and start all workers again"
                )
            time.sleep(POLL_SECONDS)


def _listening(address: str) -> socket.socket:
    host, port = _split(address)
    try:
        return socket.create_server((host.strip("[]"), port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(
            f"this worker cannot listen at {address}, its address in TF_CONFIG ({error.strerror or error}): "
            f"is another worker still running there, or is it the address of another machine?"
        ) from None


def _answers(address: str) -> bool:
    host, port = _split(address)
    try:
        socket.create_connection((host.strip("[]"), port), timeout=POLL_SECONDS).close()
    except OSError:
        return False
    return True
