"""Clients that a node turns away: the user or the password is wrong, or the user may not do this."""

from __future__ import annotations

from typing import Any

from redis.exceptions import AuthenticationError, ConnectionError, NoPermissionError
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import Client, Rejected, Unavailable, Unknown, blocking_line, session, survey, twisted
from dkv.client.blocking import Endpoint, ServerError
from dkv.client.redis.attempts import TokenCall
from dkv.client.redis.endings import MaybeApplied
from dkv.client.redis.pending_ops import PendingOps
from dkv.client.redis.request_kinds import Kind
from dkv.client.session import Session
from dkv.console.login_words import NO_PASSWORD
from tests.client.fake_wires import ClientTests

WRONG = "WRONGPASS invalid username-password pair or user is disabled."


class TwistedTests(ClientTests):
    def make(self, **options: Any) -> twisted.Client:
        """With a user."""
        return super().make(user="app", password="secret", **options)

    def test_wrong_password(self) -> None:
        """The program is told at once, and no other node is asked: they have the same users."""
        results = [self.client.set("k", "v"), self.client.get("k")]
        wire = self.wires.accept()
        self.assertEqual(wire.received(), [[b"AUTH", b"app", b"secret"]])
        wire.say(f"-{WRONG}\r\n".encode())
        for result in results:
            self.assertEqual(self.failureResultOf(result, Rejected).value.word, "WRONGPASS")
        self.assertTrue(wire.transport.aborted)
        self.assertEqual(len(self.wires.asked), 1)

    def test_after_a_lost_connection(self) -> None:
        """The write may have been executed before the password was changed: nobody is told that it was not."""
        result = self.client.incr("n")
        first = self.wires.accept()
        first.say(b"+OK\r\n")
        self.assertEqual(first.words(), [b"AUTH app secret", b"INCRBY n 1"])
        first.end()
        second = self.wires.accept()
        second.say(f"-{WRONG}\r\n".encode())
        self.failureResultOf(result, Unknown)
        self.assertEqual(len(self.wires.asked), 2)

    def test_a_slow_answer(self) -> None:
        """A node that does not answer in time is left for the next one. That the connection ends then is no news."""
        result = self.client.get("k")
        first = self.wires.accept()
        self.clock.advance(2.9)
        self.assertFalse(first.transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(first.transport.aborted)
        first.end()
        second = self.wires.accept()
        second.say(b"+OK\r\n")
        self.assertEqual(second.words(), [b"AUTH app secret", b"GET k"])
        second.say(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(result), b"x")

    def test_a_slow_answer_at_last(self) -> None:
        """The program reads why no node let it in."""
        client = self.make(timeout=4.0)
        result = client.get("k")
        self.wires.accept()
        self.clock.advance(3.0)
        self.wires.accept()
        self.clock.advance(1.0)
        error = self.failureResultOf(result, Unavailable).value
        self.assertEqual(str(error), "cannot connect to a:1: it takes too long")
        client.close()

    def test_a_user_is_needed(self) -> None:
        """Whoever has not said who they are is told so at once, whatever database they want."""
        client = ClientTests.make(self, database=3)
        result = client.get("k")
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"SELECT 3"])
        wire.say(b"-NOAUTH Authentication required.\r\n")
        self.assertEqual(self.failureResultOf(result, Rejected).value.word, "NOAUTH")
        client.close()

    def test_a_password_that_nobody_has(self) -> None:
        """A password without a user, where there are only users with names: the next node would say the same."""
        client = ClientTests.make(self, password="secret")
        result = client.get("k")
        wire = self.wires.accept()
        self.assertEqual(wire.words(), [b"AUTH secret"])
        wire.say(f"-{NO_PASSWORD}\r\n".encode())
        self.assertEqual(str(self.failureResultOf(result, Rejected).value), NO_PASSWORD)
        client.close()

    def test_no_node(self) -> None:
        """What stands between client and node has errors of its own: they say nothing about the user."""
        result = self.client.get("k")
        self.wires.accept().say(b"-no such backend\r\n")
        self.assertNoResult(result)
        second = self.wires.accept()
        second.say(b"+OK\r\n")
        self.assertEqual(second.words(), [b"AUTH app secret", b"GET k"])
        second.say(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(result), b"x")

    def test_not_permitted(self) -> None:
        """The connection serves on for what the user may do."""
        refused, allowed = self.client.get("other"), self.client.get("own")
        wire = self.wires.accept()
        wire.say(b"+OK\r\n")
        wire.received()
        wire.say(b"-NOPERM No permissions to access a key\r\n")
        self.assertEqual(self.failureResultOf(refused, Rejected).value.word, "NOPERM")
        self.assertEqual(wire.words(), [b"GET own"])
        wire.say(b"$1\r\nx\r\n")
        self.assertEqual(self.successResultOf(allowed), b"x")


class BlockingTests(SynchronousTestCase):
    def test_wrong_password(self) -> None:
        """As above."""
        asked: list[Endpoint] = []

        def connect(endpoint: Endpoint, *_: float) -> None:
            asked.append(endpoint)
            raise ServerError(WRONG)

        self.patch(blocking_line, "connect", connect)
        with Client("a:1,b:1", user="app", password="secret") as client:
            self.assertEqual(self.assertRaises(Rejected, client.set, "k", "v").word, "WRONGPASS")
        self.assertEqual(asked, [Endpoint("a", 1)])

    def test_a_password_that_nobody_has(self) -> None:
        """As above; a session says so, too, and not that nobody can be reached."""

        def connect(*_: object) -> None:
            raise ServerError(NO_PASSWORD)

        self.patch(blocking_line, "connect", connect)
        self.patch(session, "connect", connect)
        with Client("a:1,b:1", password="secret") as client:
            self.assertRaises(Rejected, client.get, "k")
        self.assertRaises(ServerError, Session([Endpoint("a", 1), Endpoint("b", 1)], 1.0).connect)

    def test_a_session(self) -> None:
        """A person at `dkv repl` reads it at once, too, and each node of `dkv status` has its own answer."""
        nodes = [Endpoint("a", 1), Endpoint("b", 1)]
        asked: list[Endpoint] = []

        def connect(endpoint: Endpoint, *_: float) -> None:
            asked.append(endpoint)
            raise ServerError(WRONG)

        self.patch(session, "connect", connect)
        self.assertEqual(self.assertRaises(ServerError, Session(nodes, 1.0).connect).word, "WRONGPASS")
        self.assertEqual(asked, nodes[:1])
        self.patch(survey, "connect", connect)
        answers = survey.ask_all(nodes, [(b"DKV.STATUS",), (b"PING",)], 1.0)
        self.assertEqual([(each.reached, each.problem) for of in answers for each in of], [(True, WRONG)] * 4)


class RedisTests(SynchronousTestCase):
    def test_judged(self) -> None:
        """An attempt that had no answer is not forgotten because a later one is turned away."""
        for error in (AuthenticationError(WRONG), NoPermissionError("No permissions to access a key")):
            call = TokenCall(("SET", "k", "v"), Kind.WRITE, PendingOps())
            self.assertIs(self.assertRaises(type(error), call.judge, error), error)
            call.judge(ConnectionError("Connection closed by server."))
            self.assertRaises(MaybeApplied, call.judge, error)
