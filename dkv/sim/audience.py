"""The audience: simulated clients that subscribe and publish, while nodes crash and connections break.

They use the sessions of production, so what they ask takes effect in its place. Some publish behind a write of their
own. One never reads. They play only where they are named (``plan.SUBSCRIBERS``), and draw from a generator of their
own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Protocol, cast

from dkv.client_events import ClientGone, Replies, Requests
from dkv.console.client_session import ClientSession
from dkv.console.inspection import Inspection
from dkv.pubsub.exchange import Exchange
from dkv.records import Entry
from dkv.replies import Error, InPlace, Local, Nested, Notice, Series
from dkv.settings import Limits
from dkv.sim.audience_rules import AudienceRules
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.simulated_port import SUBSCRIBER_BYTES_MAX, SimulatedPort

CONNECTIONS_FROM = 1_000_000_000
"""The number of the first connection of the audience: the other clients have lower ones."""

NAMES = (
    *(b"subscribe a", b"subscribe b", b"ssubscribe s", b"psubscribe *", b"psubscribe a*"),
    *(b"psubscribe ab*", b"psubscribe abc*"),
)
CHANNELS = (b"publish a", b"publish b", b"publish ab", b"spublish s")
SUBSCRIBERS, PUBLISHERS = 5, 3
THINK_SECONDS = (0.02, 0.2)
"""The mean time between two things that one of them does, drawn from these."""


class _Backups(Protocol):
    def end(self, owner: object) -> None: ...


class _NoBackups:
    def end(self, owner: object) -> None:
        """There are none."""


class _Node:
    """What a session needs of its node here."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.backups: _Backups = _NoBackups()


class Spectator:
    """One client of the audience, on one connection after the other."""

    peer = "audience"

    def __init__(self, audience: Audience, reads: bool = True) -> None:
        self._audience = audience
        self._reads = reads
        self.connection = 0
        self.node: SimulatedNode | None = None
        self.unread_bytes = 0
        self._port: SimulatedPort
        self._session: ClientSession
        self._writes: deque[bytes] = deque()  # what it has published behind a write that is not answered
        self.killed = False
        self._arrives_at = 0.0  # when its last request does

    @property
    def connected(self) -> bool:
        """Whether its node still is in the life that it has connected to."""
        node = self.node
        return node is not None and node.up and node.port is self._port and not self.killed

    def connect(self, node: SimulatedNode) -> None:
        """Connect to a node that is up."""
        self.node, self._port = node, node.port
        self.connection = self._audience.new_connection()
        self.unread_bytes, self.killed = 0, False
        self._writes.clear()
        self._port.subscribers[self.connection] = self
        view = cast(Inspection, _Node(self._port.deliveries.exchange))
        self._session = ClientSession(self.connection, self.peer, self._audience.limits, view)
        self._session.interpret([b"hello", b"3"])

    def leave(self) -> None:
        """End the connection."""
        if self.connected or self.killed:
            self._port.subscribers.pop(self.connection, None)
            self._session.gone()
            self._port.take(ClientGone(self.connection))
        self.node = None

    def ask(self, *lines: bytes, text: bytes = b"") -> None:
        """Send requests at once; ``text`` is what is published behind a write."""
        schedule = self._audience.schedule
        self._arrives_at = max(self._arrives_at, schedule.now + self._audience.delay())  # in order, as over TCP
        schedule.after(self._arrives_at - schedule.now, self._arrive, self.connection, lines, text)

    def _arrive(self, connection: int, lines: Sequence[bytes], text: bytes) -> None:
        if not self.connected or connection != self.connection:
            return
        items: list[Entry | Local] = []
        for line in lines:
            meaning = self._session.interpret(line.split(b" "))
            assert isinstance(meaning, list | Local)
            items.append(meaning)
        writes = sum(isinstance(each, list) for each in items)
        if writes:
            self._writes.append(text)
        self._port.take(Requests(self.connection, items, writes, 0, sum(map(len, lines))))

    # --- what its port needs of it ---

    def answered(self, replies: Replies) -> None:
        """Its oldest requests are answered: what they do takes effect, in order, as it does where replies are
        encoded."""
        for item in replies.replies:
            if type(item) is Local and type(item.reply) is not Error:
                self._take(item.reply)
            else:  # an error is that of a write, refused before it got a number
                self._audience.rules.answered(self._writes.popleft())

    def _take(self, reply: Nested) -> None:
        match reply:
            case InPlace(make):
                self._take(make())
            case Series(several):
                for each in several:
                    self._take(each)
            case Notice():
                self._audience.rules.got(self.connection, reply)

    def push(self, notices: list[Notice]) -> None:
        """Messages have come."""
        for notice in notices:
            self._audience.rules.got(self.connection, notice)
            if not self._reads:
                self.unread_bytes += notice.size
        if self.unread_bytes > 2 * SUBSCRIBER_BYTES_MAX:
            self._audience.rules.violated(f"a subscriber left {self.unread_bytes} bytes unread, and was not cut off")

    def kill(self) -> None:
        """The node ends the connection: a moment later, as a transport does."""
        self.killed = True


class Audience:
    """All clients of the audience of a run, among ``nodes``."""

    def __init__(
        self, schedule: Schedule, random: Random, nodes: list[SimulatedNode], limits: Limits, rules: AudienceRules
    ) -> None:
        self.schedule = schedule
        self.limits = limits
        self.rules = rules
        self.stopped = False
        self._random = random
        self._nodes = nodes
        self._think = random.choice(THINK_SECONDS)
        self._connections = CONNECTIONS_FROM
        self._published = 0
        self._subscribers = [Spectator(self, reads=number > 0) for number in range(SUBSCRIBERS)]
        self._publishers = [Spectator(self) for _ in range(PUBLISHERS)]

    def begin(self) -> None:
        """Let them begin."""
        for subscriber in self._subscribers:
            self._later(self._watch, subscriber)
        for publisher in self._publishers:
            self._later(self._speak, publisher)

    def _later(self, act: object, spectator: Spectator) -> None:
        self.schedule.after(self._random.expovariate(1 / self._think), self._act, act, spectator)

    def _act(self, act: object, spectator: Spectator) -> None:
        if self.stopped:
            return
        up = [node for node in self._nodes if node.up and not node.clock.paused]
        if not spectator.connected:
            spectator.leave()
            if up:
                spectator.connect(self._random.choice(up))
        elif callable(act):
            act(spectator)
        self._later(act, spectator)

    def new_connection(self) -> int:
        """The number of another connection."""
        self._connections += 1
        return self._connections

    def delay(self) -> float:
        """How long a request travels, in seconds."""
        return self._random.uniform(0.0001, 0.002)

    def _watch(self, subscriber: Spectator) -> None:
        dice = self._random.random()
        if dice < 0.7:
            subscriber.ask(self._random.choice(NAMES))
        elif dice < 0.95:
            kind, _, name = self._random.choice(NAMES).partition(b"subscribe ")
            subscriber.ask(kind + b"unsubscribe " + name)
        else:
            subscriber.leave()

    def _speak(self, publisher: Spectator) -> None:
        if self._random.random() < 0.03:
            publisher.leave()
            return
        self.publish(publisher, self._random.choice(CHANNELS), self._random.random() < 0.4)

    def publish(self, publisher: Spectator, where: bytes, behind_a_write: bool = False) -> bytes:
        """Publish something new, perhaps behind a write of the same connection; what that is."""
        self._published += 1
        text = b"%d.%d" % (publisher.connection, self._published)
        self.rules.publishing(where, text, behind_a_write)
        line = where + b" " + text
        if behind_a_write:
            publisher.ask(b"set audience %d" % self._published, line, text=text)
        else:
            publisher.ask(line)
        return text

    def end(self) -> None:
        """Nobody does anything any more, and all connections end."""
        self.stopped = True
        for spectator in (*self._subscribers, *self._publishers):
            spectator.leave()

    def gather(self, nodes: Sequence[SimulatedNode]) -> list[Spectator]:
        """One subscriber on each of these nodes."""
        gathered = [Spectator(self) for _ in nodes]
        for spectator, node in zip(gathered, nodes, strict=True):
            spectator.connect(node)
            spectator.ask(b"subscribe a", b"psubscribe a*")
        return gathered
