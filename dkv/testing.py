"""A simulated cluster for the tests of programs that use dkv: no process, no port, no waiting, and never flaky.

The nodes are real, with the actors, host and codec of production; clock, network and disks are simulated
(``dkv.sim``). Every call lets as much simulated time pass as it needs, which takes a few milliseconds of real time, and
the same ``seed`` always gives the same run. Every invariant of the protocol is checked all the time::

    class RetryTests(unittest.TestCase):
        def test_survives_its_leader(self):
            cluster = SimulatedCluster(seed=1)
            cluster.put(b"x", b"1")
            cluster.crash(cluster.leader())
            self.assertEqual(cluster.get(b"x"), b"1")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dkv.asserts import REFUSAL, assertions_left_out
from dkv.client.blocking import NoAnswer
from dkv.replies import Error, Simple
from dkv.settings import LEADER
from dkv.sim.requests import Request
from dkv.sim.simulated_client import SimulatedClient
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.verdict import judge
from dkv.sim.world import World

__all__ = ("InvariantBroken", "NoAnswer", "Pending", "Refused", "SimulatedCluster")

START_SECONDS = 30.0
KINDS = frozenset((b"put", b"get", b"append", b"delete"))


class Refused(Exception):
    """A node answered with an error; ``word`` is its first word, which tells what to conclude (docs/protocol.md)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.word = text.partition(" ")[0]


class InvariantBroken(AssertionError):
    """The cluster broke one of its promises: a bug in dkv. The text says which; report it with the seed."""


class Pending:
    """A request that was sent. ``answered`` says whether its reply has come; ``result`` has it."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def answered(self) -> bool:
        """Whether the reply has come."""
        return self._request.returned is not None

    def result(self) -> Any:
        """The reply; ``Refused`` if it is an error, ``NoAnswer`` if none has come."""
        reply = self._request.reply
        if not self.answered:
            raise NoAnswer(f"node {self._request.node} has not answered {self._request.words!r}")
        if isinstance(reply, Error):
            raise Refused(reply.text)
        return reply.text if isinstance(reply, Simple) else reply


class SimulatedCluster:
    """``nodes`` nodes, numbered from 1, that are up and serve; ``mode`` is "leader" or "classic".

    Times are in simulated seconds. A method that takes a ``node`` asks the lowest one that is up if none is given.
    """

    def __init__(self, nodes: int = 3, *, seed: int = 0, mode: str = LEADER) -> None:
        if assertions_left_out():
            raise RuntimeError(REFUSAL)
        self._world = World(seed, nodes, 0.0, frozenset(), mode=mode)
        self._answer_seconds = 4 * self._world.plan.timings.request_seconds
        self._world.crowd.stopped = True  # its clients send only what they are told to send
        self._world.crowd.habits.patience = self._answer_seconds
        self._clients = 0
        for node in self._world.nodes:
            node.start()
        self._until(lambda: all(map(SimulatedNode.members_seen, self._world.nodes)), START_SECONDS, "the members met")
        for node in self._world.nodes:
            self.wait_until_serving(node.number)

    # --- requests ---

    def put(self, key: bytes, value: bytes, *, node: int | None = None) -> None:
        """Set a key."""
        self.call(b"put", key, value, node=node)

    def get(self, key: bytes, *, node: int | None = None) -> bytes | None:
        """The value of a key; None if the key does not exist."""
        value: bytes | None = self.call(b"get", key, node=node)
        return value

    def append(self, key: bytes, value: bytes, *, node: int | None = None) -> int:
        """Append to the value of a key, and return the new length."""
        length: int = self.call(b"append", key, value, node=node)
        return length

    def delete(self, key: bytes, *, node: int | None = None) -> bool:
        """Delete a key, and return whether it existed."""
        return bool(self.call(b"delete", key, node=node))

    def call(self, *words: bytes, node: int | None = None) -> Any:
        """Send one request (put, get, append or delete, of one key) and wait for its reply.

        ``Refused`` if the node answers with an error; ``NoAnswer`` if it goes down before it answers.
        """
        pending = self.send(*words, node=node)
        asked = self._world.node(pending._request.node)
        boot = asked.boot
        self._until(
            lambda: pending.answered or not asked.up or asked.boot != boot,
            self._answer_seconds,
            f"node {asked.number} answered",
        )
        return pending.result()

    def send(self, *words: bytes, node: int | None = None) -> Pending:
        """Send a request and do not wait: ``run`` lets time pass, and the test decides what happens meanwhile."""
        name, *rest = words
        if name.lower() not in KINDS or len(rest) != (2 if name.lower() in (b"put", b"append") else 1):
            raise ValueError(f"{words!r} is no put, get, append or delete of one key")
        up = [each for each in self._world.nodes if each.up and node in (None, each.number)]
        if not up:
            raise NoAnswer("no node is up" if node is None else f"node {node} is not up")
        self._clients += 1
        return Pending(SimulatedClient(self._world.crowd, self._clients).ask(up[0], [name.lower(), *rest]))

    # --- what happens to it ---

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._world.run(seconds)
        self._check()

    def crash(self, node: int) -> None:
        """kill -9: everything that the node has not synced to its disk is lost."""
        self._node(node).crash()
        self._check()

    def restart(self, node: int) -> None:
        """Start a node that is down, on the disk that it left."""
        if self._node(node).up:
            raise ValueError(f"node {node} is up")
        self._node(node).start()
        self._check()

    def partition(self, *sides: Iterable[int]) -> None:
        """Let nothing pass between nodes of different ``sides``. A node that is in none of them is alone."""
        side_of = {node: number for number, side in enumerate(sides) for node in side}
        numbers = [node.number for node in self._world.nodes]
        for one in numbers:
            for other in numbers:
                if one != other and (one not in side_of or side_of[one] != side_of.get(other)):
                    self._world.network.wires.cut(one, other)

    def heal(self) -> None:
        """Let everything pass again."""
        self._world.network.wires.mend_all()

    # --- how it is ---

    @property
    def now(self) -> float:
        """Simulated seconds since the beginning."""
        return self._world.schedule.now

    def leader(self) -> int:
        """Wait for a leader, and return its node; ``NoAnswer`` if there is none in time, as in classic mode."""

        def found() -> int | None:
            leading = {node: ballot for node, ballot in self._world.leading.items() if self._node(node).up}
            return max(leading, key=lambda node: leading[node], default=None)

        try:
            self._until(found, START_SECONDS, "somebody came to lead")
        except AssertionError as error:
            if isinstance(error, InvariantBroken):
                raise
            raise NoAnswer("nobody leads") from None
        leader = found()
        assert leader is not None
        return leader

    def wait_until_serving(self, node: int) -> None:
        """Let time pass until the node answers a linearizable read."""

        def serves() -> bool:
            try:
                self.get(b"serving?", node=node)
            except (Refused, NoAnswer):
                return False
            return True

        until = self.now + START_SECONDS
        while not serves():
            if self.now > until:
                raise AssertionError(f"node {node} did not serve within {START_SECONDS:g} simulated seconds")
            self.run(0.1)

    def check(self) -> None:
        """``InvariantBroken`` unless the answers to all requests so far are linearizable."""
        complaint = judge(self._world.crowd.requests, self._world.executions)
        if complaint is not None:
            raise InvariantBroken(f"seed {self._world.seed}: {complaint}")

    def _node(self, number: int) -> SimulatedNode:
        if number not in {node.number for node in self._world.nodes}:
            raise ValueError(f"there is no node {number}")
        return self._world.node(number)

    def _until(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        reached = self._world.run_until(condition, seconds)
        self._check()
        if not reached:
            raise AssertionError(f"not within {seconds:g} simulated seconds: {what}")

    def _check(self) -> None:
        if self._world.violation is not None:
            raise InvariantBroken(f"seed {self._world.seed}: {self._world.violation}")
