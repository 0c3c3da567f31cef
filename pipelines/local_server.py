"""A server of somebody else's, run as a process of ours on loopback and stopped on the way out."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from components.errors import ServiceError, UsageError

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 10.0
LOG_LINES = 15


@contextmanager
def local_server(command: Sequence[str], health: str, log: Path, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start `command`, wait until the address `health` answers, and stop the process and its children on the way out.

    Its output goes to `log`. Raises ServiceError with the end of the log when it does not come up.
    """
    process = start(command, log, environment)
    try:
        wait(process, health, log)
        yield process
    finally:
        stop(process.pid, process)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """The process, leader of a group of its own so that its children can be stopped with it."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=log.parent, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def wait(process: "subprocess.Popen[bytes]", health: str, log: Path) -> None:
    """Return once `health` answers; raises ServiceError when the process ends or START_SECONDS pass before."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    last = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:])
    raise ServiceError(f"the server behind {health} did not start; the end of {log}:\n{last}")


def stop(group: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """End a process group: politely first, for certain after STOP_SECONDS."""
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, wanted)
            if process is not None:
                process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_port(port: int | None = None) -> int:
    """A free port of loopback, or `port` if it is free; raises UsageError if not."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port or 0))
        except OSError as error:
            raise UsageError(f"port {port} cannot be used ({error.strerror}): name another with --port, or leave it out") from error
        return int(listener.getsockname()[1])
