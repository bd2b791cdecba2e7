"""Which node is asked next, when none may be, and what is concluded in the end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.any_node import ask
from dkv.client.blocking import Endpoint, NoAnswer, Reply, ServerError
from dkv.client.outcome import FULL, RETRIED_ELSEWHERE, Unreachable
from tests.client.fakes import FakeNodes

READ = (b"GET", b"k")
BARE = (b"APPEND", b"k", b"v")
WRITE = (b"IDMP", b"p", b"1", *BARE)


class Asking(SynchronousTestCase):
    """``ask``; a node answers bytes, ``b""`` hangs up without an answer, None cannot be reached."""

    def ask(self, words: tuple[bytes, ...], **answers: bytes | None) -> Reply:
        self.nodes = FakeNodes(self, **answers)
        return ask([Endpoint(host, 5001) for host in answers], words, 5.0)

    def test_first(self) -> None:
        """A node that serves is the only one asked."""
        self.assertEqual(self.ask(BARE, a=b":1\r\n", b=b":1\r\n"), 1)
        self.assertEqual(self.nodes.asked, ["a"])
        self.assertEqual(self.nodes.requests, [b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1\r\nv\r\n"])

    def test_nothing_sent(self) -> None:
        """A node that is down costs the user nothing, for writes as for reads."""
        for words in (READ, WRITE, BARE):
            self.assertEqual(self.ask(words, a=None, b=None, c=b":1\r\n"), 1)
            self.assertEqual(self.nodes.asked, ["a", "b", "c"])

    def test_not_applied(self) -> None:
        """A node that says it did not apply a write, and to try again, sends the user to the next one."""
        for error in (*(f"{word} not now" for word in sorted(RETRIED_ELSEWHERE)), FULL):
            for words in (READ, WRITE, BARE):
                self.assertEqual(self.ask(words, a=f"-{error}\r\n".encode(), b=b":1\r\n"), 1)
                self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_unanswered_write(self) -> None:
        """A write with a token goes on to the next node, which knows whether it was executed; also after UNCERTAIN."""
        for first in (b"", b"-UNCERTAIN no decision\r\n", b"$7\r\nhal", b"what?\r\n"):
            self.assertEqual(self.ask(WRITE, a=first, b=b":1\r\n"), 1)
            self.assertEqual(self.nodes.asked, ["a", "b"])

    def test_unanswered_write_without_a_token(self) -> None:
        """It is not sent twice, whatever other nodes would say."""
        for first in (b"", b"-UNCERTAIN no decision\r\n", b"$7\r\nhal"):
            self.assertRaises(NoAnswer, self.ask, BARE, a=first, b=b":1\r\n")
            self.assertEqual(self.nodes.asked, ["a"])

    def test_b35_one_node_may_have_executed_it(self) -> None:
        """A write that one node may have executed is not called refused, or unreachable, because of the others."""
        later = b"-TRYAGAIN later\r\n"
        full = f"-{FULL}\r\n".encode()
        for first in (b"", b"-UNCERTAIN no decision\r\n", b":", b"-odd\r\n"):
            for last in (
                None,
                later,
                full,
                b"-ERR too long\r\n",
                b"-IDMPOLD forgotten\r\n",
                b"-IDMPMISMATCH other\r\n",
            ):
                for nodes in ({"a": first, "b": last}, {"a": later, "b": first, "c": last}, {"a": None, "b": first}):
                    with self.assertRaises(NoAnswer, msg=f"{nodes}") as caught:
                        self.ask(WRITE, **nodes)
                    self.assertEqual(caught.exception.word, "UNCERTAIN" if first[:2] == b"-U" else "NO_ANSWER")
                    self.assertEqual(self.nodes.asked, list(nodes))

    def test_a_later_answer_counts(self) -> None:
        """A refusal by one node does not hide what the next one knows of the first attempt."""
        self.assertEqual(self.ask(WRITE, a=b"", b=b"-ERR max number of clients reached\r\n", c=b":1\r\n"), 1)
        self.assertEqual(self.ask(WRITE, a=b"", b=b"-ERR something\r\n", c=b":1\r\n"), 1)

    def test_unanswered_read(self) -> None:
        """A read can be repeated, so the next node answers it; it has no outcome that could be unknown."""
        self.assertEqual(self.ask(READ, a=b"", b=b"$1\r\nv\r\n"), b"v")
        self.assertRaises(Unreachable, self.ask, READ, a=b"", b=None)
        self.assertRaises(ServerError, self.ask, READ, a=b"", b=b"-UNCERTAIN of what?\r\n")

    def test_final(self) -> None:
        """A request that is wrong in itself is not sent to another node."""
        for word in ("ERR", "IDMPOLD", "IDMPMISMATCH", "MISCONF", "WRONGTYPE"):
            for words in (READ, WRITE, BARE):
                with self.assertRaises(ServerError) as caught:
                    self.ask(words, a=f"-{word} so it is\r\n".encode(), b=b"+OK\r\n")
                self.assertEqual(caught.exception.word, word)
                self.assertEqual(self.nodes.asked, ["a"])

    def test_why_it_was_refused(self) -> None:
        """A refusal for what the request is says more than one for what a node is."""
        with self.assertRaises(ServerError) as caught:
            self.ask(WRITE, a=b"-TRYAGAIN later\r\n", b=b"-ERR too long\r\n", c=b"-TRYAGAIN later\r\n")
        self.assertEqual(caught.exception.text, "ERR too long")

    def test_nobody(self) -> None:
        """The user reads of every node why it did not answer."""
        with self.assertRaises(Unreachable) as caught:
            self.ask(READ, a=None, b=b"")
        for part in ("cannot connect to a:5001: Connection refused", "no answer from b:5001: it closed"):
            self.assertIn(part, str(caught.exception))
