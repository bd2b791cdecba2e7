"""Clients against nodes that do all that nodes, machines and networks do to a request, as hypothesis thinks it up.

Every request has a number, and whoever executes it answers with that. The nodes write down which requests they were
sent whole and may have executed, so the rule can be checked after each request: nobody says *not applied* of one that
was, and no answer is taken for another's.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import race, session
from dkv.client.any_node import ask
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError
from dkv.client.outcome import Unreachable
from dkv.client.session import Session
from dkv.replies import Error
from tests.client.fakes import Near

NAMES = ("a", "b", "c")
ANSWER_SECONDS = 0.02
LATE_SECONDS = 0.004
_NUMBER = re.compile(rb"\r\nn([0-9]+)\r\n\Z")

REFUSALS = {
    "refuses": b"-ERR no\r\n",
    "loads": b"-LOADING\r\n",
    "has no quorum": b"-CLUSTERDOWN\r\n",
    "waits for a leader": b"-TRYAGAIN\r\n",
    "has forgotten": b"-IDMPOLD\r\n",
    "knows another": b"-IDMPMISMATCH\r\n",
}
"""Answers of a node that does not execute the request."""

NO_ROOM = b"-ERR max number of clients reached\r\n"

UNKNOWN = {
    "dies": b"",
    "dies in the answer": b"$100\r\nhalf of",
    "is uncertain": b"-UNCERTAIN\r\n",
    "is behind a proxy": b"-upstream connection lost\r\n",
    "speaks something else": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "is of another planet": b"\x16\x03\x01\x02\x00",
}
"""Fates of a request that may have been executed; every node but an uncertain one hangs up after it."""

EXECUTED = ("serves", "serves late", "answers twice", "has an error in it")
SILENT = ("freezes", "stops in the answer")
UNSENT = ("is down", "hangs up", "has no room", "says hello")
KINDS = (*REFUSALS, *UNKNOWN, *EXECUTED, *SILENT, *UNSENT)


class Node:
    """One node of the script: ``kind`` is what it does from now on, with each connection that it has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = "serves"
        self.sent: list[int] = []
        self.may_have_executed: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()  # a client may still be connecting when nobody waits for it any more
        self._ends: list[socket.socket] = []

    def connect(self, endpoint: Endpoint) -> Connection:
        with self._lock:
            if self.kind == "is down" or self._closed:
                raise NotSent(f"cannot connect to {self.name}: Connection refused")
            near, far = socket.socketpair()
            self._ends.append(far)
            if self.kind in ("has no room", "says hello"):
                far.sendall(NO_ROOM if self.kind == "has no room" else b"+OK\r\n")
            if self.kind in ("has no room", "hangs up"):
                far.close()
        stream = Near(fileno=near.detach())
        stream.asked = lambda: self._on_request(far)
        return Connection(endpoint, stream, ANSWER_SECONDS)

    def _on_request(self, far: socket.socket) -> None:
        found = _NUMBER.search(far.recv(65_536))
        assert found is not None, "a request that is no request"
        number = int(found[1])
        answer = b":%d\r\n" % number
        self.sent.append(number)
        if self.kind in REFUSALS:
            far.sendall(REFUSALS[self.kind])
            return
        self.may_have_executed.add(number)
        if self.kind == "serves late" or self.kind in SILENT:
            threading.Timer(
                LATE_SECONDS if self.kind == "serves late" else ANSWER_SECONDS * 2, _say, (far, answer)
            ).start()
        said = {
            **UNKNOWN,
            "serves": answer,
            "answers twice": answer * 2,
            "has an error in it": b"*2\r\n-ERR x\r\n" + answer,
            "stops in the answer": b"*2\r\n",
        }
        far.sendall(said.get(self.kind, b""))
        if self.kind in UNKNOWN and self.kind != "is uncertain":
            far.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for end in self._ends:
            end.close()


def _say(far: socket.socket, answer: bytes) -> None:
    try:
        far.sendall(answer)
    except OSError:
        pass  # the client has hung up meanwhile


def request(kind: str, number: int) -> tuple[bytes, ...]:
    """A read, a write, or a write with a token, that says ``number`` in its end."""
    last = b"n%d" % number
    return {
        "read": (b"GET", last),
        "write": (b"APPEND", b"k", last),
        "token": (b"IDMP", b"p", b"%d" % number, b"APPEND", b"k", last),
    }[kind]


STEPS = st.tuples(st.tuples(*[st.sampled_from(KINDS)] * len(NAMES)), st.sampled_from(("read", "write", "token")))


class ScriptedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(race, "MOMENT_SECONDS", 0.001)
        self.patch(session, "voters", lambda *_: [])
        for module in (race, session):
            self.patch(module, "connect", lambda endpoint, _, __: self.nodes[endpoint.host].connect(endpoint))
        self.nodes: dict[str, Node] = {}
        self.endpoints = [Endpoint(name, 1) for name in NAMES]

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Nodes of their own, and a session that is closed with them."""
        self.nodes = {name: Node(name) for name in NAMES}
        made = Session(self.endpoints, ANSWER_SECONDS)
        try:
            yield made
        finally:
            made.close()
            for node in self.nodes.values():
                node.close()

    def script(self, kinds: tuple[str, ...]) -> None:
        """Tell the nodes what to do from now on."""
        for node, kind in zip(self.nodes.values(), kinds, strict=True):
            node.kind = kind

    def check(self, kind: str, number: int, call: Callable[[], Reply]) -> None:
        """Make a request, and compare what is concluded with what the nodes know."""
        ending: Exception | None = None
        reply: Reply = None
        try:
            reply = call()
        except (Unreachable, ServerError, NoAnswer) as error:
            ending = error
        sent = [name for name, node in self.nodes.items() for each in node.sent if each == number]
        executed = {name for name, node in self.nodes.items() if number in node.may_have_executed}
        script = {name: node.kind for name, node in self.nodes.items()}
        if ending is None:
            self.assertIn(reply, (number, [Error("ERR x"), number]), script)
        elif kind == "read":
            self.assertFalse(isinstance(ending, NoAnswer), script)
        elif isinstance(ending, NoAnswer):
            self.assertTrue(sent, f"{script}: called unknown, and nobody was sent it: {ending}")
        else:
            self.assertFalse(executed, f"{script}: called not applied: {ending!r}")
        if kind == "write":
            self.assertLessEqual(len(executed), 1, script)
        self.assertLessEqual(len(sent), len(NAMES) + 1, script)

    @settings(max_examples=60)
    @given(STEPS)
    def test_b35_one_request(self, step: tuple[tuple[str, ...], str]) -> None:
        """``ask``, as the commands do, and a session's first line."""
        kinds, kind = step
        words = request(kind, 1)
        with self.session() as made:
            self.script(kinds)
            self.check(kind, 1, lambda: made.call(*words))
        with self.session():
            self.script(kinds)
            self.check(kind, 1, lambda: ask(self.endpoints, words, ANSWER_SECONDS))

    @settings(max_examples=40)
    @given(st.lists(STEPS, min_size=2, max_size=6))
    def test_b35_one_after_another(self, steps: list[tuple[tuple[str, ...], str]]) -> None:
        """The lines of a session: what a node said late, or too much, is not the answer to the next line."""
        with self.session() as made:
            for number, (kinds, kind) in enumerate(steps, 1):
                self.script(kinds)
                self.check(kind, number, partial(made.call, *request(kind, number)))

    def test_a_node_that_serves_is_found(self) -> None:
        """A read and a write with a token get an answer, unless the first node refuses them for good."""
        for first in (*UNKNOWN, *SILENT, *UNSENT, "loads", "has no quorum", "waits for a leader", "serves late"):
            for kind in ("read", "token"):
                with self.session():
                    self.nodes["a"].kind = first
                    self.assertEqual(ask(self.endpoints, request(kind, 5), 60.0), 5, first)
