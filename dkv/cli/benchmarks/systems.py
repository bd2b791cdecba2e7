"""A system that can be measured; and dkv, either a running cluster or one started for the measurement."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from dkv.cli.benchmarks import processes
from dkv.cli.benchmarks.drivers import LoadResult, ask, by_generator
from dkv.cli.benchmarks.workload import ALL_NODES, Usage, Workload
from dkv.cli.metrics import samples
from dkv.cli.nodes import NodeProcess
from dkv.cli.output import Failure, Status
from dkv.cli.own import end, own_nodes
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect

T = TypeVar("T")

ANSWER_SECONDS = 20.0
READY_SECONDS = 60.0
FILL_CLIENTS = 50
FILL_PIPELINE = 16
PATIENCE_SECONDS = 0.5
"""In a failover a client asks another node after this much silence."""


class System(Protocol):
    """A system that can be measured."""

    name: str

    def can(self, workload: Workload) -> bool:
        """Whether the system can do a workload."""

    def fill(self, keys: int, value_bytes: int) -> None:
        """Write every key once."""

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Send this many requests."""

    def usage(self) -> Usage:
        """What the system has used so far."""


@runtime_checkable
class Cluster(System, Protocol):
    """A system whose leader can be killed."""

    def write_for(self, clients: int, seconds: float) -> LoadResult:
        """Write with clients that go on with another node when theirs fails."""

    def kill_leader(self) -> Callable[[], None]:
        """Kill the leader as kill -9 does; the function that is returned starts it again, and waits until it serves."""


@runtime_checkable
class Spreadable(Protocol):
    """A system whose clients usually connect to all its nodes, whatever a workload says."""

    def spread(self) -> System:
        """The same system, asked in this way."""


# --- dkv ---


class Dkv:
    """dkv at ``endpoints``."""

    name = "dkv"

    def __init__(self, endpoints: Sequence[Endpoint], generator: str) -> None:
        self.endpoints = list(endpoints)
        self._generator = generator

    def can(self, workload: Workload) -> bool:
        """All of them."""
        return True

    def fill(self, keys: int, value_bytes: int) -> None:
        """Write every key once."""
        fill([self.leader()], keys, value_bytes)

    def run(self, workload: Workload, requests: int) -> LoadResult:
        """Ask the leader alone, or every node, followers first, so that a single client asks a follower."""
        leader = self.leader()
        others = [endpoint for endpoint in self.endpoints if endpoint != leader]
        return ask([*others, leader] if workload.to == ALL_NODES else [leader], workload, requests, self._generator)

    def usage(self) -> Usage:
        """Usage from the nodes' metrics, and for our own processes from Linux."""
        metrics = [self._metrics(endpoint) for endpoint in self.endpoints]
        cpu = [each.get("process_cpu_seconds_total") for each in metrics]
        return Usage(
            None if None in cpu else sum(filter(None, cpu)),
            processes.written_bytes(pids) if (pids := self.pids()) else None,
            int(sum(each["dkv_commit_seconds_count"] for each in metrics)),
        )

    def pids(self) -> Sequence[int]:
        """Its processes; none if they are not ours."""
        return ()

    def leader(self) -> Endpoint:
        """The endpoint of the leader, once there is one. Classic mode has none: then the first node."""

        def found() -> Endpoint | None:
            statuses = {endpoint: self._status(endpoint) for endpoint in self.endpoints}
            leader = {status["leader"] for status in statuses.values()}
            if leader == {0} and all(status["mode"] == "classic" for status in statuses.values()):
                return self.endpoints[0]
            return next((each for each, status in statuses.items() if leader == {status["node"]}), None)

        return wait(found, "the nodes of dkv name no leader among --endpoints: name all of a cluster's nodes")

    def _status(self, endpoint: Endpoint) -> dict[str, Any]:
        reply = self._call(endpoint, b"DKV.STATUS")
        try:
            status = json.loads(reply) if isinstance(reply, bytes) else None
        except (ValueError, RecursionError):
            status = None
        if not isinstance(status, dict) or not status.keys() >= {"leader", "node", "mode"}:
            raise Failure(Status.REFUSED, "ODD_ANSWER", f"{endpoint} does not answer as a node of dkv does")
        return status

    def _metrics(self, endpoint: Endpoint) -> dict[str, float]:
        reply = self._call(endpoint, b"DKV.METRICS")
        assert isinstance(reply, bytes), "it has answered DKV.STATUS"
        return {sample["name"]: sample["value"] for sample in samples(reply.decode()) if not sample["labels"]}

    def _call(self, endpoint: Endpoint, *request: bytes) -> Reply:
        try:
            with connection_to(endpoint) as connection:
                return connection.call(*request)
        except (NotSent, NoAnswer) as error:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"a node is not reachable: {error}") from None
        except ServerError as error:
            raise Failure(Status.REFUSED, "REFUSED", f"{endpoint} refused {request[0].decode()}: {error}") from None


class OwnDkv(Dkv):
    """A cluster of ``count`` nodes started for this, with its data in ``directory``."""

    def __init__(self, directory: Path, count: int, mode: str, generator: str, life: ExitStack) -> None:
        self.directory = directory
        self._nodes: list[NodeProcess] = []
        life.callback(lambda: end(self._nodes))
        self._nodes = self.make_nodes(directory, count, mode)
        super().__init__([node.endpoint for node in self._nodes], generator)
        for node in self._nodes:
            node.start()
        for node in self._nodes:
            _wait_serves(node)

    def make_nodes(self, directory: Path, count: int, mode: str) -> list[NodeProcess]:
        """The nodes, not started."""
        return own_nodes(directory, count, mode)

    def pids(self) -> Sequence[int]:
        """One for each node."""
        return [node.process.pid for node in self._nodes]

    def write_for(self, clients: int, seconds: float) -> LoadResult:
        """Write with clients that go on with another node when theirs fails."""
        return _write_patiently(self.endpoints, clients, seconds)

    def kill_leader(self) -> Callable[[], None]:
        """Kill the leader; the function starts it again, and waits until it serves."""
        leader = self.leader()
        (node,) = (node for node in self._nodes if node.endpoint == leader)
        node.process.kill()
        node.process.wait()

        def start() -> None:
            node.start()
            _wait_serves(node)

        return start

    def kill_follower(self) -> Callable[[], int]:
        """Kill a node that does not lead; the function starts it again, does not wait, and returns its number."""
        leader = self.leader()
        node = next(node for node in self._nodes if node.endpoint != leader)
        self.endpoints.remove(node.endpoint)  # until it is there again
        node.process.kill()
        node.process.wait()

        def start() -> int:
            node.start()
            return node.number

        return start

    def lag(self, number: int) -> int:
        """How many slots the node is behind those that the leader has counted chosen; many if it does not answer."""
        (node,) = (node for node in self._nodes if node.number == number)
        try:
            applied = int(self._status(node.endpoint)["applied_through"])
        except Failure:
            return sys.maxsize  # it is on its way up
        if node.endpoint not in self.endpoints:
            self.endpoints.append(node.endpoint)
        return int(self._status(self.leader())["chosen_through"]) - applied


def _wait_serves(node: NodeProcess) -> None:
    def serves() -> bool:
        if not node.running:
            text = f"node {node.number} ended at its start, {node.ending()}: {node.last_words()}"
            raise Failure(Status.FAILED, "NODE", text)
        return node.serves()

    wait(serves, f"node {node.number} does not serve (its log is {node.log_path})")


# --- tools ---


def wait(condition: Callable[[], T | None], what: str, seconds: float = READY_SECONDS) -> T:
    """The result of ``condition`` once it is true; ``Failure`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise Failure(Status.FAILED, "NOT_READY", f"{what}, not within {seconds:g} s")
        time.sleep(0.02)  # between two looks
    return result


def connection_to(endpoint: Endpoint) -> Connection:
    """A connection to a server that speaks Redis's protocol."""
    return connect(endpoint, ANSWER_SECONDS, ANSWER_SECONDS)


def fill(endpoints: Sequence[Endpoint], keys: int, value_bytes: int) -> None:
    """Write every key once, in Redis's protocol."""
    pipeline = max(1, min(FILL_PIPELINE, 64 * 1024 // value_bytes))
    orders = {"keys": keys, "requests": keys, "value_bytes": value_bytes, "operation": "fill"}
    by_generator(endpoints, clients=min(FILL_CLIENTS, keys), pipeline=pipeline, **orders)


def _write_patiently(endpoints: Sequence[Endpoint], clients: int, seconds: float) -> LoadResult:
    orders = {"seconds": seconds, "operation": "set", "patience_seconds": PATIENCE_SECONDS}
    return by_generator(endpoints, clients=clients, **orders)
