"""One simulated client: it sends requests to a node, waits, gives up, and goes to another node.

A write with a token that got no clear answer is sent again, to other nodes, until it gets one, and stays one operation
of the history. Now and then a write that was answered is repeated, and must be answered alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dkv.client_events import ClientGone, Replies, Requests
from dkv.host.calls import PlannedCall
from dkv.kv.codes import BY_BARRIER
from dkv.replies import Error, Local, Result
from dkv.sim.crowd import Crowd
from dkv.sim.keyring import Keyring
from dkv.sim.producers import Producer
from dkv.sim.requests import Request
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode

NEW = [b"idmp", b"new"]
SENDS_ON = 0.7
"""The probability that a client which may send another message before it has its replies does so."""
DONE_MAX = 10
"""A repeat is one of this many latest answered writes with a token."""


class SimulatedClient:
    """One client: a connection to one node at a time, and messages on it that are sent and answered in order."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        habits = crowd.habits
        self.number = number
        self.connection = 0
        self.node: SimulatedNode | None = None
        self.patience = 0.0
        self._crowd = crowd
        self._ring = Keyring(b"c%d." % number, habits.own_keys, crowd.limits.key_bytes_max, own=True)
        self._life: Life = (0, 0)
        self._waiting: deque[Request] = deque()
        self._arrives_at = 0.0  # when the last bytes sent arrive at the node
        self._returns_at = 0.0  # when the last reply of the node arrives here
        self._timeout: PlannedCall | None = None
        self._next: PlannedCall | None = None
        self._again: list[Request] = []
        self._done: deque[Request] = deque(maxlen=DONE_MAX)
        self._sent = 0
        names = [None if habits.issued else b"p%d.%d" % (number, index) for index in range(habits.producers)]
        self._producers = [Producer(name) for name in names]

    @property
    def oldest(self) -> Request:
        """The request for whose reply it waits."""
        return self._waiting[0]

    @property
    def busy(self) -> bool:
        """Whether it waits for a reply."""
        return bool(self._waiting)

    # --- sending ---

    def go_on_after(self, seconds: float) -> None:
        """Send the next requests in a moment."""
        if self._next is not None:
            self._next.cancel()
        self._next = self._crowd.schedule.after(seconds, self._go_on)

    def _go_on(self) -> None:
        """Send the next requests, over this connection or a new one."""
        crowd = self._crowd
        if crowd.stopped:
            return
        node = self.node
        connected = node is not None and node.up and node.life == self._life
        if self._waiting and not connected:
            return  # the client will know in a moment that the connection is lost
        if not self._waiting and (not connected or crowd.random.random() < 0.05):
            node = self._connect()
        if node is None:
            self.go_on_after(crowd.random.uniform(0.05, 0.5))
            return
        again, self._again = self._again, []
        self._send(node, again or self._new_requests())
        if len(self._waiting) < crowd.habits.waiting_max and crowd.random.random() < SENDS_ON:
            self.go_on_after(crowd.moment())

    def ask(self, node: SimulatedNode, words: list[bytes]) -> Request:
        """Send one request to ``node`` over a new connection."""
        self._connect(node)
        request = self._request(words)
        self._send(node, [request])
        return request

    def _request(self, words: list[bytes], ring: Keyring | None = None) -> Request:
        now = self._crowd.schedule.now
        request = Request(self.number, 0, words, now, now, ring)
        self._crowd.requests.append(request)
        return request

    def _new_requests(self) -> list[Request]:
        random, habits = self._crowd.random, self._crowd.habits
        requests = []
        for _ in range(random.randint(1, habits.pipeline_max)):
            requests.append(self._new_request())
            if random.random() < habits.echoes:
                requests.append(self._request([b"echo", b"%d" % self._sent]))
        return requests

    def _new_request(self) -> Request:
        crowd, random = self._crowd, self._crowd.random
        ring = self._ring if random.random() < crowd.habits.own else crowd.ring
        if random.random() >= crowd.habits.writes:
            return self._request([b"get", ring.choose(random)], ring)
        producer = random.choice(self._producers) if random.random() < crowd.habits.tokens else None
        if producer is not None and producer.name is None:
            return self._request(NEW)
        request = self._request(crowd.invent(ring), ring)
        ring.opened(request.keys)
        if producer is not None and producer.name is not None:
            # A DELETE may be the same as that other write, and then it would be a repeat.
            reuses = random.random() < crowd.habits.reuses and request.words[0] != b"delete"
            request.token = (producer.name, producer.used_op(random) if reuses else producer.next_op(random))
            if request.wire_bytes > crowd.limits.request_bytes_max:
                request.token = None
        return request

    def _send(self, node: SimulatedNode, requests: list[Request]) -> None:
        crowd = self._crowd
        for request in requests:
            self._sent += 1
            request.node, request.sent, request.last_place = node.number, crowd.schedule.now, self._sent
            request.first_place = request.first_place or self._sent
        self._waiting.extend(requests)
        while requests:
            size = count = 0
            while count < len(requests) and (not count or size + requests[count].wire_bytes <= crowd.message_bytes_max):
                size += requests[count].wire_bytes
                count += 1
            self._tell(node, self._message(requests[:count], size))
            requests = requests[count:]
        self.patience = crowd.habits.patience
        self._wait()

    def _message(self, requests: list[Request], size: int) -> Requests:
        """The message that the node's client port makes of these requests."""
        items = [request.item(self._crowd.limits) for request in requests]
        entries = [item for item in items if isinstance(item, list)]
        reads = sum(entry[0] in BY_BARRIER for entry in entries)
        return Requests(self.connection, items, len(entries) - reads, reads, size)

    def _tell(self, node: SimulatedNode, message: Requests | ClientGone) -> None:
        """Bytes on a connection arrive in order."""
        crowd = self._crowd
        self._arrives_at = max(self._arrives_at, crowd.schedule.now + crowd.delay())
        crowd.schedule.at(self._arrives_at, node.run, node.port.take, message)

    def _wait(self) -> None:
        """Give up when the oldest request has waited too long."""
        if self._timeout is not None:
            self._timeout.cancel()
        self._timeout = None
        if self._waiting:
            self._timeout = self._crowd.schedule.at(self.oldest.sent + self.patience, self._give_up)

    # --- replies ---

    def replied(self, replies: Replies) -> None:
        """The node has answered. The bytes take a moment, arrive in order, and are lost with the connection."""
        crowd = self._crowd
        self._returns_at = max(self._returns_at, crowd.schedule.now + crowd.delay())
        crowd.schedule.at(self._returns_at, self._reach, replies)

    def _reach(self, replies: Replies) -> None:
        if self._crowd.connections.get(replies.connection) is self:
            self.take(replies.replies)

    def take(self, replies: Sequence[Result | Local]) -> None:
        """The node answers its oldest requests."""
        crowd = self._crowd
        for reply in replies:
            request = self._waiting.popleft()
            request.reply = reply.reply if type(reply) is Local else reply
            request.returned = crowd.schedule.now
            self._answered(request)
        self._wait()
        if not self._waiting:
            self.go_on_after(crowd.random.expovariate(1 / crowd.habits.think))

    def _answered(self, request: Request) -> None:
        """A clear answer is final; without one a write with a token is sent again."""
        crowd = self._crowd
        if request.words == NEW and isinstance(request.reply, bytes):
            self._has_issued(request.reply)
        if request.token is not None and isinstance(request.reply, Error):
            if request.is_forgotten:
                self._forget(request, request.token[0])
            elif not request.failed:
                request.unsure, request.returned = True, None
                self._again.append(request)
                return
        crowd.answered(request)
        if request.token is not None and request.known:
            self._done.append(request)
            if crowd.random.random() < crowd.habits.repeats:
                self._repeat(crowd.random.choice(self._done))

    def _repeat(self, done: Request) -> None:
        """Send a write that was answered once more: it must be answered alike."""
        repeat = self._request(done.words, done.ring)
        repeat.token, repeat.repeats = done.token, done.repeats or done
        self._again.append(repeat)

    def _has_issued(self, name: bytes) -> None:
        for producer in self._producers:
            if producer.name is None:
                producer.issue(name)
                break

    def _forget(self, request: Request, name: bytes) -> None:
        """The nodes do not know the fate of the request, or no longer: nobody will ever know it."""
        if request.unsure:
            request.returned = None
        for producer in self._producers:
            producer.forgotten(name)

    # --- endings ---

    def hang_up(self) -> None:
        """Close the connection: the requests on it get no answer."""
        crowd = self._crowd
        self._waiting.clear()
        self._wait()
        crowd.connections.pop(self.connection, None)
        node, self.node = self.node, None
        if node is not None:
            self._tell(node, ClientGone(self.connection))

    def lose(self) -> None:
        """The connection broke: go to another node after a moment, perhaps with the unanswered requests, as many do."""
        crowd = self._crowd
        retries = crowd.random.random() < crowd.habits.retries
        for request in self._waiting:
            if request.token is not None:
                request.unsure = True
                self._again.append(request)
            elif retries and request.is_operation:
                self._retry(request)
        self.hang_up()
        self.go_on_after(crowd.random.uniform(0.01, 0.3))

    def _retry(self, request: Request) -> None:
        """Send the same again, if its key can take one more write: the store cannot know that it is the same."""
        if request.ring is None:
            return  # It looks whether a node serves, and its user asks again by himself.
        if request.writes:
            if not request.ring.takes_writes(request.keys):
                return
            request.ring.opened(request.keys)
        self._again.append(self._request(request.words, request.ring))

    def _give_up(self) -> None:
        self._crowd.gave_up(self)
        self.lose()

    def _connect(self, node: SimulatedNode | None = None) -> SimulatedNode | None:
        crowd = self._crowd
        if self.node is not None:
            self.hang_up()
        ups = [each for each in crowd.nodes if each.up]
        node = node or (crowd.random.choice(ups) if ups else None)
        if node is not None:
            crowd.made += 1
            self.node, self._life, self.connection = node, node.life, crowd.made
            self._arrives_at = self._returns_at = 0.0
            crowd.connections[self.connection] = self
        return node
