"""Clients that speak all words of the log: conditions, counters, deadlines, several keys, transactions and databases.

They work beside the crowd, over few keys of their own. In some runs they flush the database that it uses, too, and its
history has that (``dkv.sim.verdict``). What they are told is judged at the node: the second state machine says what
each command must answer (``dkv.sim.batch_rules``, ``answer_rules``). They send writes with a token again when they get
no answer, and now and then when they have one; other requests not. After some writes with a deadline they wait for just
that long, and read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

from dkv.client_events import ClientGone, Replies, Requests
from dkv.kv.codes import BY_BARRIER, EXEC, EXPIRE, IDMP, IN_EXEC, KEYS, READ, RELATIVE, SET, WATCH, WRITES
from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.records import Entry
from dkv.replies import Error, Local, LogRequest, Watched
from dkv.settings import Limits
from dkv.sim.requests import REQUEST_BYTES, WORD_BYTES
from dkv.sim.schedule import Schedule
from dkv.sim.scripted import Scripted, end_of
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wordy_history import Asked

FIRST_CONNECTION = 1 << 40
"""Their connections have numbers from here on, so that they are not taken for those of the crowd."""

NAMES = tuple(b"w%d" % number for number in range(4))
PATTERNS = (b"*", b"w*", b"?1", b"w[02]", b"w3")
DBS = (0, 0, 0, 1, 15)
VALUES = (b"", b"0", b"17", b"-3", b"1.5", b"some", b"other words")
NUMBERS = (b"1", b"-1", b"40")
LIVES: tuple[tuple[bytes, ...], ...] = (
    (b"PX", b"1"),
    (b"PX", b"300"),
    (b"PX", b"2000"),
    (b"EX", b"1"),
    (b"EX", b"10"),
    (b"EX", b"100"),
    (b"KEEPTTL",),
    (),
    (),
    (),
)
PATIENCE_SECONDS = 3.0
AIM_SECONDS = 0.03
"""How long after a deadline a client reads the key, at most: a slot may bring the time there in that moment."""


class Wordy:
    """All of these clients."""

    def __init__(
        self,
        schedule: Schedule,
        generator: Callable[[str], Random],
        nodes: list[SimulatedNode],
        limits: Limits,
        delay: float,
    ) -> None:
        self.schedule = schedule
        self.random = random = generator("wordy")
        self.nodes = nodes
        self.limits = limits
        self.stopped = False
        self.connections: dict[int, WordyClient] = {}
        self.asked: list[Asked] = []
        """All requests, in the order of sending."""
        self.made = FIRST_CONNECTION
        self._delay = delay
        self._clients = [WordyClient(self, number) for number in range(random.choice((0, 2, 4)))]
        self._think = random.choice((0.02, 0.1, 0.5))
        self._flushes_all = random.random() < 0.4
        self._scripted = Scripted(generator("scripts"))

    def begin(self) -> None:
        """Let all of them begin."""
        for client in self._clients:
            client.go_on_after(self.pause())

    def replied(self, replies: Replies) -> None:
        """A node answers a connection."""
        client = self.connections.get(replies.connection)
        if client is not None:
            self.schedule.after(self.delay(), client.take, replies)

    def delay(self) -> float:
        """How long bytes travel between a client and a node, in seconds."""
        return self.random.uniform(0.2, 1.8) * self._delay

    def pause(self) -> float:
        """How long a client thinks, in seconds."""
        return self.random.expovariate(1 / self._think)

    def leave_a_key(self, node: SimulatedNode) -> None:
        """Set a key of which nobody else knows, and which expires soon; nobody waits for the answer."""
        made = interpret([b"SET", b"left", b"", b"PX", b"300"], Context(self.limits, DBS[-1]))
        assert isinstance(made, list)
        self.made += 1
        node.run(node.port.take, Requests(self.made, [made], 1, 0, REQUEST_BYTES))

    # --- what they say ---

    def words(self) -> list[bytes]:
        """A request, in words."""
        script = self._scripted.words()
        if script is not None:
            return script
        draw = self.random.choice
        key, other, value = draw(NAMES), draw(NAMES), draw(VALUES)
        kinds: tuple[Callable[[], list[bytes]], ...] = (
            lambda: [b"SET", key, value, *draw(LIVES), *draw(((b"NX",), (b"XX",), (b"IFEQ", draw(VALUES)), (b"GET",)))],
            lambda: [b"SET", key, value, *draw(LIVES)],
            lambda: [draw((b"SETNX", b"GETSET", b"APPEND")), key, value],
            lambda: [draw((b"GET", b"GETDEL", b"STRLEN", b"TYPE", b"PTTL", b"EXPIRETIME", b"PERSIST")), key],
            lambda: [b"GETEX", key, *draw(((b"PX", b"500"), (b"PERSIST",)))],
            lambda: [draw((b"MGET", b"EXISTS", b"DEL")), key, other],
            lambda: [draw((b"GETDEL", b"DEL")), key],
            lambda: [draw((b"MSET", b"MSETNX")), key, value, other, draw(VALUES)],
            lambda: [draw((b"INCRBY", b"DECRBY", b"INCRBYFLOAT")), key, draw(NUMBERS)],
            lambda: [draw((b"RENAME", b"RENAMENX")), key, other],
            lambda: [b"COPY", key, other, *draw(((), (b"REPLACE",), (b"DB", b"1", b"REPLACE")))],
            lambda: [b"PEXPIRE", key, draw((b"0", b"1", b"700")), *draw(((), (b"NX",), (b"XX",), (b"GT",), (b"LT",)))],
            lambda: [b"SETRANGE", key, draw((b"0", b"3")), value],
            lambda: [b"GETRANGE", key, draw((b"0", b"-2")), draw((b"1", b"-1"))],
            lambda: [draw((b"DBSIZE", b"DBSIZE", b"TIME"))],
            lambda: [draw((b"FLUSHDB", b"FLUSHDB", b"FLUSHALL"))],
            lambda: [b"KEYS", draw(PATTERNS)],
        )
        return draw(kinds)()

    def entry(self, db: int, token: tuple[bytes, int] | None = None) -> tuple[Entry, int] | None:
        """The entry of a request, and the bytes that it takes; None if the limits do not allow it."""
        return self._entry(self.words(), db, token)

    def come_and_go(self, db: int) -> list[tuple[Entry, int]]:
        """Requests that let all keys of a database come and go: together when their deadlines pass, or at once.

        Then one of them comes back.
        """
        life = self.random.choice((b"1", b"300", b"never", b"never"))
        requests = [[b"SET", name, b"short", b"PX", life] for name in NAMES]
        if life == b"never":
            end = self.random.choice(([b"DEL", *NAMES], [b"FLUSHDB"]))
            requests = [[b"MSET", *(word for name in NAMES for word in (name, b"short"))], end, [b"SET", NAMES[0], b""]]
        made = (self._entry(words, db) for words in requests)
        return [each for each in made if each is not None]

    def _entry(self, words: list[bytes], db: int, token: tuple[bytes, int] | None = None) -> tuple[Entry, int] | None:
        if (words == [b"FLUSHALL"] or (words == [b"FLUSHDB"] and db == 0)) and not self._flushes_all:
            return None  # the keys of the crowd are there
        made = interpret(words, Context(self.limits, db))
        if isinstance(made, LogRequest):
            made = made.entry
        if not isinstance(made, list):
            return None
        if token is not None and made[0] in WRITES:
            made = [IDMP, *token, made]
        size = REQUEST_BYTES + sum(WORD_BYTES + len(word) for word in words) + 50
        return (made, size) if size <= self.limits.request_bytes_max else None


class WordyClient:
    """One client. It waits for its answers, and hangs up if they do not come."""

    def __init__(self, wordy: Wordy, number: int) -> None:
        self._wordy = wordy
        self._producer = b"wordy%d" % number
        self._ops = 0
        self._node: SimulatedNode | None = None
        self._life: Life = (0, 0)
        self._connection = 0
        self._number = number
        self._waiting: deque[tuple[Asked, int]] = deque()  # with the bytes that each takes
        self._again: list[tuple[Asked, int]] = []  # writes with a token whose outcome is unknown
        self._watched: list[Entry] = []
        self._watched_at: dict[tuple[Any, ...], tuple[float, float]] = {}  # by what it told of a key
        self._ending: tuple[float, Entry] | None = (
            None  # when a key expires that it wants to see go, and what it asks then
        )
        self._turn = 0  # counts what it did, so that an old call does nothing

    def go_on_after(self, seconds: float) -> None:
        """Send the next requests in a moment."""
        self._turn += 1
        self._wordy.schedule.after(seconds, self._go_on, self._turn)

    def take(self, replies: Replies) -> None:
        """The node answers its oldest requests."""
        if replies.connection != self._connection:
            return
        for reply in replies.replies:
            asked, size = self._waiting.popleft()
            asked.returned = self._wordy.schedule.now
            asked.reply = reply.reply if isinstance(reply, Local) else reply
            uncertain = isinstance(reply, Error) and reply.text.startswith("UNCERTAIN")
            self._ask_again([(asked, size)], 0.7 if uncertain else 0.1)
            if asked.entry[0] == WATCH and isinstance(reply, Watched):
                _, db, _, *keys = asked.entry
                pairs = zip(keys, reply.revisions, strict=True)
                revisions: list[Any] = [[db, key, *revision, reply.slot] for key, revision in pairs]
                self._watched += revisions
                self._watched_at |= {tuple(each): (asked.called, asked.returned) for each in revisions}
        if not self._waiting:
            self.go_on_after(self._wordy.pause() if self._ending is None else self._seconds_to_the_end(self._ending[0]))

    def _seconds_to_the_end(self, at: float) -> float:
        return max(0.0, at - self._wordy.schedule.now) + self._wordy.random.uniform(0, AIM_SECONDS)

    def _go_on(self, turn: int) -> None:
        wordy = self._wordy
        if wordy.stopped or turn != self._turn:
            return
        lost = self._waiting or self._node is None or not self._node.up or self._node.life != self._life
        if lost or wordy.random.random() < 0.05:
            self._connect()
        if self._node is None:
            self.go_on_after(wordy.pause())
            return
        drawn = self._draw()
        requests = [(self._asked(entry), size) for entry, size in drawn]
        alone = any(entry[0] == KEYS for entry, _ in drawn)
        if self._again and not alone:
            asked, size = self._again.pop(0)
            requests.append((replace(asked, called=wordy.schedule.now, returned=None, reply=None), size))
        if not requests:
            self.go_on_after(wordy.pause())
            return
        self._waiting.extend(requests)
        wordy.asked += [each for each, _ in requests]
        self._ending = self._look_for_an_end(requests[-1][0].command)
        items: list[Entry | Local] = [each.entry for each, _ in requests]
        reads = sum(each.entry[0] in BY_BARRIER for each, _ in requests)
        size = sum(size for _, size in requests)
        message = Requests(self._connection, items, len(items) - reads, reads, size, alone)
        wordy.schedule.after(wordy.delay(), self._node.run, self._node.port.take, message)
        self.go_on_after(PATIENCE_SECONDS)  # unless the answers come before

    def _draw(self) -> list[tuple[Entry, int]]:
        """New requests for one message; KEYS has one of its own, as a node's port gives it."""
        random = self._wordy.random
        if random.random() < 0.1:
            return self._wordy.come_and_go(random.choice(DBS))
        drawn = [each for _ in range(random.choice((1, 1, 3))) if (each := self._request()) is not None]
        return [each for each in drawn if each[0][0] == KEYS][:1] or drawn

    def _asked(self, entry: Entry) -> Asked:
        """Note down a request."""
        asked = Asked(self._number, entry, self._wordy.schedule.now)
        if asked.command[0] == EXEC:
            asked.watches = [self._watched_at[tuple(each)] for each in asked.command[3]]
        return asked

    def _look_for_an_end(self, entry: Entry) -> tuple[float, Entry] | None:
        """When the key expires to which this write gives a deadline that is near, and what to ask then; or None."""
        end = end_of(entry)
        if end is not None:
            return self._wordy.schedule.now + end[0] / 1000, end[1]
        match entry:
            case [int() as code, int() as db, _, bytes() as key, *_, int() as life, int() as ms, _]:
                near = life == RELATIVE and ms < PATIENCE_SECONDS * 1000
                if code in (SET, EXPIRE) and near and self._wordy.random.random() < 0.7:
                    read: Entry = [READ, db, self._wordy.limits.value_bytes_max, key]
                    return self._wordy.schedule.now + ms / 1000, read
        return None

    def _request(self) -> tuple[Entry, int] | None:
        wordy, random = self._wordy, self._wordy.random
        if self._ending is not None and self._ending[0] <= wordy.schedule.now:
            return self._ending[1], 50
        db = random.choice(DBS)
        what = random.random()
        if what < 0.15:
            return [WATCH, db, wordy.limits.value_bytes_max, *random.sample(NAMES, 2)], 50
        if what < (0.6 if self._watched else 0.25):
            return self._transaction(db)
        if random.random() < 0.3:
            self._ops += random.choice((0, 1, 1, 1))  # now and then another write has the same token
            return wordy.entry(db, (self._producer, max(self._ops, 1)))
        return wordy.entry(db)

    def _transaction(self, db: int) -> tuple[Entry, int] | None:
        wordy = self._wordy
        drawn = [each for _ in range(wordy.random.choice((0, 1, 2, 4))) if (each := wordy.entry(db)) is not None]
        watched, self._watched = self._watched, []
        entries = [entry for entry, _ in drawn if entry[0] in IN_EXEC]
        size = 100 + 40 * len(watched) + sum(size for _, size in drawn)
        made: Entry = [EXEC, 0, wordy.limits.value_bytes_max, [*watched], [*entries]]
        if wordy.random.random() < 0.3:
            self._ops += 1
            made = [IDMP, self._producer, self._ops, made]
        return (made, size) if size <= wordy.limits.request_bytes_max else None

    def _ask_again(self, requests: Iterable[tuple[Asked, int]], chance: float = 0.7) -> None:
        """Some of the writes with a token are sent again, once each time, at whatever node is asked next."""
        drawn = [each for each in requests if each[0].entry[0] == IDMP and self._wordy.random.random() < chance]
        self._again += drawn

    def _connect(self) -> None:
        wordy = self._wordy
        if self._node is not None:
            wordy.connections.pop(self._connection, None)
            wordy.schedule.after(wordy.delay(), self._node.run, self._node.port.take, ClientGone(self._connection))
        self._ask_again(self._waiting)
        self._waiting.clear()
        self._watched = []
        self._watched_at = {}
        ups = [node for node in wordy.nodes if node.up]
        self._node = wordy.random.choice(ups) if ups else None
        if self._node is not None:
            wordy.made += 1
            self._connection, self._life = wordy.made, self._node.life
            wordy.connections[self._connection] = self
