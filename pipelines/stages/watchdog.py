"""A stage does not outlive the run that asked for it."""

import os
import signal
import threading
import time

import psutil

PARENT = "VISIONLOOP_PARENT"
POLL_SECONDS = 1.0
GRACE_SECONDS = 10.0


def watch_parent() -> None:
    """Interrupt this process once the one that VISIONLOOP_PARENT names is gone; without that name, do nothing.

    The direct parent is DVC's shell, which a killed run leaves behind. The interrupt lets the stage remove its partial
    output; a stage that does not end within GRACE_SECONDS is ended for certain.
    """
    named = os.environ.get(PARENT, "")
    if named.isdigit():
        threading.Thread(target=_watch, args=(int(named),), name="watchdog", daemon=True).start()


def _watch(pid: int) -> None:
    try:
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(130)
