"""The meaning of a client's words on its connection, for people in telnet and for the libraries of Redis users."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import TABLE, ClientSession
from dkv.console.comparison import HeldState
from dkv.console.inspection import Inspection
from dkv.identity import Identity
from dkv.kv.codes import GET, PUT, READS
from dkv.replies import OK, Error, Local, Raw, Simple
from dkv.settings import Limits
from dkv.wire.inline import split_line
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.telnet import TIMING_MARK


class SessionTests(SynchronousTestCase):
    """One session."""

    def setUp(self) -> None:
        node = Mock(spec=Inspection)
        node.info.return_value = {"Server": {"redis_version": "7.0.0"}, "Dkv": {"dkv_role": "leader"}}
        node.connections_max = 12
        node.faults_allowed = False
        node.metrics.return_value = b"dkv_connections 1"
        node.status.return_value = {"node": 1}
        node.log.return_value = []
        node.identity, node.applied_through = Identity("c", 1, 9, 1), 0
        node.comparison = HeldState(1, lambda *letter: None, lambda: 0.0)
        node.member_view = Mock(kind="voter", **{"members.return_value": {}, "invitation.return_value": {}})
        self.session = ClientSession(7, "192.0.2.1:4000", Limits(), node)

    def local(self, line: str) -> Local:
        """The reply to ``line``, which needs no log."""
        words = split_line(line.encode())
        assert words
        answer = self.session.interpret(words)
        assert isinstance(answer, Local), line
        return answer

    def reply(self, line: str) -> Any:
        """The answer to ``line``; the connection goes on as it was."""
        answer = self.local(line)
        self.assertFalse(answer.close)
        return answer.reply

    def refusal(self, line: str) -> str:
        """The text with which ``line`` is refused."""
        reply = self.reply(line)
        assert isinstance(reply, Error), line
        return reply.text

    def test_data_commands(self) -> None:
        """Reads and writes go to the log, and refused ones do not."""
        self.assertEqual(self.session.interpret([b"put", b"k", b"v"]), [PUT, b"k", b"v"])
        self.assertEqual(self.session.interpret([b"GET", b"k"]), [GET, b"k"])
        self.assertEqual(self.session.reads, READS)
        self.assertEqual(self.refusal("GET"), "ERR wrong number of arguments for 'get' command")

    def test_ping_echo_quit(self) -> None:
        """The commands with which every client tries a connection."""
        self.assertEqual(self.reply("ping"), Simple("PONG"))
        self.assertEqual(self.reply("PING hello"), b"hello")
        self.assertEqual(self.refusal("PING a b"), "ERR wrong number of arguments for 'ping' command")
        self.assertEqual(self.reply("ECHO x"), b"x")
        self.assertEqual(self.refusal("ECHO"), "ERR wrong number of arguments for 'echo' command")
        self.assertEqual(self.local("QUIT"), Local(OK, close=True))

    def test_long_argument(self) -> None:
        """The limit of a value holds for what is only echoed, too."""
        self.assertEqual(
            self.refusal("ECHO " + "x" * 1_048_577),
            "ERR the argument has 1048577 bytes, limits.value_bytes_max is 1048576",
        )

    def test_select(self) -> None:
        """Libraries that select database 0 work; others learn that there is one."""
        self.assertEqual(self.reply("SELECT 0"), OK)
        self.assertEqual(self.refusal("SELECT 1"), "ERR DB index is out of range")
        self.assertEqual(self.refusal("SELECT -1"), "ERR DB index is out of range")
        self.assertEqual(self.refusal("SELECT x"), "ERR value is not an integer or out of range")

    def test_hello(self) -> None:
        """redis-py and node-redis compare ``proto`` with the number they asked for."""
        for line, protocol in (("HELLO", 2), ("HELLO 3", 3), ("HELLO", 3), ("hello 2 setname me", 2)):
            answer = self.local(line)
            fields = answer.reply
            assert isinstance(fields, dict)
            self.assertEqual((answer.protocol, fields[b"proto"]), (protocol, protocol))
            self.assertEqual(fields[b"id"], 7)
            self.assertLessEqual({b"server", b"version", b"mode", b"role", b"modules"}, set(fields))
        self.assertEqual(self.reply("CLIENT GETNAME"), b"me")

    def test_hello_refused(self) -> None:
        """A refused HELLO changes nothing, and says why."""
        for line, text in (
            ("HELLO 4", "NOPROTO unsupported protocol version"),
            ("HELLO x", "ERR Protocol version is not an integer or out of range"),
            ("HELLO 3 AUTH user secret", "ERR this server has no passwords: say HELLO without AUTH"),
            ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
            ("HELLO 3 NONSENSE x", "ERR Syntax error in HELLO option 'NONSENSE'"),
            ("HELLO 3 SETNAME 'a b'", "ERR Client names cannot contain spaces, newlines or special characters."),
        ):
            self.assertEqual(self.refusal(line), text)
            self.assertEqual(self.local(line).protocol, 0)
        self.assertEqual(self.local("HELLO").protocol, 2)
        self.assertIsNone(self.reply("CLIENT GETNAME"))

    def test_client(self) -> None:
        """Libraries may say what they are; commands that dkv does not have are refused."""
        self.assertEqual(self.reply("CLIENT ID"), 7)
        self.assertEqual(self.reply("CLIENT SETINFO LIB-NAME redis-py"), OK)
        self.assertEqual(self.reply("client setinfo lib-ver 8.0"), OK)
        self.assertEqual(self.refusal("CLIENT SETINFO other x"), "ERR Unrecognized option 'other'")
        self.assertEqual(self.reply("CLIENT SETNAME me"), OK)
        self.assertEqual(self.reply("CLIENT GETNAME"), b"me")
        self.assertEqual(self.reply('CLIENT SETNAME ""'), OK)
        self.assertIsNone(self.reply("CLIENT GETNAME"))
        self.assertIn("cannot contain spaces", self.refusal("CLIENT SETNAME 'a b'"))
        self.assertEqual(
            self.refusal("CLIENT MAINT_NOTIFICATIONS ON"),
            "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. CLIENT knows GETNAME, ID, SETINFO, SETNAME.",
        )
        self.assertEqual(self.refusal("CLIENT ID x"), "ERR wrong number of arguments for 'client|id' command")
        self.assertEqual(self.refusal("CLIENT"), "ERR wrong number of arguments for 'client' command")

    def test_command(self) -> None:
        """redis-cli completes and explains the commands that are here, and no others."""
        self.assertEqual(self.reply("COMMAND COUNT"), len(TABLE))
        self.assertEqual([command[0] for command in self.reply("COMMAND")], list(TABLE))
        self.assertEqual([docs and docs[0] for docs in self.reply("COMMAND INFO GET nope")], [b"get", None])
        self.assertEqual(list(self.reply("COMMAND DOCS Get nope")), [b"get"])
        self.assertEqual(set(self.reply("COMMAND DOCS")), set(TABLE))
        self.assertIn("unknown subcommand 'GETKEYS'", self.refusal("COMMAND GETKEYS GET x"))
        self.assertIn("for 'command|count' command", self.refusal("COMMAND COUNT x"))

    def test_config(self) -> None:
        """redis-benchmark asks for two settings before it begins."""
        self.assertEqual(self.reply("CONFIG GET save"), {b"save": b""})
        self.assertEqual(self.reply("CONFIG GET maxclients"), {b"maxclients": b"12"})
        self.assertEqual(self.reply("CONFIG GET appendonly nope"), {b"appendonly": b"yes"})
        self.assertIn("for 'config|get' command", self.refusal("CONFIG GET"))
        self.assertIn("unknown subcommand 'SET'", self.refusal("CONFIG SET save x"))

    def test_info(self) -> None:
        """All of it, or a section; and the version that HELLO names."""
        text = b"# Server\r\nredis_version:7.0.0\r\n\r\n# Dkv\r\ndkv_role:leader\r\n"
        self.assertEqual(self.reply("INFO"), text)
        self.assertEqual(self.reply("INFO dkv"), b"# Dkv\r\ndkv_role:leader\r\n")
        self.assertEqual(self.reply("HELLO")[b"version"], b"7.0.0")

    def test_help(self) -> None:
        """A person who reaches the port with telnet finds out what to type."""
        lines = [line.text for line in self.reply("HELP")]
        self.assertTrue(any(line.startswith("PUT key value ") for line in lines))
        self.assertEqual(len(lines), len(TABLE) + 1)
        self.assertLess(max(map(len, lines)), 100)

    def test_unknown(self) -> None:
        """A word that is no command is refused as Redis does, so that libraries recognise it."""
        self.assertEqual(self.refusal("NOPE a b"), "ERR unknown command 'NOPE', with args beginning with: 'a' 'b' ")
        self.assertEqual(self.refusal("NOPE"), "ERR unknown command 'NOPE', with args beginning with: ")
        self.assertLess(len(self.refusal("x" * 50_000 + " y" * 9_000)), 500)

    def test_timing_mark(self) -> None:
        """Telnet's question after Ctrl-C is answered to telnet, and not to a client that sends it as a command."""
        for line in ("PING", "MULTI"):
            self.local(line)
            self.assertEqual(self.session.interpret(TIMING_MARK), Local(Raw(b"\xff\xfb\x06")))
            answer = self.session.interpret([*TIMING_MARK])
            assert isinstance(answer, Local)
            self.assertIsInstance(answer.reply, Error)

    def test_reset(self) -> None:
        """A connection given back to a pool is as new: RESP 2, and no name."""
        self.local("HELLO 3 SETNAME me")
        self.assertEqual(self.local("reset"), Local(Simple("RESET"), protocol=2))
        self.assertIsNone(self.reply("CLIENT GETNAME"))
        self.assertEqual(self.local("HELLO").protocol, 2)
        self.assertEqual(self.refusal("RESET x"), "ERR wrong number of arguments for 'reset' command")

    @given(st.lists(st.one_of(st.binary(max_size=10), st.sampled_from([*TABLE, b"get", b"docs", b"3"])), min_size=1))
    def test_total(self, words: list[bytes]) -> None:
        """No request raises an exception in the node, and every answer can be encoded in both protocols."""
        answer = self.session.interpret(words)
        if isinstance(answer, Local):
            for protocol in (2, 3):
                encoder = ReplyEncoder()
                encoder.protocol = protocol
                self.assertTrue(encoder.encode([answer]).endswith(b"\r\n"))


class TransactionTests(SynchronousTestCase):
    """There are no transactions, and nothing of one is done: libraries send it whole, whatever MULTI is answered."""

    def setUp(self) -> None:
        self.session = ClientSession(7, "192.0.2.1:4000", Limits(), Mock(spec=Inspection))

    def interpret(self, line: str) -> Any:
        """The meaning of ``line``: an entry, or the reply."""
        words = split_line(line.encode())
        assert words
        answer = self.session.interpret(words)
        return answer.reply if isinstance(answer, Local) else answer

    def begin(self, line: str = "MULTI") -> None:
        """Begin a transaction, which is refused."""
        self.assertRegex(self.interpret(line).text, "^ERR unknown command 'MULTI'")

    def check_ended(self) -> None:
        """Requests are executed again."""
        self.assertEqual(self.interpret("SET x 1"), [PUT, b"x", b"1"])

    def test_nothing_is_done(self) -> None:
        """Neither writes nor reads nor what only the connection answers, in any case, however wrong."""
        aborted = Error("EXECABORT Transaction discarded because of previous errors.")
        self.begin()
        for line in ("SET x 1", "get x", "IDMP a 1 DEL x", "IDMP NEW", "PING", "HELLO 3", "CLIENT SETNAME me", "NOPE",
                     "MULTI", "WATCH x", "UNWATCH", "SELECT 0", "DKV.STATUS", "SET x", "EXEC now", "DISCARD x",
                     "DKV.FAULT CLEAR", "exec"):  # fmt: skip
            self.assertEqual(self.interpret(line), aborted, line)
        self.check_ended()
        self.assertIsNone(self.interpret("CLIENT GETNAME"))

    def test_ends(self) -> None:
        """EXEC, DISCARD and RESET end it, and the connection goes on; QUIT ends both."""
        for line, answer in (("Discard", OK), ("RESET", Simple("RESET"))):
            self.begin()
            self.assertEqual(self.interpret(line), answer)
            self.check_ended()
        self.begin()
        self.assertEqual(self.session.interpret([b"QUIT"]), Local(OK, close=True))

    def test_however_multi_is_said(self) -> None:
        """A MULTI with words behind it is none in Redis either, but what follows was meant to be one thing."""
        for words in ([b"multi"], [b"MULTI", b"x"]):
            self.assertIsInstance(self.session.interpret(words), Local)
            self.assertIsInstance(self.session.interpret([b"SET", b"x", b"1"]), Local)
            self.interpret("EXEC")
        self.check_ended()

    def test_outside(self) -> None:
        """Without MULTI, the other words are unknown and change nothing."""
        for word in ("EXEC", "DISCARD", "WATCH k", "UNWATCH", "IDMP a 1 MULTI"):
            self.assertRegex(self.interpret(word).text, "^ERR (unknown command|IDMP takes a write)")
            self.check_ended()
