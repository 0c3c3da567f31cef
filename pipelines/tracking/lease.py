"""Who is at work on a run: its tags name a process and a lease, which the process renews for as long as it lives.

On one machine the process itself is looked for; of another machine's only the lease is known.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from pipelines.tracking.store import Store

LOG = logging.getLogger(__name__)

HOST, PID, STARTED = "visionloop.owner.host", "visionloop.owner.pid", "visionloop.owner.started"
LEASE = "visionloop.owner.lease"  # Unix seconds until which the owner has said that it lives
LEASE_SECONDS = 900.0  # many renewals, and clocks that differ by minutes
RENEW_SECONDS = 60.0
STOP_SECONDS = 2.0


def owner() -> dict[str, str]:
    """Tags that name this process and a lease of LEASE_SECONDS."""
    process = psutil.Process()
    return {HOST: machine(), PID: str(process.pid), STARTED: f"{process.create_time():.2f}", LEASE: f"{time.time() + LEASE_SECONDS:.0f}"}


def machine() -> str:
    """The name of this host; a container whose processes have numbers of their own is another one."""
    with suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink().name}"
    return socket.gethostname()


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process that a run's tags name is at work; one that no tag names is taken to be."""
    if HOST not in tags:
        return True
    if tags[HOST] in (machine(), socket.gethostname()):
        return _runs(int(tags[PID]), float(tags[STARTED]))
    return time.time() < float(tags.get(LEASE, "inf"))


def _runs(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False


class Renewal:
    """Renews the lease of a run from a thread of its own, until it is stopped or the process ends. Never raises.

    A run that another machine took for dead meanwhile, because the store could not be reached, is RUNNING again.
    """

    def __init__(self, store: Store, run_id: str, every: float = RENEW_SECONDS) -> None:
        self.store, self.run_id, self.every = store, run_id, every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{run_id[:8]}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Renew no more; waits a moment for a renewal under way."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def _renew(self) -> None:
        pid = os.getpid()
        while not self._stopped.wait(self.every) and os.getpid() == pid:
            try:
                self.store.client.set_tag(self.run_id, LEASE, f"{time.time() + LEASE_SECONDS:.0f}")
                if self.store.client.get_run(self.run_id).info.status == "KILLED":
                    self.store.client.update_run(self.run_id, status="RUNNING")
            except Exception as error:
                LOG.debug("the lease of run %s was not renewed: %s", self.run_id, error)
