"""TF_CONFIG read or refused in words, and workers that wait for each other in Python, where Ctrl-C is heard."""

import json
import socket
import threading
from contextlib import closing

import pytest

from components.errors import ServiceError, UsageError
from components.train.cluster import Cluster, meet, read_cluster

TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


def told(cluster: dict[str, object], kind: str = "worker", index: int = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_the_first_worker_is_chief_unless_one_is_named():
    assert read_cluster(told({"worker": TWO}, index=1)) == Cluster(TWO, 1)
    chief = {"chief": ["10.0.0.9:1"], "worker": TWO}
    assert read_cluster(told(chief, "chief")) == Cluster(["10.0.0.9:1", *TWO], 0)
    assert read_cluster(told(chief, index=1)) == Cluster(["10.0.0.9:1", *TWO], 2)
    assert read_cluster(told(chief, index=1)).others == ["10.0.0.9:1", TWO[0]]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "needs the environment variable TF_CONFIG, such as"),
        ({"TF_CONFIG": "{'cluster': 1}"}, "cannot be read"),
        ({"TF_CONFIG": "[]"}, "cannot be read"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "KeyError: 'task'"),
        (told({"worker": ["machine-without-port"]}), "'machine-without-port' is no host:port"),
        (told({"worker": ["a:99999"]}), "'a:99999' is no host:port"),
        (told({"worker": TWO, "ps": ["b:1"]}), r"names \['ps'\]: expected only workers"),
        (told({"worker": TWO}, "evaluator"), "names evaluator"),
        (told({"worker": TWO}, index=2), "this is worker 2, but its cluster has 0 chief and 2 worker"),
        (told({"worker": TWO}, "chief"), "this is chief 0, but"),
        (told({"chief": TWO, "worker": TWO}), "one chief at most"),
    ],
)
def test_what_names_no_cluster_is_refused(environment, words):
    with pytest.raises(UsageError, match=words):
        read_cluster(environment)


def test_three_workers_meet_whoever_comes_first():
    addresses = [free_address() for _ in range(3)]
    came: list[int] = []

    def come(index: int) -> None:
        meet(Cluster(addresses, index), seconds=20)
        came.append(index)

    threads = [threading.Thread(target=come, args=[index]) for index in (2, 0, 1)]
    for thread in threads[:2]:
        thread.start()
    threads[0].join(0.6)
    assert not came  # not before the last one is there
    threads[2].start()
    # A worker that has met the others leaves its port to TensorFlow, whose server then answers there.
    servers = []
    while any(thread.is_alive() for thread in threads):
        for index in came[len(servers) :]:
            host, port = addresses[index].split(":")
            servers.append(socket.create_server((host, int(port))))
        threads[-1].join(0.05)
    for server in servers:
        server.close()
    assert sorted(came) == [0, 1, 2]


def test_one_that_does_not_come_is_named():
    missing = free_address()
    with pytest.raises(ServiceError, match=f"no worker answered at {missing} within 0 seconds: start it"):
        meet(Cluster([free_address(), missing], 0), seconds=0.1)


def test_a_port_in_use_and_another_machine_s_address_are_named():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"cannot listen at {address}"):
            meet(Cluster([address, "127.0.0.1:1"], 0))
    with pytest.raises(UsageError, match=r"the address of another machine\?"):
        meet(Cluster(["192.0.2.1:2222", "127.0.0.1:1"], 0))
