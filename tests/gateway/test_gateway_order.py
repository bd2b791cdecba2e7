"""Whatever happens around a gateway, each connection's requests take effect and are answered in their order."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import PROPOSER, Address
from dkv.client_events import BatchApplied, ClientGone, Read, ReadResults
from dkv.gateway.gathering import LULL_SECONDS
from dkv.messages import Barrier, Want
from dkv.records import Batch
from dkv.replies import Error, Local, Result, Simple
from dkv.settings import Limits
from dkv.wire.codec import decode_entries
from tests.gateway.one_gateway import IDENTITY, SIZE, OneGateway, append, get, key, requests, word

LATE_SECONDS = 0.3
"""How long after the request timeout an answer may come."""

KINDS = st.lists(st.sampled_from(["Wa", "Ra", "Wb", "Rb", "L"]), min_size=1, max_size=4)
SEND = st.tuples(st.just("send"), st.integers(1, 3), KINDS)
WORK = st.tuples(st.sampled_from(["submit", "apply", "ask", "answer"]))
TROUBLE = st.one_of(
    st.tuples(st.sampled_from(["lose", "repeat", "want"])),
    st.tuples(st.just("change_leader"), st.integers(0, 3)),
    st.tuples(st.just("peer_up"), st.integers(1, 3)),
    st.tuples(st.just("gone"), st.integers(1, 3)),
    st.tuples(st.just("quorum"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.4, 2.0, 5.2])),
)
STEPS = st.lists(st.one_of(SEND, SEND, WORK, WORK, TROUBLE), min_size=25, max_size=60)
"""Long enough that several batches and barriers are under way at a time."""


@dataclass(eq=False)
class Request:
    """One request of a client, and what must be seen by it if it is a read."""

    kind: str
    token: int
    arrived: float
    earlier: set[int]
    reply: Any = None
    answered: bool = False


class World:
    """A gateway, with a leader, a log, a learner and clients that are as simple as can be.

    Each write appends a token of its own to one of two keys, so that a value tells which writes it has seen.
    """

    def __init__(self) -> None:
        self.node = OneGateway(Limits(batches_outstanding_max=2))
        self.leader = 2
        self.log: list[Batch] = []
        self.applied = 0
        self.values: dict[bytes, bytes] = {}
        self.results: dict[int, int] = {}
        self.barriers: deque[Barrier] = deque()
        self.waiting: dict[int, list[Request]] = {}  # every request of a connection, answered or not
        self.numbers = count(1)  # of connections, never used again
        self.names: dict[int, int] = {}  # connections by what the steps call them
        self.all: list[Request] = []
        self.acknowledged: set[int] = set()
        self.words: set[str] = set()

    def step(self, name: str, *arguments: Any) -> None:
        """Do one step, then look at what the clients got."""
        getattr(self, name)(*arguments)
        self.look()

    # --- clients ---

    def send(self, name: int, kinds: list[str]) -> None:
        """A pipeline of one connection comes in."""
        if name not in self.names:
            self.names[name] = next(self.numbers)
        connection = self.names[name]
        mine = self.waiting.setdefault(connection, [])
        items: list[Any] = []
        for kind in kinds:
            token = len(self.all)
            request = Request(kind, token, self.node.turn.now, set(self.acknowledged))
            mine.append(request)
            self.all.append(request)
            if kind == "L":
                items.append(Local(Simple(str(token))))
            else:
                items.append(append(kind[1], f"<{token}>") if kind[0] == "W" else get(kind[1]))
        self.node.give(requests(connection, *items))

    def gone(self, name: int) -> None:
        """A connection is closed; the next of that name is another one."""
        connection = self.names.pop(name, None)
        if connection is not None:
            self.waiting.pop(connection, None)
            self.node.give(ClientGone(connection))

    def look(self) -> None:
        """Give the replies to the oldest unanswered requests of their connections, and judge them."""
        for replies in self.node.replies:
            assert replies.size == SIZE * len(replies.replies)
            mine = self.waiting[replies.connection]
            unanswered = [request for request in mine if not request.answered]
            assert len(unanswered) >= len(replies.replies)
            for request, reply in zip(unanswered, replies.replies, strict=False):
                request.answered, request.reply = True, reply
                self.judge(mine, request)
        self.node.replies.clear()
        now, timeout = self.node.turn.now, self.node.timings.request_seconds + LATE_SECONDS
        for mine in self.waiting.values():
            assert all(request.answered or now - request.arrived <= timeout for request in mine), "nobody answers"

    def judge(self, mine: list[Request], request: Request) -> None:
        """Whether the reply is true."""
        if request.kind == "L":
            assert request.reply == Local(Simple(str(request.token))), "replies have changed places"
            return
        if isinstance(request.reply, Error):
            self.words.add(word(request.reply))
            assert word(request.reply) in (
                "TRYAGAIN",
                "CLUSTERDOWN",
                *(["UNCERTAIN"] if request.kind[0] == "W" else []),
            )
            return
        if request.kind[0] == "W":
            assert request.reply == self.results[request.token], "the answer to another request"
            self.acknowledged.add(request.token)
            return
        key = request.kind[1]
        seen = [int(token) for token in re.findall(rb"\d+", request.reply or b"")]
        on_key = {other.token for other in self.all if other.kind == "W" + key}
        before = [other for other in mine if other.token < request.token and other.token in on_key]
        own_done = {other.token for other in before if other.answered and not isinstance(other.reply, Error)}
        assert len(set(seen)) == len(seen), "a write happened twice"
        assert set(seen) <= on_key
        assert (request.earlier & on_key) | own_done <= set(seen), "a stale read"
        later = {other.token for other in mine if other.token > request.token}
        assert not later & set(seen), "a read saw a later write of its own connection"
        own_seen = [token for token in seen if token in {other.token for other in mine}]
        assert own_seen == sorted(own_seen), "a connection's writes have changed places"

    # --- the leader, the log, the learner ---

    def submit(self) -> None:
        """The leader takes what was sent to it, each batch in its turn, and gets it chosen."""
        for to, batch in self.node.submits:
            if to.node == self.leader and batch.seq == len(self.log) + 1:
                self.log.append(batch)
            elif batch.seq <= len(self.log):
                assert self.log[batch.seq - 1] == batch, "a number used for other bytes"
        self.node.submits.clear()

    def repeat(self) -> None:
        """What was sent arrives twice, the second time behind the rest."""
        self.node.submits *= 2
        self.node.barrier_requests *= 2

    def lose(self) -> None:
        """What is on its way does not arrive."""
        self.node.submits.clear()
        self.node.barrier_requests.clear()

    def want(self) -> None:
        """The leader says which batch it can take."""
        self.node.give(Want(IDENTITY.boot, len(self.log) + 1), sender=Address(2, PROPOSER))

    def apply(self) -> None:
        """The node's own learner applies the next batch."""
        if self.applied == len(self.log):
            return
        batch = self.log[self.applied]
        self.applied += 1
        results: list[Result] = []
        for entry in decode_entries(batch.blob) or []:
            match entry:
                case [_, bytes() as name, bytes() as suffix, _]:
                    self.values[name] = self.values.get(name, b"") + suffix
                    self.results[int(suffix[1:-1])] = len(self.values[name])
                    results.append(len(self.values[name]))
                case [_, bytes() as name]:
                    results.append(self.values.get(name))
        self.node.give(BatchApplied(batch.seq, results))
        self.evaluate()

    def evaluate(self) -> None:
        """The learner answers the reads whose barrier it has reached, in order."""
        reads: list[Read] = self.node.reads
        while reads and reads[0].through <= self.applied:
            read = reads.pop(0)
            self.node.give(ReadResults(read.number, [self.values.get(key(entry)) for entry in read.entries]))

    def ask(self) -> None:
        """A round of the leader confirms what was asked of it: all that is chosen by now must be applied."""
        for to, request in self.node.barrier_requests:
            if to.node == self.leader:
                self.barriers.append(Barrier(request.boot, request.number, len(self.log)))
        self.node.barrier_requests.clear()

    def answer(self) -> None:
        """One of its answers arrives."""
        if self.barriers:
            self.node.give(self.barriers.popleft(), sender=Address(2, PROPOSER))
            self.evaluate()

    def change_leader(self, node: int) -> None:
        """Another leader, or none."""
        self.leader = node
        self.node.leader(node)

    def heal(self) -> None:
        """From here on everything works."""
        self.quorum(True)
        self.change_leader(3)
        for _ in range(1_000):
            self.node.wait(3 * LULL_SECONDS)  # what waits for others to ask waits no more
            if not (self.node.submits or self.node.barrier_requests or self.barriers or self.applied < len(self.log)):
                return
            for name in ("submit", "ask", "answer", "apply"):
                self.step(name)
        raise AssertionError("the gateway finds no rest")

    def peer_up(self, node: int) -> None:
        """A peer is connected anew."""
        self.node.peer_up(node)

    def quorum(self, heard: bool) -> None:
        """A majority is heard, or not."""
        self.node.quorum(heard)

    def wait(self, seconds: float) -> None:
        """Time passes, and what the clients get is looked at every moment."""
        for _ in range(round(seconds / 0.05)):
            self.node.wait(0.05)
            self.look()


def run(steps: list[tuple[Any, ...]], patience: float) -> World:
    """The world after these steps and its healing; ``patience`` is how many seconds may pass in all."""
    world = World()
    for name, *arguments in steps:
        if name == "wait":
            if arguments[0] > patience:
                continue
            patience -= arguments[0]
        world.step(name, *arguments)
    world.heal()
    return world


class OrderTests(SynchronousTestCase):
    """Random pipelines over several connections, in a random world."""

    @settings(max_examples=200)
    @given(STEPS)
    def test_no_errors_within_the_timeout(self, steps: list[tuple[Any, ...]]) -> None:
        """Leaders come and go, messages are lost and repeated: as long as that is over in time, every request is
        answered as if its connection were alone with a simple server, and no client sees an error."""
        world = run(steps, patience=4.5)
        self.assertEqual(world.words, set())
        self.assertEqual([request for mine in world.waiting.values() for request in mine if not request.answered], [])
        tokens = [int(token) for value in world.values.values() for token in re.findall(rb"\d+", value)]
        self.assertEqual(len(tokens), len(set(tokens)))

    @settings(max_examples=200)
    @given(STEPS)
    def test_true_answers_for_ever(self, steps: list[tuple[Any, ...]]) -> None:
        """However long it lasts: each request is answered once and in time; what was refused never happens; what
        was acknowledged has happened once; what is uncertain happens once at last, for its batch is not given up."""
        world = run(steps, patience=1_000.0)
        self.assertEqual([request for mine in world.waiting.values() for request in mine if not request.answered], [])
        happened = [int(token) for value in world.values.values() for token in re.findall(rb"\d+", value)]
        self.assertEqual(len(happened), len(set(happened)))
        for request in world.all:
            if request.kind[0] == "W" and request.answered:
                refused = word(request.reply) in ("TRYAGAIN", "CLUSTERDOWN")
                self.assertEqual(request.token in happened, not refused, request)

    def test_the_world_can_say_no(self) -> None:
        """The judge finds a stale read, a lost place and a late answer: else it would prove nothing."""
        world = World()
        world.step("send", 1, ["Wa"])
        world.step("submit")
        world.step("apply")
        world.step("send", 2, ["Ra"])
        world.node.give(Barrier(IDENTITY.boot, 1, 0))
        world.node.give(ReadResults(world.node.reads.pop().number, [b""]))
        self.assertRaisesRegex(AssertionError, "a stale read", world.look)
        world = World()
        world.step("send", 1, ["Wa", "Wa"])
        world.submit()
        world.results = {0: 3, 1: 6}
        world.node.applied(1, 6, 3)
        self.assertRaisesRegex(AssertionError, "another request", world.look)
        world = World()
        world.step("send", 1, ["Wa"])
        world.node.turn.now += 6.0
        self.assertRaisesRegex(AssertionError, "nobody answers", world.look)
