"""All simulated clients of a run, the requests that they make, and all requests in order.

Written values are unique, except in requests that are sent again, so a read tells which write it saw.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from dkv.client_events import Replies
from dkv.net.client_connection import BYTES_PER_MESSAGE
from dkv.settings import Limits
from dkv.sim.habits import Habits
from dkv.sim.keyring import EDGE_BYTES_MAX, Keyring
from dkv.sim.requests import REQUEST_BYTES, WORD_BYTES, Request
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode

KINDS = (b"put", b"append", b"append", b"delete")
DELETED_MAX = 3
"""The most keys of a DELETE."""
EDGES = 0.15
"""The probability that a value is about as long as its limit allows, if that is not too long."""


class Asker(Protocol):
    """A client, as its crowd needs it."""

    number: int
    node: SimulatedNode | None
    connection: int
    patience: float

    @property
    def oldest(self) -> Request:
        """The request for whose reply it waits."""

    @property
    def busy(self) -> bool:
        """Whether it waits for a reply."""

    def go_on_after(self, seconds: float) -> None:
        """Send the next requests in a moment."""

    def replied(self, replies: Replies) -> None:
        """A node has answered."""

    def lose(self) -> None:
        """The connection broke."""


class Crowd:
    """All clients of a run, made by ``new_client`` with a number each, and all requests in order."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        nodes: list[SimulatedNode],
        habits: Habits,
        limits: Limits,
        delay: float,
        new_client: Callable[[Crowd, int], Asker],
    ) -> None:
        self.schedule = schedule
        self.random = random
        self.nodes = nodes
        self.habits = habits
        self.limits = limits
        self.ring = Keyring(b"k", habits.keys, limits.key_bytes_max)
        """The keys that all clients use."""
        self.requests: list[Request] = []
        self.connections: dict[int, Asker] = {}
        self.unanswered: list[Request] = []
        """The requests that a node should have answered and did not."""
        self.message_bytes_max = min(BYTES_PER_MESSAGE, limits.request_bytes_max)
        self.made = 0
        self.stopped = False
        self.clients = [new_client(self, number + 1) for number in range(habits.clients)]
        self._delay = delay
        self._values = 0

    def begin(self) -> None:
        """Let every client send its first request."""
        for client in self.clients:
            client.go_on_after(self.random.random() * self.habits.think)

    def replied(self, replies: Replies) -> None:
        """A node answers a connection."""
        client = self.connections.get(replies.connection)
        if client is not None:
            client.replied(replies)

    def node_ended(self, node: SimulatedNode) -> None:
        """Connections to the node break."""
        for client in self.clients:
            if client.node is node:
                self.schedule.after(self.delay(), self._break, client, client.connection)

    def invent(self, ring: Keyring) -> list[bytes]:
        """The words of a new write, with keys of ``ring``."""
        kind, key = self.random.choice(KINDS), ring.choose(self.random)
        room = self.limits.request_bytes_max - REQUEST_BYTES - 2 * WORD_BYTES - len(kind) - len(key)
        if kind == b"delete":
            words = [kind, key]
            for _ in range(self.random.choice((0, 0, DELETED_MAX - 1))):
                key = ring.choose(self.random)
                room -= WORD_BYTES + len(key)
                words += [key] if room >= 0 else []
            return words
        self._values += 1
        value = b"%d." % self._values
        bytes_max = self.limits.value_bytes_max
        if bytes_max <= EDGE_BYTES_MAX and self.random.random() < EDGES:
            value = value.ljust(min(bytes_max + self.random.choice((-1, 0, 0, 1)), room - WORD_BYTES), b"x")
        return [kind, key, value]

    def answered(self, request: Request) -> None:
        """A reply has come."""
        if request.repeats is None and request.writes and request.ring is not None:
            if request.known or request.failed or request.is_forgotten:
                request.ring.settled(request.keys)

    def gave_up(self, client: Asker) -> None:
        """A client's patience has ended: a node that has been running all the time should have answered by now."""
        node, request = client.node, client.oldest
        if node is None or not node.up or node.clock.paused or node.port.paused or node.resumed_at >= request.sent:
            return
        if client.patience > 1.5 * node.request_seconds:
            self.unanswered.append(request)

    def delay(self) -> float:
        """How long bytes travel between a client and a node, in seconds."""
        return self.random.uniform(0.2, 1.8) * self._delay

    def moment(self) -> float:
        """How long a client takes before it sends on without waiting, in seconds."""
        return self.random.choice((0.5, 5.0)) * self.delay()

    def _break(self, client: Asker, connection: int) -> None:
        if self.connections.get(connection) is client:
            client.lose()
