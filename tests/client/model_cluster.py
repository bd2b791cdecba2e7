"""A model of what a cluster may do to a client: execute, refuse, lose answers, and execute later what nobody waits for.

It knows one key, whose value is the numbers of the writes in the order in which they took effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dkv.client.answers import AnswerParser, Incomplete, Reply
from dkv.client.blocking import Endpoint, NoAnswer
from dkv.client.errand import Errand
from dkv.client.failures import DkvError
from dkv.replies import Error

KEY = b"k"
MULTI = [b"MULTI"]
NODE = Endpoint("node", 1)
READ, WRITE, BARE = "read", "write", "bare"
LOST = NoAnswer("no answer from node: it closed the connection")
Draw = Callable[[int], int]
"""A number from 0 up to one below that which is given: the test decides."""

REFUSALS = ("TRYAGAIN no leader", "LOADING soon", "CLUSTERDOWN no majority")


@dataclass
class ModelCluster:
    """What has taken effect, and the tokens by which it is known again."""

    applied: list[bytes] = field(default_factory=list)
    answers: dict[tuple[bytes, bytes], tuple[bytes, int]] = field(default_factory=dict)

    def write(self, words: list[bytes]) -> Reply:
        """Execute a write, unless its token says that it was."""
        if words[0] != b"IDMP":
            self.applied.append(words[2])
            return len(self.applied)
        producer, op, number = words[1], words[2], words[-1]
        token = producer, op
        if token not in self.answers and number == b"EXEC":
            self.answers[token] = number, 0  # a transaction of nothing
        elif token not in self.answers:
            self.applied.append(number)
            self.answers[token] = number, len(self.applied)
        known, answer = self.answers[token]
        return answer if known == number else Error("IDMPMISMATCH another write")

    def read(self) -> Reply:
        """The numbers so far."""
        return b" ".join(self.applied)


class ModelConnection:
    """One connection to one node. Its requests take effect in their order, now, later or never."""

    def __init__(self, cluster: ModelCluster, draw: Draw) -> None:
        self.cluster = cluster
        self.replies: deque[Reply] = deque()
        self.floating: deque[list[bytes]] = deque()
        self._draw = draw
        self._has_begun = False
        self.requests: deque[list[bytes]] = deque()
        self._parser = AnswerParser()  # a request has the form of an array

    @property
    def has_requests(self) -> bool:
        """Whether the node has something to do."""
        return bool(self.requests)

    def receive(self, data: bytes) -> None:
        """The client has sent this."""
        self._parser.feed(data)
        while not isinstance(request := self._parser.take(), Incomplete):
            assert isinstance(request, list)
            self.requests.append([word for word in request if isinstance(word, bytes)])

    def serve(self) -> None:
        """Do something about the next request, and answer it."""
        words = self.requests.popleft()
        fate = self._draw(8)
        begun, self._has_begun = self._has_begun, words == MULTI and fate >= len(REFUSALS)
        if words[-1:] == [b"EXEC"] and not begun:
            self.replies.append(Error("ERR EXEC without MULTI"))
        elif words == MULTI and fate >= len(REFUSALS):
            self.replies.append("OK")
        elif words == [b"GET", KEY]:
            self.replies.append(Error(REFUSALS[fate]) if fate < len(REFUSALS) else self.cluster.read())
        elif fate < len(REFUSALS):
            self.replies.append(Error(REFUSALS[fate]))
        elif fate == 3:
            self.floating.append(words)
            self.replies.append(Error("UNCERTAIN no decision"))
        else:
            self._settle_floating()
            self.replies.append(self.cluster.write(words))

    def _settle_floating(self) -> None:
        """What floats before a write that is executed comes before it or never."""
        if self._draw(2):
            while self.floating:
                self.land()
        self.floating.clear()

    def land(self) -> None:
        """A write that floats takes effect."""
        self.cluster.write(self.floating.popleft())

    def cut(self) -> None:
        """The connection ends: replies are lost, and of the requests some float and the rest was never seen."""
        self.replies.clear()
        for _ in range(self._draw(len(self.requests) + 1)):
            words = self.requests.popleft()
            begun, self._has_begun = self._has_begun, words == MULTI
            if words not in ([b"GET", KEY], MULTI) and (begun or words[-1] != b"EXEC"):
                self.floating.append(words)
        self.requests.clear()


class Job:
    """A request of the test, and what became of it."""

    def __init__(self, number: int, kind: str, pipeline: object) -> None:
        self.number = b"%d" % number
        self.kind = kind
        self.pipeline = pipeline
        self.outcomes: list[Reply | DkvError] = []
        words = {READ: (b"GET", KEY), WRITE: (b"APPEND", KEY, self.number), BARE: (b"SADD", KEY, self.number)}[kind]
        self.errand = Errand([words], 100.0, self.outcomes.append, pipeline=pipeline)

    @property
    def outcome(self) -> Reply | DkvError:
        (outcome,) = self.outcomes
        return outcome

    @property
    def is_done(self) -> bool:
        """Whether there is a reply."""
        return not isinstance(self.outcome, DkvError)
