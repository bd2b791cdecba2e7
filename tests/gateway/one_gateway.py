"""A gateway alone: tests send it what others would, and look at what it sends them."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from dkv.actor import CLIENTS, ELECTOR, GATEWAY, LEARNER, PROPOSER, SURVEYOR, Address
from dkv.ballot import Ballot
from dkv.client_events import (
    BatchApplied,
    ClientReplies,
    ClientRequests,
    LeaderIs,
    QuorumHeard,
    Read,
    Replayed,
    Replies,
    Requests,
    Survey,
    SurveyOver,
)
from dkv.configurations import Configurations, first_configurations
from dkv.events import Flush, PeerUp, TimerFired
from dkv.gateway.gateway import Gateway
from dkv.identity import Identity
from dkv.kv.codes import APPEND, GET, KEYS, PUT
from dkv.messages import BarrierRequest, Submit
from dkv.records import Batch, Entry, UncheckedEntry
from dkv.replies import Error, Local
from dkv.settings import Limits, Timings
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn, inject

IDENTITY = Identity("test", 1, 77, 3)
FIRST = first_configurations((1, 2, 3))
NODE_2, NODE_3 = Address(2, PROPOSER), Address(3, PROPOSER)
SIZE = 100  # what a request is said to have taken on the wire


def here(role: str) -> Address:
    """An actor of the gateway's own node."""
    return Address(IDENTITY.node, role)


def put(key: str, value: str = "v") -> Entry:
    """A write."""
    return [PUT, key.encode(), value.encode()]


def append(key: str, value: str) -> Entry:
    """A write that does not repeat harmlessly."""
    return [APPEND, key.encode(), value.encode(), 1_000_000]


def get(key: str) -> Entry:
    """A read."""
    return [GET, key.encode()]


def keys_alone(connection: int, pattern: str = "*") -> ClientRequests:
    """What the client port makes of a KEYS."""
    return ClientRequests([Requests(connection, [[KEYS, 0, 0, pattern.encode()]], 0, 1, SIZE, alone=True)])


def key(entry: Entry) -> bytes:
    """The key of one of these."""
    assert isinstance(entry[1], bytes)
    return entry[1]


def requests(connection: int, *items: Any) -> ClientRequests:
    """What the client port makes of requests that came in together."""
    reads = sum(type(item) is not Local and item[0] == GET for item in items)
    local = sum(type(item) is Local for item in items)
    return ClientRequests([Requests(connection, list(items), len(items) - reads - local, reads, SIZE * len(items))])


def word(reply: Any) -> str:
    """The first word of an error, which tells what the client may conclude; empty if it is none."""
    return reply.text.split()[0] if isinstance(reply, Error) else ""


class OneGateway:
    """The gateway of node 1 in its third boot. What it sends lands in the lists here, by kind."""

    def __init__(
        self,
        limits: Limits | None = None,
        ready: bool = True,
        classic: bool = False,
        first: Configurations = FIRST,
    ) -> None:
        self.limits = replace(limits or Limits(), batches_overtaking_bytes_min=1)
        self.timings = Timings()
        self.turn = FakeTurn()
        self.gateway = Gateway(IDENTITY, first, self.limits, self.timings, encode_entries, classic)
        self.gateway.start(self.turn)
        self.submits: list[tuple[Address, Batch]] = []
        self.barrier_requests: list[tuple[Address, BarrierRequest]] = []
        self.reads: list[Read] = []
        self.surveys: list[Survey | SurveyOver] = []
        self.replies: list[Replies] = []
        self._rounds = count(1)
        if ready:
            self.give(Replayed(0))
            self.leader(IDENTITY.node if classic else 2)

    def give(self, *messages: Any, sender: Address | None = None) -> None:
        """Let the gateway handle messages, then what it sent to itself."""
        flushes = 0
        for message in messages:
            flushes += self._sort(inject(self.gateway, self.turn, sender or here(PROPOSER), message))
        while flushes:
            flushes += self._sort(inject(self.gateway, self.turn, here(GATEWAY), Flush())) - 1

    def _sort(self, sent: list[tuple[Address, Any]]) -> int:
        flushes = 0
        for to, message in sent:
            match message:
                case Submit():
                    self.submits.extend((to, batch) for batch in message.batches)
                case BarrierRequest():
                    self.barrier_requests.append((to, message))
                case Read():
                    assert to == here(LEARNER)
                    self.reads.append(message)
                case Survey() | SurveyOver():
                    assert to == here(SURVEYOR)
                    self.surveys.append(message)
                case ClientReplies():
                    assert to == here(CLIENTS)
                    self.replies.extend(message.replies)
                case Flush():
                    assert to == here(GATEWAY)
                    flushes += 1
                case _:
                    raise AssertionError(f"{message} to {to}")
        return flushes

    def leader(self, node: int) -> None:
        """The elector says who leads; 0 is nobody."""
        self.give(LeaderIs(node, Ballot(next(self._rounds), node or 1)), sender=here(ELECTOR))

    def quorum(self, heard: bool) -> None:
        """The elector says whether a majority is heard."""
        self.give(QuorumHeard(heard), sender=here(ELECTOR))

    def peer_up(self, node: int) -> None:
        """The mesh has connected to a peer anew."""
        self.give(PeerUp(node, 70 + node, 1), sender=Address(node, GATEWAY))

    def applied(self, seq: int, *results: Any) -> None:
        """The learner has applied the gateway's batch."""
        self.give(BatchApplied(seq, list(results)), sender=here(LEARNER))

    def wait(self, seconds: float) -> None:
        """Let time pass, and the timers that the gateway set fire when they are due."""
        end = self.turn.now + seconds
        while self.turn.timers and min(self.turn.timers.values()) <= end:
            name, due = min(self.turn.timers.items(), key=lambda timer: timer[1])
            del self.turn.timers[name]
            self.turn.now = due
            self.give(TimerFired(name), sender=here(GATEWAY))
        self.turn.now = end

    def batches(self) -> list[tuple[Address, int, list[UncheckedEntry]]]:
        """The batches submitted since the last call: to whom, their number, their entries."""
        taken = [(to, batch.seq, decode_entries(batch.blob) or []) for to, batch in self.submits]
        self.submits.clear()
        return taken

    def barriers(self) -> list[tuple[Address, int]]:
        """The barriers asked for since the last call: of whom, and their number."""
        taken = [(to, request.number) for to, request in self.barrier_requests]
        self.barrier_requests.clear()
        return taken

    def answers(self) -> list[tuple[int, list[Any]]]:
        """The replies since the last call, by connection; what they give back in bytes must fit."""
        taken = [(replies.connection, list(replies.replies)) for replies in self.replies]
        for replies in self.replies:
            assert replies.size == SIZE * len(replies.replies), replies
        self.replies.clear()
        return taken

    def words(self) -> list[tuple[int, list[str]]]:
        """The first words of the replies since the last call."""
        return [(connection, [word(reply) for reply in replies]) for connection, replies in self.answers()]
