"""The stage of a scenario: nodes, its own or a user's, and ways to act on them."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dkv.cli.nodes import NodeProcess
from dkv.cli.own import STOP_SECONDS, end, interrupt, own_nodes
from dkv.cli.scenarios.report import Report, StepFailed
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError, connect

T = TypeVar("T")

ANSWER_SECONDS = 20.0
CONNECT_SECONDS = 3.0
READY_SECONDS = 30.0
DELETED_AT_ONCE = 500
STATUS_FIELDS = {
    "node",
    "mode",
    "leader",
    "chosen_through",
    "applied_through",
    "catchup_entries_applied",
    "duplicates_suppressed",
    "faults_allowed",
}
"""The part of a node's status that scenarios read."""


class Stage:
    """Nodes by number from 1. On a user's cluster every key gets a prefix and is deleted in the end.

    ``directory`` has the files of a cluster of its own.
    """

    def __init__(
        self,
        report: Report,
        endpoints: Sequence[Endpoint],
        nodes: Sequence[NodeProcess] = (),
        directory: Path = Path(),
    ) -> None:
        self.report = report
        self.directory = directory
        self.endpoints = dict(enumerate(endpoints, 1))
        self.nodes = {node.number: node for node in nodes}
        self.prefix = b"" if nodes else b"scenario-" + secrets.token_hex(4).encode() + b"-"
        self._keys: set[bytes] = set()

    @property
    def is_own(self) -> bool:
        """Whether nodes may be stopped, killed and started."""
        return bool(self.nodes)

    @property
    def numbers(self) -> list[int]:
        """The numbers of all nodes."""
        return list(self.endpoints)

    def others(self, *numbers: int) -> list[int]:
        """All nodes but these."""
        return [each for each in self.endpoints if each not in numbers]

    def key(self, name: str) -> bytes:
        """A key of this scenario."""
        key = self.prefix + name.encode()
        self._keys.add(key)
        return key

    # --- asking ---

    def connect(self, number: int) -> Connection:
        """A connection to a node."""
        return connect(self.endpoints[number], CONNECT_SECONDS, ANSWER_SECONDS)

    def call(self, number: int, *words: bytes | str | int) -> Reply:
        """Send one request to one node; raises the exceptions of ``dkv.client.blocking``."""
        encoded = tuple(each if isinstance(each, bytes) else str(each).encode() for each in words)
        with self.connect(number) as connection:
            return connection.call(*encoded)

    def status(self, number: int) -> dict[str, Any]:
        """A node's status, in its own words."""
        reply = self.call(number, "DKV.STATUS")
        try:
            status = json.loads(reply) if isinstance(reply, bytes) else None
        except ValueError:
            status = None
        if not isinstance(status, dict) or not status.keys() >= STATUS_FIELDS:
            self.report.fail(f"node {number} answers DKV.STATUS with {reply!r:.60}")
        return status

    def serves(self, number: int) -> bool:
        """Whether a node answers a linearizable read."""
        try:
            self.call(number, "GET", self.key("ready?"))
        except (NotSent, NoAnswer, ServerError):
            return False
        return True

    def leader(self) -> int:
        """The node that all nodes take for the leader; 0 in classic mode."""
        statuses = {number: self.status(number) for number in self.endpoints}
        if all(status["mode"] == "classic" for status in statuses.values()):
            return 0

        def agreed() -> int | None:
            found = {number: self.status(number) for number in self.endpoints}
            leaders = {status["leader"] for status in found.values()}
            if len(leaders) != 1 or leaders == {0}:
                return None
            (leader,) = leaders
            return next((number for number, status in found.items() if status["node"] == leader), None)

        return self.wait(agreed, "all nodes agree on a leader", 15.0)

    def wait(self, condition: Callable[[], T | None], what: str, seconds: float = READY_SECONDS) -> T:
        """The result of ``condition`` once it is true; a failed step after ``seconds``."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while not (result := condition()):
            if time.monotonic() > deadline:
                self.report.fail(f"{what}: not within {seconds:g} s")
            time.sleep(pause)  # between two looks
            pause = min(pause * 1.5, 0.05)
        return result

    def wait_even(self, numbers: Iterable[int]) -> None:
        """Wait until each of these nodes has applied all slots that any of them knows chosen by now."""
        asked = list(numbers)
        target = max(self.status(number)["chosen_through"] for number in asked)
        self.wait(
            lambda: all(self.status(number)["applied_through"] >= target for number in asked),
            f"nodes {', '.join(map(str, asked))} have applied slot {target}",
        )

    # --- doing ---

    def kill(self, number: int) -> None:
        """kill -9 a node, and wait until it is gone."""
        process = self.nodes[number].process
        process.kill()
        process.wait()

    def stop(self, number: int) -> None:
        """Stop a node cleanly."""
        process = self.nodes[number].process
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.report.fail(f"node {number} does not stop within {STOP_SECONDS:g} s")

    def add(self, node: NodeProcess) -> None:
        """Take in a node that the cluster did not begin with."""
        self.nodes[node.number] = node
        self.endpoints[node.number] = node.endpoint

    def drop(self, number: int) -> None:
        """Leave a node out from now on: it is no member any more, or cannot come back."""
        del self.endpoints[number]

    def start(self, number: int) -> None:
        """Start a node, and wait until it serves."""
        self.nodes[number].start()
        self.wait_ready(number)

    def wait_ready(self, number: int) -> None:
        """Wait until a node serves."""

        def ready() -> bool:
            node = self.nodes.get(number)
            if node is not None and not node.running:
                self.report.fail(f"node {number} ended: {node.ending()}: {node.last_words()}")
            return self.serves(number)

        self.wait(ready, f"node {number} serves")

    def clean_up(self) -> None:
        """Delete the keys written on a user's cluster, through any node that does it."""
        if self.is_own:
            return
        keys = sorted(self._keys)
        for start in range(0, len(keys), DELETED_AT_ONCE):
            for number in self.endpoints:
                try:
                    self.call(number, "DELETE", *keys[start : start + DELETED_AT_ONCE])
                    break
                except (NotSent, NoAnswer, ServerError):
                    continue
            else:
                self.report.step(f"keys that begin with {self.prefix.decode()} could not be deleted")


@contextmanager
def own_stage(report: Report, nodes: int, mode: str) -> Iterator[Stage]:
    """A new cluster in a temporary directory. It is ended and removed afterwards; after a FAIL its files are kept."""
    directory = Path(tempfile.mkdtemp(prefix="dkv-scenario-"))
    stage: Stage | None = None
    keep = False
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        processes = own_nodes(directory, nodes, mode)
        stage = Stage(report, [node.endpoint for node in processes], processes, directory)
        for node in processes:
            node.start()
        for node in processes:
            stage.wait_ready(node.number)
        what = "1 node" if nodes == 1 else f"{nodes} nodes"
        report.step(f"a cluster of {what} in {mode} mode serves", directory=str(directory))
        yield stage
    except StepFailed:
        keep = True
        report.figures["directory"] = str(directory)
        report.step(f"the logs of its nodes are kept in {directory}")
        raise
    finally:
        if stage is not None:
            end(list(stage.nodes.values()))
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
        signal.signal(signal.SIGTERM, previous)
