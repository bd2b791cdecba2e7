"""A node that says nothing: who is asked meanwhile, and what may be concluded while it is silent.

The nodes here wait for each other and for no time, so that nothing depends on how fast the machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import race, session
from dkv.client.any_node import ask, ask_where
from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, ServerError
from dkv.client.session import Session

READ = (b"GET", b"k")
BARE = (b"APPEND", b"k", b"v")
WRITE = (b"IDMP", b"p", b"1", *BARE)
PATIENCE_SECONDS = 20.0


class Node:
    """A node that answers with ``does()``, or freezes until it is given up if that is None."""

    def __init__(self, does: Callable[[], Reply] | None) -> None:
        self._does = does
        self.asked = threading.Event()
        self.given_up = threading.Event()
        self.closed = False
        self.endpoint = Endpoint("?", 1)

    def call(self, *_: bytes) -> Reply:
        self.asked.set()
        if self._does is not None:
            return self._does()
        assert self.given_up.wait(PATIENCE_SECONDS)
        raise NoAnswer("no answer: given up")

    def lost(self) -> bool:
        return self.closed

    def abandon(self) -> None:
        self.given_up.set()

    def close(self) -> None:
        self.closed = True


def says(reply: Reply | Exception) -> Callable[[], Reply]:
    """Answers at once."""

    def answer() -> Reply:
        if isinstance(reply, Exception):
            raise reply
        return reply

    return answer


class RaceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(race, "MOMENT_SECONDS", 0.001)
        self.patch(session, "voters", lambda *_: [])
        self.nodes: dict[str, Node] = {}
        for module in (race, session):
            self.patch(module, "connect", self.connect)

    def connect(self, endpoint: Endpoint, _: float, __: float) -> Connection:
        node = self.nodes[endpoint.host]
        node.endpoint = endpoint
        return cast(Connection, node)

    def endpoints(self, **nodes: Callable[[], Reply] | None) -> list[Endpoint]:
        self.nodes = {name: Node(does) for name, does in nodes.items()}
        return [Endpoint(name, 1) for name in nodes]

    def after(self, node: str, reply: Reply | Exception) -> Callable[[], Reply]:
        """Answers once another node was asked."""

        def answer() -> Reply:
            assert self.nodes[node].asked.wait(PATIENCE_SECONDS)
            return says(reply)()

        return answer


class FrozenTests(RaceTestCase):
    def test_the_next_one_answers(self) -> None:
        """A frozen node costs a moment and not the timeout, for reads and for writes with a token."""
        for words in (READ, WRITE):
            endpoints = self.endpoints(a=None, b=None, c=says(7))
            self.assertEqual(ask_where(endpoints, words, 60.0), (endpoints[2], 7))
            self.assertTrue(self.nodes["a"].given_up.is_set() and self.nodes["b"].given_up.is_set())
            self.assertTrue(self.nodes["c"].closed)

    def test_a_write_without_a_token_waits(self) -> None:
        """Two nodes would execute it twice."""
        endpoints = self.endpoints(a=says(NoAnswer("a died")), b=says(7))
        self.assertRaises(NoAnswer, ask, endpoints, BARE, 60.0)
        self.assertFalse(self.nodes["b"].asked.is_set())

    def test_a_late_answer_counts(self) -> None:
        """The first node was only slow; what the second one refuses meanwhile decides nothing."""
        for refusal in (ServerError("ERR no"), ServerError("TRYAGAIN later"), NotSent("down")):
            endpoints = self.endpoints(a=self.after("b", 7), b=says(refusal))
            self.assertEqual(ask(endpoints, WRITE, 60.0), 7)

    def test_b35_refused_while_another_may_execute_it(self) -> None:
        """Nobody is told that a write was not applied while a node is still at it, or after that one died."""
        for refusal in (ServerError("ERR no"), ServerError("TRYAGAIN later"), NotSent("down")):
            endpoints = self.endpoints(a=self.after("b", NoAnswer("a died")), b=says(refusal))
            self.assertRaises(NoAnswer, ask, endpoints, WRITE, 60.0)

    def test_refused_by_all(self) -> None:
        """A late refusal is one: then it was not applied."""
        endpoints = self.endpoints(a=self.after("b", ServerError("TRYAGAIN later")), b=says(ServerError("ERR no")))
        with self.assertRaises(ServerError) as caught:
            ask(endpoints, WRITE, 60.0)
        self.assertEqual(caught.exception.text, "ERR no")

    def test_a_read_is_refused_at_once(self) -> None:
        """It changes nothing, so nobody has to be waited for."""
        endpoints = self.endpoints(a=None, b=says(ServerError("ERR no")))
        self.assertRaises(ServerError, ask, endpoints, READ, 60.0)

    def test_not_sent_late(self) -> None:
        """A node that could not be reached for long is not sent a write that nobody waits for any more."""
        answered = threading.Event()
        connect = self.connect
        sent: list[bool] = []

        def slow(endpoint: Endpoint, one: float, two: float) -> Connection:
            connection = connect(endpoint, one, two)
            if endpoint.host == "late":
                assert answered.wait(PATIENCE_SECONDS)
            return connection

        self.patch(race, "connect", slow)
        endpoints = self.endpoints(late=lambda: sent.append(True), b=says(7))
        ended = threading.Event()
        end = race.Attempt.end

        def note(attempt: race.Attempt) -> None:  # also of attempts that tests before left behind
            end(attempt)
            if attempt.endpoint.host == "late":
                ended.set()

        self.patch(race.Attempt, "end", note)
        self.assertEqual(ask(endpoints, WRITE, 60.0), 7)
        answered.set()
        self.assertTrue(ended.wait(PATIENCE_SECONDS))
        self.assertEqual((sent, self.nodes["late"].closed), ([], True))

    def test_a_surprise_is_not_lost(self) -> None:
        """An error in a thread is one of the command, not one that it waits for."""
        for does in (says(ZeroDivisionError()), self.after("b", ZeroDivisionError())):
            self.assertRaises(ZeroDivisionError, ask, self.endpoints(a=does, b=None), READ, 60.0)


class SessionTests(RaceTestCase):
    def test_it_goes_on_where_it_was_answered(self) -> None:
        """The moment is paid once, not for each line."""
        session = Session(self.endpoints(a=None, b=says(7)), 60.0)
        session.connect()
        self.assertEqual(session.endpoint, Endpoint("a", 1))
        self.assertEqual([session.call(*READ), session.call(*WRITE), session.call(*BARE)], [7, 7, 7])
        self.assertEqual(session.endpoint, Endpoint("b", 1))
        session.close()
        self.assertTrue(self.nodes["b"].closed)

    def test_b35_refused_elsewhere(self) -> None:
        """Neither does a session forget what a lost node may have executed."""
        for refusal in (ServerError("ERR no"), ServerError("UNCERTAIN"), NotSent("down")):
            session = Session(self.endpoints(a=says(NoAnswer("a died")), b=says(refusal)), 60.0)
            self.assertRaises(NoAnswer, session.call, *WRITE)
