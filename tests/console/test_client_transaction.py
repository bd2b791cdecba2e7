"""Transactions in a session: what is gathered, what is refused, and what EXEC proposes and answers."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import ClientSession
from dkv.console.client_transaction import EXECABORT, GatheredBytes
from dkv.kv.codes import EXEC, GET, IDMP, PUT, READ, WATCH
from dkv.replies import ABORTED, OK, Error, Local, Simple, Watched
from dkv.settings import KIB, MIB, Limits
from dkv.wire.reply_encoder import ReplyEncoder
from tests.console.spoken import Spoken

QUEUED = Simple("QUEUED")


class Gathers(Spoken):
    """A session that gathers transactions."""

    def gather(self, *lines: str) -> None:
        """MULTI, and these requests."""
        self.assertEqual(self.reply("MULTI"), OK)
        for line in lines:
            self.assertEqual(self.reply(line), QUEUED, line)

    def settled(self, line: str, result: Any) -> Any:
        """The reply to ``line``, which holds its connection until it has ``result``."""
        settle = self.request(line).settle
        assert settle is not None
        return settle(result).reply

    def check_over(self) -> None:
        """Requests are executed again, and nothing is left of the transaction."""
        self.assertEqual(self.meaning("SET x 1"), [PUT, b"x", b"1"])
        self.assertEqual((self.session.transaction.queued, self.session.transaction.watched), (-1, 0))
        self.assertEqual(self.session.transaction._room.taken, 0)
        self.assertEqual(self.refusal("EXEC"), "ERR EXEC without MULTI")


class TransactionTests(Gathers):
    """From MULTI to EXEC."""

    def test_one_entry(self) -> None:
        """All that was gathered is proposed at once, with the bytes that it has. Nothing is held for it."""
        self.gather("SET x 1", "get x")
        request = self.request("EXEC")
        self.assertEqual(request.entry, [EXEC, 0, MIB, [], [[PUT, b"x", b"1"], [GET, b"x"]]])
        self.assertGreater(request.size, 10)
        self.assertIsNone(request.settle)
        self.check_over()

    def test_empty(self) -> None:
        """Without requests and watched keys there is nothing to ask; with watched keys there is."""
        self.gather()
        self.assertEqual(self.reply("EXEC"), [])
        self.settled("WATCH k", Watched(7, ((3, 1),)))
        self.gather()
        self.assertEqual(self.request("EXEC").entry, [EXEC, 0, MIB, [[0, b"k", 3, 1, 7]], []])
        self.check_over()

    def test_outside(self) -> None:
        """EXEC and DISCARD belong behind a MULTI."""
        for line in ("EXEC", "DISCARD", "IDMP a 1 EXEC"):
            self.assertEqual(self.refusal(line), f"ERR {line.split()[-1]} without MULTI")
        self.assertEqual(self.reply("UNWATCH"), OK)

    def test_discard(self) -> None:
        """DISCARD, and RESET too, forget what was gathered and what is watched."""
        for line in ("DISCARD", "RESET"):
            self.settled("WATCH k", Watched(7, ((3, 1),)))
            self.gather("SET x 1")
            self.local(line)
            self.check_over()

    def test_aborted(self) -> None:
        """A request that cannot be executed at all refuses the whole, as in Redis. The others are still looked at."""
        for line, refusal in (
            ("NOPE a", "ERR unknown command 'NOPE', with args beginning with: 'a' "),
            ("GET", "ERR wrong number of arguments for 'get' command"),
            ("PING a b c", None),
            ("ECHO", "ERR wrong number of arguments for 'echo' command"),
            ("CLIENT NOPE", "ERR unknown subcommand 'NOPE'. Try CLIENT HELP."),
            ("CLIENT ID x", "ERR wrong number of arguments for 'client|id' command"),
            ("CLIENT REPLY OFF", "ERR Command not allowed inside a transaction"),
            ("IDMP a 1 SET x 1", "ERR Command not allowed inside a transaction"),
            ("DKV.STATUS", "ERR Command not allowed inside a transaction"),
            ("WATCH", "ERR wrong number of arguments for 'watch' command"),
            ("MULTI x", "ERR wrong number of arguments for 'multi' command"),
            ("DISCARD x", "ERR wrong number of arguments for 'discard' command"),
        ):
            self.gather("SET x 1")
            if refusal is None:
                self.assertEqual(self.reply(line), QUEUED)
                self.reply("DISCARD")
                continue
            self.assertEqual(self.refusal(line), refusal)
            self.assertEqual(self.reply("SET x 2"), QUEUED)
            self.assertEqual(self.reply("EXEC"), EXECABORT)
            self.check_over()

    def test_not_aborted(self) -> None:
        """What Redis refuses without refusing the whole."""
        self.gather("SET x 1")
        self.assertEqual(self.refusal("MULTI"), "ERR MULTI calls can not be nested")
        self.assertEqual(self.refusal("WATCH x"), "ERR WATCH inside MULTI is not allowed")
        self.assertEqual(self.request("EXEC").entry[-1], [[PUT, b"x", b"1"]])

    def test_exec_with_words(self) -> None:
        """An EXEC that is wrong ends the transaction all the same."""
        text = "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
        self.assertEqual(self.refusal("EXEC x"), text)
        self.gather("SET x 1")
        self.assertEqual(self.refusal("EXEC x"), text)
        self.check_over()

    def test_error_in_its_place(self) -> None:
        """What only the words of a request show is that request's own error: the others are executed, as in Redis."""
        self.begin(Limits(key_bytes_max=3))
        self.gather("SET long 1", "SET x 1", "SELECT 16")
        refused = Error("ERR the key has 4 bytes, limits.key_bytes_max is 3")
        outside = Error("ERR DB index is out of range")
        replies = self.settled("EXEC", [OK])
        self.assertEqual(replies, [Local(refused), OK, Local(outside)])

    def test_local_replies_in_their_places(self) -> None:
        """What needs no log is done when the results are there, in its place."""
        self.gather("PING", "SET x 1", "CLIENT SETNAME me", "GET x")
        request = self.request("EXEC")
        self.assertEqual(request.entry[-1], [[PUT, b"x", b"1"], [GET, b"x"]])
        self.assertIsNone(self.reply("CLIENT GETNAME"))
        assert request.settle is not None
        self.assertEqual(request.settle([OK, b"1"]).reply, [Local(Simple("PONG")), OK, Local(OK), b"1"])
        self.assertEqual(self.reply("CLIENT GETNAME"), b"me")

    def test_nothing_local_is_done_if_nothing_was(self) -> None:
        """A transaction that a watched key stopped, or that was refused, does not change the connection either."""
        for result in (ABORTED, Error("TRYAGAIN no leader")):
            self.gather("SET x 1", "SELECT 3", "CLIENT SETNAME me")
            self.assertEqual(self.settled("EXEC", result), result)
            self.assertIsNone(self.reply("CLIENT GETNAME"))
            self.assertEqual(self.meaning("GET x"), [GET, b"x"])

    def test_local_alone(self) -> None:
        """A transaction without a word for the log needs none."""
        self.gather("PING", "HELLO 3", "ECHO x")
        answer = self.local("EXEC")
        wire = ReplyEncoder().encode([answer, None])
        self.assertTrue(wire.startswith(b"*3\r\n+PONG\r\n%7\r\n"))
        self.assertTrue(wire.endswith(b"$1\r\nx\r\n_\r\n"))

    def test_select_within(self) -> None:
        """A SELECT counts for the requests behind it, and for the connection once it was executed."""
        self.gather("SET x 1", "SELECT 3", "GET x")
        self.assertEqual(self.settled("EXEC", [OK, b"1"]), [OK, Local(OK), b"1"])
        self.assertEqual(self.meaning("GET x"), [READ, 3, MIB, b"x"])
        self.gather("GET x", "SELECT 0", "GET x")
        self.assertEqual(self.request("EXEC").entry[-1], [[READ, 3, MIB, b"x"], [GET, b"x"]])

    def test_with_a_token(self) -> None:
        """``IDMP producer op EXEC``: the whole transaction has a token, also where it is empty."""
        self.gather("SET x 1")
        self.assertEqual(self.request("idmp p 7 exec").entry, [IDMP, b"p", 7, [EXEC, 0, MIB, [], [[PUT, b"x", b"1"]]]])
        self.check_over()
        self.gather("PING")
        self.assertEqual(self.request("IDMP p 8 EXEC").entry, [IDMP, b"p", 8, [EXEC, 0, MIB, [], []]])
        self.gather("SET x 1")
        self.assertIn("the op id must be", self.refusal("IDMP p x EXEC"))
        self.assertEqual(self.reply("EXEC"), EXECABORT)

    def test_quit(self) -> None:
        """QUIT ends the connection at once, and nothing is executed."""
        self.gather("SET x 1")
        self.assertEqual(self.meaning("QUIT"), Local(OK, close=True))

    def test_gone(self) -> None:
        """A client that goes away in the middle of a transaction leaves nothing behind."""
        self.gather("SET x 1")
        self.session.gone()
        self.assertEqual(self.session.transaction._room.taken, 0)


class WatchTests(Gathers):
    """WATCH, and what it sees."""

    def test_asks_for_revisions(self) -> None:
        """Each key is asked for once, by its database, and the first revision that was seen counts."""
        self.assertEqual(self.request("WATCH a b a").entry, [WATCH, 0, MIB, b"a", b"b"])
        self.assertEqual(self.settled("WATCH a b a", Watched(7, ((3, 1), (0, 0)))), OK)
        self.assertEqual(self.reply("WATCH b"), OK)
        self.assertEqual(self.settled("WATCH b c", Watched(9, ((8, 0),))), OK)
        self.reply("SELECT 2")
        self.assertEqual(self.request("WATCH a").entry, [WATCH, 2, MIB, b"a"])
        self.assertEqual(self.settled("WATCH a", Watched(10, ((4, 4),))), OK)
        self.gather()
        watched = [[0, b"a", 3, 1, 7], [0, b"b", 0, 0, 7], [0, b"c", 8, 0, 9], [2, b"a", 4, 4, 10]]
        self.assertEqual(self.request("EXEC").entry[3], watched)

    def test_unwatch(self) -> None:
        """UNWATCH forgets, and so does EXEC, whatever comes of it."""
        for lines in (("UNWATCH",), ("MULTI", "EXEC"), ("MULTI", "NOPE", "EXEC")):
            self.settled("WATCH a", Watched(7, ((3, 1),)))
            for line in lines:
                self.meaning(line)
            self.check_over()

    def test_unwatch_within(self) -> None:
        """Between MULTI and EXEC, UNWATCH is too late: the keys are compared before anything is executed."""
        self.settled("WATCH a", Watched(7, ((3, 1),)))
        self.gather("UNWATCH", "SET x 1")
        self.assertEqual(self.settled("EXEC", [OK]), [Local(OK), OK])
        self.settled("WATCH a", Watched(7, ((3, 1),)))
        self.gather("UNWATCH")
        self.assertEqual(self.request("EXEC").entry[3], [[0, b"a", 3, 1, 7]])

    def test_failed(self) -> None:
        """A WATCH that was not answered refuses the EXEC that a client has written behind it. The next is a new one."""
        refusal = Error("TRYAGAIN no leader")
        self.assertEqual(self.settled("WATCH a", refusal), refusal)
        self.gather("SET x 1")
        self.assertEqual(self.reply("EXEC"), EXECABORT)
        self.check_over()
        for end in ("UNWATCH", "DISCARD"):
            self.settled("WATCH a", refusal)
            if end == "DISCARD":
                self.gather("SET x 1")
            self.assertEqual(self.reply(end), OK)
            self.gather("SET x 1")
            self.request("EXEC")

    def test_key_too_long(self) -> None:
        """A key that there cannot be was not watched, so what is behind it is not executed."""
        self.begin(Limits(key_bytes_max=3))
        self.assertEqual(self.refusal("WATCH long"), "ERR the key has 4 bytes, limits.key_bytes_max is 3")
        self.gather("SET x 1")
        self.assertEqual(self.reply("EXEC"), EXECABORT)


class BoundTests(Spoken):
    """A client that gathers and gathers takes bounded memory, and learns why."""

    def test_requests(self) -> None:
        """No more requests than a request may have words; watched keys are counted the same."""
        self.begin(Limits(request_arguments_max=3))
        self.reply("MULTI")
        for _ in range(3):
            self.assertEqual(self.reply("PING"), QUEUED)
        text = "ERR the transaction has more than 3 requests: that is limits.request_arguments_max"
        self.assertEqual(self.refusal("PING"), text)
        self.assertEqual(self.session.transaction._queue, [])
        self.assertEqual(self.reply("EXEC"), EXECABORT)
        text = "ERR the transaction watches more than 3 keys: that is limits.request_arguments_max"
        self.assertEqual(self.refusal("WATCH a b c d"), text)
        self.reply("MULTI")
        self.assertEqual(self.reply("EXEC"), EXECABORT)

    def test_bytes(self) -> None:
        """No more bytes than one request may have, many empty words included."""
        self.begin(Limits(key_bytes_max=KIB, value_bytes_max=KIB, inline_bytes_max=KIB, request_bytes_max=KIB))
        text = "ERR the transaction has more than 1024 bytes, the limit limits.request_bytes_max"
        for line in ("ECHO " + "x" * 500, "DEL " + '"" ' * 12):
            self.reply("MULTI")
            self.assertEqual(self.reply(line), QUEUED)
            self.assertEqual(self.refusal(line), text)
            self.assertEqual(self.session.transaction._room.taken, 0)
            self.assertEqual(self.reply("EXEC"), EXECABORT)

    def test_all_clients_together(self) -> None:
        """Many clients with a transaction each share what the node has for that; what ends makes room."""
        room = GatheredBytes(300)
        sessions = [ClientSession(number, "", Limits(), self.node, room) for number in range(2)]
        for session in sessions:
            session.interpret([b"MULTI"])
        self.assertEqual(sessions[0].interpret([b"ECHO", b"x" * 100]), Local(QUEUED))
        refused = sessions[1].interpret([b"ECHO", b"x" * 100])
        assert isinstance(refused, Local) and isinstance(refused.reply, Error)
        self.assertRegex(refused.reply.text, "^TRYAGAIN the transactions of all clients have 232 bytes")
        self.assertEqual(sessions[1].interpret([b"EXEC"]), Local(EXECABORT))
        sessions[0].gone()
        self.assertEqual(room.taken, 0)
        sessions[1].interpret([b"MULTI"])
        self.assertEqual(sessions[1].interpret([b"ECHO", b"x" * 100]), Local(QUEUED))


class GatheredBytesTests(SynchronousTestCase):
    def test_take(self) -> None:
        """What is refused takes nothing."""
        room = GatheredBytes(10)
        self.assertTrue(room.take(10))
        self.assertFalse(room.take(1))
        room.give_back(4)
        self.assertEqual((room.take(4), room.taken), (True, 10))
