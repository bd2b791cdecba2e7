"""Simulated clients: each sends requests to some node, waits, gives up, goes elsewhere; all is written down.

Written values are unique but for requests that are sent again, so that a read tells which write it saw. A key is left
alone when too many writes were sent to it whose outcome is not known: each of those makes the search for a
linearization longer.

A write with a token that got no clear answer is sent again until it gets one, elsewhere, and stays one operation of the
history. Now and then one that was answered is repeated, and must be answered alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dkv.events import ClientGone, Replies, Requests
from dkv.kv.commands import interpret
from dkv.replies import OK, Error
from dkv.settings import Limits
from dkv.sim.node import Node
from dkv.sim.schedule import Event, Schedule

OPEN_WRITES_MAX = 6
KEY_REQUESTS_MAX = 150
NOT_APPLIED = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MISCONF", "ERR", "IDMPOLD")
OPS_AT_ONCE = 4
"""So many op ids are drawn together and used in any order."""


@dataclass(slots=True, eq=False)
class Request:
    """One request of a client, and what became of it. Unanswered, or answered UNCERTAIN, its outcome is unknown.

    ``called`` is when it was sent first, ``sent`` when last, in simulated seconds.
    """

    client: int
    node: int
    words: list[bytes]
    called: float
    sent: float
    token: tuple[bytes, int] | None = None
    repeats: Request | None = None
    """The answered request that this one repeats: no operation of its own."""
    unsure: bool = False
    """Whether it was sent before and may have been executed then."""
    returned: float | None = None
    reply: Any = None

    @property
    def failed(self) -> bool:
        """Whether it was refused as not applied."""
        return isinstance(self.reply, Error) and self.reply.text.startswith(NOT_APPLIED) and not self.unsure

    @property
    def is_operation(self) -> bool:
        """Whether it is one for the history."""
        return self.repeats is None and self.words[0] != b"idmp"

    def on_the_wire(self) -> list[bytes]:
        """The words that are sent."""
        return self.words if self.token is None else [b"idmp", self.token[0], b"%d" % self.token[1], *self.words]

    @property
    def known(self) -> bool:
        """Whether its outcome is known and it took effect."""
        return self.returned is not None and not isinstance(self.reply, Error)


@dataclass(slots=True)
class Habits:
    """How clients behave; times in seconds."""

    clients: int = 4
    keys: int = 2
    think: float = 0.02
    patience: float = 7.0
    pipeline_max: int = 1
    writes: float = 0.6
    retries: float = 0.0
    """How likely a client sends again, elsewhere, what was not answered and has no token."""
    tokens: float = 0.0
    """How likely a write has a token."""
    repeats: float = 0.0
    """How likely a write with a token that was answered is sent once more."""
    issued: bool = False
    """Whether producers are those that IDMP NEW issues."""


@dataclass(slots=True)
class _Keys:
    """The keys in use, replaced one by one: how often each was used, and its writes whose outcome is not known yet."""

    names: list[bytes] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    open_writes: dict[bytes, int] = field(default_factory=dict)
    made: int = 0

    def renew(self, index: int) -> None:
        """A fresh key in place of an old one."""
        self.made += 1
        name = b"k%d" % self.made
        self.names[index : index + 1] = [name]
        self.used[index : index + 1] = [0]
        self.open_writes[name] = 0

    def choose(self, random: Random) -> bytes:
        """A key for a request."""
        index = random.randrange(len(self.names))
        if self.used[index] >= KEY_REQUESTS_MAX or self.open_writes[self.names[index]] >= OPEN_WRITES_MAX:
            self.renew(index)
        self.used[index] += 1
        return self.names[index]


class Client:
    """One client: a connection to one node at a time, one pipeline of requests at a time."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.number = number
        self.connection = 0
        self.node: Node | None = None
        self.patience = 0.0
        self._crowd = crowd
        self._boot = 0
        self._waiting: deque[Request] = deque()
        self._timeout: Event | None = None
        self._next: Event | None = None
        self._again: list[Request] = []
        self._producer: bytes | None = None
        self._ops: list[int] = []
        self._ops_used = 0

    @property
    def oldest(self) -> Request:
        """The request that it waits for."""
        return self._waiting[0]

    @property
    def busy(self) -> bool:
        """Whether it waits for a reply."""
        return bool(self._waiting)

    def go_on_after(self, seconds: float) -> None:
        """Send the next requests in a moment."""
        if self._next is not None:
            self._next.cancel()
        self._next = self._crowd.schedule.after(seconds, self._go_on)

    def _go_on(self) -> None:
        """Send the next requests, over this connection or a new one."""
        crowd = self._crowd
        if self._waiting or crowd.stopped:
            return
        node = self.node
        if node is None or not node.up or node.boot != self._boot or crowd.random.random() < 0.05:
            node = self._connect()
        if node is None:
            self.go_on_after(crowd.random.uniform(0.05, 0.5))
            return
        again, self._again = self._again, []
        count = crowd.random.randint(1, crowd.habits.pipeline_max)
        self._send(node, again or [self._new_request() for _ in range(count)])

    def ask(self, node: Node, words: list[bytes]) -> Request:
        """Send one request to ``node`` over a new connection."""
        self._connect(node)
        request = self._request(words)
        self._send(node, [request])
        return request

    def _request(self, words: list[bytes]) -> Request:
        now = self._crowd.schedule.now
        request = Request(self.number, 0, words, now, now)
        self._crowd.requests.append(request)
        return request

    def _new_request(self) -> Request:
        crowd = self._crowd
        words = crowd.invent()
        if words[0] == b"get" or not crowd.habits.tokens or crowd.random.random() >= crowd.habits.tokens:
            return self._request(words)
        if self._producer is None and crowd.habits.issued:
            crowd.forget(words)
            return self._request([b"idmp", b"new"])
        request = self._request(words)
        request.token = (self._producer or b"p%d" % self.number, self._next_op())
        return request

    def _next_op(self) -> int:
        if not self._ops:
            self._ops = list(range(self._ops_used + 1, self._ops_used + OPS_AT_ONCE + 1))
            self._ops_used += OPS_AT_ONCE
            self._crowd.random.shuffle(self._ops)
        return self._ops.pop()

    def _send(self, node: Node, requests: list[Request]) -> None:
        crowd = self._crowd
        for request in requests:
            request.node, request.sent = node.number, crowd.schedule.now
        self._waiting.extend(requests)
        entries = [interpret(request.on_the_wire(), crowd.limits) for request in requests]
        reads = sum(request.words[0] == b"get" for request in requests)
        message = Requests(self.connection, entries, len(entries) - reads, reads, 64 * len(entries))
        crowd.schedule.after(crowd.delay(), node.run, node.port.take, message)
        self.patience = crowd.habits.patience
        self._timeout = crowd.schedule.after(self.patience, self._give_up)

    def take(self, replies: list[Any]) -> None:
        """The node answers its oldest requests."""
        crowd = self._crowd
        for reply in replies:
            request = self._waiting.popleft()
            request.reply, request.returned = reply, crowd.schedule.now
            self._answered(request)
        if not self._waiting and self._timeout is not None:
            self._timeout.cancel()
            self.go_on_after(crowd.random.expovariate(1 / crowd.habits.think))

    def _answered(self, request: Request) -> None:
        """A clear answer is final; else a write with a token is sent again."""
        crowd = self._crowd
        if request.words == [b"idmp", b"new"] and isinstance(request.reply, bytes):
            self._producer, self._ops_used, self._ops = request.reply, 0, []
        if request.token is not None and isinstance(request.reply, Error):
            if request.reply.text.startswith("IDMPOLD"):
                self._producer = None
                request.returned = None if request.unsure else request.returned
            elif request.unsure or request.reply.text.startswith("UNCERTAIN"):
                request.unsure, request.returned = True, None
                self._again.append(request)
                return
        crowd.answered(request)
        if request.token is not None and request.known and crowd.random.random() < crowd.habits.repeats:
            repeat = self._request(request.words)
            repeat.token, repeat.repeats = request.token, request.repeats or request
            self._again.append(repeat)

    def hang_up(self) -> None:
        """Close the connection; what was asked on it has no answer."""
        crowd = self._crowd
        self._waiting.clear()
        if self._timeout is not None:
            self._timeout.cancel()
        crowd.connections.pop(self.connection, None)
        node, self.node = self.node, None
        if node is not None:
            crowd.schedule.after(crowd.delay(), node.run, node.port.take, ClientGone(self.connection))

    def lose(self) -> None:
        """The connection broke: go elsewhere, after a moment, maybe with what was not answered, as many clients do."""
        retries = self._crowd.random.random() < self._crowd.habits.retries
        for request in self._waiting:
            if request.token is not None:
                request.unsure = True
                self._again.append(request)
            elif retries and request.is_operation:
                self._again.append(self._request(self._crowd.repeat(request.words)))
        self.hang_up()
        self.go_on_after(self._crowd.random.uniform(0.01, 0.3))

    def _give_up(self) -> None:
        self._crowd.gave_up(self)
        self.lose()

    def _connect(self, node: Node | None = None) -> Node | None:
        crowd = self._crowd
        if self.node is not None:
            self.hang_up()
        ups = [each for each in crowd.nodes if each.up]
        node = node or (crowd.random.choice(ups) if ups else None)
        if node is not None:
            crowd.made += 1
            self.node, self._boot, self.connection = node, node.boot, crowd.made
            crowd.connections[self.connection] = self
        return node


class Crowd:
    """All clients of a run, and all their requests in order."""

    def __init__(
        self, schedule: Schedule, random: Random, nodes: list[Node], habits: Habits, limits: Limits, delay: float
    ) -> None:
        self.schedule = schedule
        self.random = random
        self.nodes = nodes
        self.habits = habits
        self.limits = limits
        self.requests: list[Request] = []
        self.connections: dict[int, Client] = {}
        self.unanswered: list[Request] = []
        """Those that a node should have answered and did not."""
        self.unlike: list[Request] = []
        """Repeats that were answered otherwise than what they repeat."""
        self.made = 0
        self.stopped = False
        self.clients = [Client(self, number + 1) for number in range(habits.clients)]
        self._delay = delay
        self._keys = _Keys()
        self._values = 0
        for index in range(habits.keys):
            self._keys.renew(index)

    def begin(self) -> None:
        """Let every client send its first request."""
        for client in self.clients:
            client.go_on_after(self.random.random() * self.habits.think)

    def replied(self, replies: Replies) -> None:
        """A node answers a connection; the bytes take a moment, and are lost if the connection is."""
        client = self.connections.get(replies.connection)
        if client is not None:
            self.schedule.after(self.delay(), self._reach, client, replies)

    def node_ended(self, node: Node) -> None:
        """Connections to the node break."""
        for client in self.clients:
            if client.node is node:
                self.schedule.after(self.delay(), self._break, client, client.connection)

    def invent(self) -> list[bytes]:
        """The words of a new request."""
        key = self._keys.choose(self.random)
        if self.random.random() >= self.habits.writes:
            return [b"get", key]
        self._keys.open_writes[key] += 1
        self._values += 1
        kind = self.random.choice((b"put", b"append", b"append", b"delete"))
        return [kind, key] if kind == b"delete" else [kind, key, b"%d." % self._values]

    def forget(self, words: list[bytes]) -> None:
        """The request is not sent."""
        self._keys.open_writes[words[1]] -= 1

    def repeat(self, words: list[bytes]) -> list[bytes]:
        """The words of a request that is sent again: nothing tells the store that it is the same one."""
        if words[0] != b"get":
            self._keys.open_writes[words[1]] = self._keys.open_writes.get(words[1], 0) + 1
        return words

    def answered(self, request: Request) -> None:
        """A reply has come."""
        if request.repeats is not None:
            first = request.repeats.reply
            if request.known and (type(request.reply), request.reply) != (type(first), first):
                self.unlike.append(request)
        elif request.is_operation and request.words[0] != b"get" and (request.known or request.failed):
            key = request.words[1]
            self._keys.open_writes[key] = self._keys.open_writes.get(key, 0) - 1

    def gave_up(self, client: Client) -> None:
        """A client's patience has ended: a node that runs, and has run all the time, should have answered by then."""
        node, request = client.node, client.oldest
        if node is not None and node.up and not node.clock.paused and node.resumed_at < request.sent:
            if client.patience > 1.5 * node.request_seconds:
                self.unanswered.append(request)

    def delay(self) -> float:
        """How long bytes are on their way between a client and a node."""
        return self.random.uniform(0.2, 1.8) * self._delay

    def _reach(self, client: Client, replies: Replies) -> None:
        if self.connections.get(replies.connection) is client:
            client.take(replies.replies)

    def _break(self, client: Client, connection: int) -> None:
        if self.connections.get(connection) is client:
            client.lose()


def is_fitting(request: Request) -> bool:
    """Whether a reply is of the kind that its request can have."""
    word, reply = request.words[0], request.reply
    if isinstance(reply, Error):
        return reply.text.startswith(NOT_APPLIED) or (word != b"get" and reply.text.startswith("UNCERTAIN"))
    if word == b"get":
        return reply is None or isinstance(reply, bytes)
    if word == b"idmp":
        return isinstance(reply, bytes)
    if word == b"put":
        return bool(reply == OK)
    return isinstance(reply, int) and (word == b"append" or reply in (0, 1))
