"""Which node is asked next, and when none may be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.client.failover import RETRIED_ELSEWHERE, Unreachable, ask
from tests.client.fakes import FakeNodes


class Asking(SynchronousTestCase):
    """``ask``; a node answers bytes, ``b""`` hangs up without an answer, None cannot be reached."""

    def ask(self, writes: bool, **answers: bytes | None) -> Reply:
        self.nodes = FakeNodes(self, **answers)
        endpoints = [Endpoint(host, 5001) for host in answers]
        return ask(endpoints, (b"PUT", b"k", b"v"), writes=writes, answer_seconds=5.0)

    def test_first(self) -> None:
        """A node that serves is the only one asked."""
        self.assertEqual(self.ask(True, a=b"+OK\r\n", b=b"+OK\r\n"), "OK")
        self.assertEqual(self.nodes.asked, ["a"])
        self.assertEqual(self.nodes.requests, [b"*3\r\n$3\r\nPUT\r\n$1\r\nk\r\n$1\r\nv\r\n"])

    def test_nothing_sent(self) -> None:
        """A node that is down costs the user nothing, for writes as for reads."""
        for writes in (True, False):
            self.assertEqual(self.ask(writes, a=None, b=None, c=b":1\r\n"), 1)
            self.assertEqual(self.nodes.asked, ["a", "b", "c"])

    def test_not_applied(self) -> None:
        """A node that says it did not apply a write, and to try again, sends the user to the next one."""
        for word in sorted(RETRIED_ELSEWHERE):
            self.assertEqual(self.ask(True, a=f"-{word} not now\r\n".encode(), b=b"+OK\r\n"), "OK")
            self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_unanswered_write(self) -> None:
        """A write goes on to the next node, which knows its token if it was executed; so does an UNCERTAIN one."""
        for first in (b"", b"-UNCERTAIN no decision\r\n"):
            self.assertEqual(self.ask(True, a=first, b=b"+OK\r\n"), "OK")
            self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_unknown_in_the_end(self) -> None:
        """A write that one node may have executed is not called refused, or unreachable, because of the others."""
        for last in (None, b"-TRYAGAIN later\r\n", b"-IDMPOLD forgotten\r\n"):
            with self.assertRaises(NoAnswer):
                self.ask(True, a=b"", b=last)
            with self.assertRaises(ServerError) as caught:
                self.ask(True, a=b"-UNCERTAIN no decision\r\n", b=last)
            self.assertEqual(caught.exception.word, "UNCERTAIN")
            self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_unanswered_read(self) -> None:
        """A read can be repeated, so the next node answers it."""
        self.assertEqual(self.ask(False, a=b"", b=b"$1\r\nv\r\n"), b"v")

    def test_final(self) -> None:
        """What is refused for what it is, is not sent again."""
        for word in ("ERR", "IDMPOLD", "MISCONF", "WRONGTYPE"):
            with self.assertRaises(ServerError) as caught:
                self.ask(True, a=f"-{word} so it is\r\n".encode(), b=b"+OK\r\n")
            self.assertEqual(caught.exception.word, word)
            self.assertEqual(self.nodes.asked, ["a"])

    def test_nobody(self) -> None:
        """The user reads of every node why it did not answer."""
        with self.assertRaises(Unreachable) as caught:
            self.ask(False, a=None, b=b"")
        self.assertIn("cannot connect to a:5001: Connection refused; no answer from", str(caught.exception))

    def test_refused_by_all(self) -> None:
        """That a node answered, and what, matters more than that others did not."""
        with self.assertRaises(ServerError) as caught:
            self.ask(True, a=None, b=b"-CLUSTERDOWN no quorum\r\n", c=None)
        self.assertEqual(caught.exception.text, "CLUSTERDOWN no quorum")
        self.assertEqual(self.nodes.asked, ["a", "b", "c"])
