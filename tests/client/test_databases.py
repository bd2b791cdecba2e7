"""Requests for another database than 0: it is chosen on every connection, before anything else is sent there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.any_node import ask
from dkv.client.blocking import Endpoint, Reply, ServerError
from dkv.client.bound_state import BoundState
from dkv.client.outcome import Unreachable
from dkv.client.session import Session
from tests.client.fakes import Answers, FakeNodes

SELECT_3 = b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
TOKEN = (b"IDMP", b"p", b"1")


class AskTests(SynchronousTestCase):
    def ask(self, **answers: Answers) -> Reply:
        self.nodes = FakeNodes(self, **answers)
        return ask([Endpoint(name, 1) for name in answers], (*TOKEN, b"PUT", b"k", b"v"), 5.0, database=3)

    def test_chosen_first(self) -> None:
        """On each connection, or a retry at the next node would write to database 0."""
        self.assertEqual(self.ask(a=(b"+OK\r\n", b"-TRYAGAIN later\r\n"), b=(b"+OK\r\n", b"+OK\r\n")), "OK")
        self.assertEqual(self.nodes.asked, ["a", "b"])
        for request in self.nodes.requests:
            self.assertTrue(request.startswith(SELECT_3 + b"*6\r\n$4\r\nIDMP\r\n"), request)

    def test_refused(self) -> None:
        """A node that has no such database is sent nothing that it would do in another one."""
        with self.assertRaises(ServerError):
            self.ask(a=b"-ERR DB index is out of range\r\n")
        self.assertEqual(self.nodes.requests, [SELECT_3])

    def test_no_answer(self) -> None:
        """A node that dies before it has agreed was sent no write, so nothing is uncertain."""
        for answer in (b"", b"+QUEUED\r\n", b"?\r\n"):
            with self.assertRaises(Unreachable):
                self.ask(a=answer)
            self.assertEqual(self.nodes.requests, [SELECT_3])


class SessionTests(SynchronousTestCase):
    def session(self, database: int = 0, **answers: Answers) -> Session:
        self.nodes = FakeNodes(self, **answers)
        made = Session([Endpoint(name, 1) for name in answers], 5.0, database=database)
        self.addCleanup(made.close)
        return made

    def test_kept_when_it_moves(self) -> None:
        """What a person types behind SELECT 3 is for database 3, also after the node has died."""
        made = self.session(a=b"+OK\r\n", b=(b"+OK\r\n", b":1\r\n"))
        self.assertEqual(made.call(b"select", b"3"), "OK")
        self.assertEqual(made.call(b"APPEND", b"k", b"v"), 1)
        self.assertEqual(made.database, 3)
        self.assertTrue(self.nodes.requests[1].startswith(SELECT_3 + b"*3\r\n$6\r\nAPPEND"))

    def test_from_the_beginning(self) -> None:
        """The database that the command line names is chosen before the first line."""
        made = self.session(3, a=(b"+OK\r\n", b"$-1\r\n"))
        made.connect()
        self.assertIsNone(made.call(b"GET", b"k"))
        self.assertEqual(self.nodes.requests, [SELECT_3 + b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"])
        self.assertRaises(Unreachable, self.session(3, a=b"-ERR DB index is out of range\r\n").connect)

    def test_an_exec_with_a_token_ends_a_transaction(self) -> None:
        """Else no line could be sent once more after its connection was lost."""
        made = self.session(a=(b"+OK\r\n", b"*0\r\n"), b=b"+OK\r\n")
        made.call(b"MULTI")
        self.assertTrue(made.in_transaction)
        made.call(*TOKEN, b"exec")
        self.assertFalse(made.in_transaction)
        self.assertEqual(made.call(b"PUT", b"k", b"v"), "OK")


class BoundStateTests(SynchronousTestCase):
    def test_requests(self) -> None:
        """A SELECT counts when it has taken effect: at once, or with EXEC."""
        for requests, database in (
            ([("SELECT 2", "OK")], 2),
            ([("SELECT 2", "OK"), ("RESET", "RESET")], 0),
            ([("SELECT 2", "QUEUED")], 1),
            ([("SELECT 2", "QUEUED"), ("EXEC", ["OK"])], 2),
            ([("SELECT 2", "QUEUED"), ("IDMP p 1 EXEC", ["OK"])], 2),
            ([("SELECT 2", "QUEUED"), ("EXEC", None)], 1),
            ([("SELECT 2", "QUEUED"), ("DISCARD", "OK"), ("EXEC", [])], 1),
            ([("SELECT 99", "QUEUED"), ("EXEC", [None])], 1),
            ([("SELECT x", "QUEUED"), ("EXEC", [None])], 1),
        ):
            chosen = BoundState(1)
            for text, reply in requests:
                chosen.note_reply(text.encode().split(), reply)  # type: ignore[arg-type]  # lists of str
            self.assertEqual(chosen.database, database, requests)

    def test_bound(self) -> None:
        """Behind WATCH and MULTI requests are of use on this connection alone, until something ends that."""
        for text, bound in (
            ("GET k", False),
            ("WATCH k; GET k; UNWATCH; GET k", False),
            ("WATCH k; GET k", True),
            ("WATCH k; MULTI; EXEC", True),
            ("WATCH k; MULTI; EXEC; GET k", False),
            ("MULTI; UNWATCH; GET k", True),
            ("MULTI; DISCARD; GET k", False),
            ("WATCH k; RESET; GET k", False),
        ):
            state = BoundState()
            found = [state.note_request(line.encode().split()) for line in text.split("; ")]
            self.assertEqual(found[-1], bound, text)

    def test_watched_on_a_connection_that_is_lost(self) -> None:
        """An EXEC at another node would not know what was watched, and overwrite what others have changed."""
        nodes = FakeNodes(self, a=b"+OK\r\n", b=b"+OK\r\n")
        made = Session([Endpoint("a", 1), Endpoint("b", 1)], 5.0)
        self.addCleanup(made.close)
        made.call(b"WATCH", b"k")
        for words in ((b"GET", b"k"), (b"MULTI",), (b"EXEC",)):
            with self.assertRaises(ServerError):
                made.call(*words)
        self.assertEqual(nodes.asked, ["a"])
        self.assertEqual(made.call(b"PUT", b"k", b"v"), "OK")
