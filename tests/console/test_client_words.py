"""CLIENT: lists, names and ends connections as Redis does, to the words of its errors."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock, PropertyMock, patch

from dkv.console.client_session import ClientSession
from dkv.console.client_state import ClientState
from dkv.console.inspection import Inspection
from dkv.net.meter import Meter
from dkv.replies import OK, Local, Raw, Replying, Verbatim
from tests.console.spoken import Spoken
from tests.net.client_port import Port, Transport, encoded


class OwnConnectionTests(Spoken):
    """What a client says of itself."""

    def test_itself(self) -> None:
        """Libraries may say what they are, and give their connections names."""
        self.assertEqual(self.reply("CLIENT ID"), 7)
        self.assertEqual(self.reply("CLIENT SETINFO LIB-NAME redis-py"), OK)
        self.assertEqual(self.reply("client setinfo lib-ver 8.0"), OK)
        self.assertEqual(self.session.library, {b"lib-name": b"redis-py", b"lib-ver": b"8.0"})
        self.assertEqual(self.reply("CLIENT SETNAME me"), OK)
        self.assertEqual(self.reply("CLIENT GETNAME"), b"me")
        self.assertEqual(self.reply('CLIENT SETNAME ""'), OK)
        self.assertIsNone(self.reply("CLIENT GETNAME"))
        for line in ("CLIENT NO-EVICT ON", "CLIENT NO-EVICT off", "CLIENT NO-TOUCH ON"):
            self.assertEqual(self.reply(line), OK)

    def test_refused(self) -> None:
        """The words of Redis, by which libraries recognise what there is not."""
        for line, text in (
            ("CLIENT", "wrong number of arguments for 'client' command"),
            ("CLIENT ID x", "wrong number of arguments for 'client|id' command"),
            ("CLIENT NOPE", "unknown subcommand 'NOPE'. Try CLIENT HELP."),
            ("CLIENT TRACKING ON", "unknown subcommand 'TRACKING'. Try CLIENT HELP."),
            ("CLIENT MAINT_NOTIFICATIONS ON", "unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."),
            ("CLIENT SETNAME 'a b'", "Client names cannot contain spaces, newlines or special characters."),
            ("CLIENT SETINFO other x", "Unrecognized option 'other'"),
            ("CLIENT SETINFO lib-ver 'a b'", "lib-ver cannot contain spaces, newlines or special characters."),
            ("CLIENT NO-EVICT maybe", "syntax error"),
            ("CLIENT REPLY maybe", "syntax error"),
            ("CLIENT LIST TYPE nope", "Unknown client type 'nope'"),
            ("CLIENT LIST ID", "syntax error"),
            ("CLIENT LIST ID x", "Invalid client ID"),
            ("CLIENT LIST FOO", "syntax error"),
            ("CLIENT KILL", "wrong number of arguments for 'client|kill' command"),
            ("CLIENT KILL ID x", "client-id should be greater than 0"),
            ("CLIENT KILL ID 0", "client-id should be greater than 0"),
            ("CLIENT KILL ID 1 ADDR", "syntax error"),
            ("CLIENT KILL FOO 1", "syntax error"),
            ("CLIENT KILL TYPE foo", "Unknown client type 'foo'"),
            ("CLIENT KILL USER foo", "No such user 'foo'"),
            ("CLIENT KILL SKIPME maybe", "syntax error"),
            ("CLIENT KILL MAXAGE x", "maxage is not an integer or out of range"),
        ):
            self.assertEqual(self.refusal(line), f"ERR {text}", line)

    def test_reply(self) -> None:
        """A client that does not listen need not be answered."""
        self.assertEqual(self.local("CLIENT REPLY OFF"), Local(Raw(b""), replying=Replying.OFF))
        self.assertEqual(self.local("CLIENT REPLY SKIP"), Local(Raw(b""), replying=Replying.SKIP))
        self.assertEqual(self.local("CLIENT REPLY ON"), Local(OK, replying=Replying.ON))

    def test_help(self) -> None:
        """Each subcommand has its line, and one that says what it does."""
        lines = [line.text for line in self.reply("CLIENT HELP")]
        self.assertEqual(lines[0], "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
        self.assertIn("SETNAME name", lines)
        self.assertEqual(lines[-2:], ["HELP", "    Print this help."])


class OthersTests(Spoken):
    """What a client learns of others, and does to them."""

    def setUp(self) -> None:
        super().setUp()
        node: Any = Mock(spec=Inspection)
        node.logins.users = None
        self.port = Port(
            new_interpreter=lambda connection, peer: ClientSession(connection, peer, self.port.limits, node)
        )
        node.client_connections = self.port.clients.connected
        self.first, self.second = (self.port.connect(f"192.0.2.{number}") for number in (1, 2))

    def call(self, line: bytes, connection: tuple[Any, Transport] | None = None) -> bytes:
        """What the first connection, or another, is answered."""
        protocol, transport = connection or self.first
        transport.clear()
        protocol.dataReceived(line + b"\r\n")
        written: bytes = transport.value()
        return written

    def fields(self, line: bytes) -> list[dict[str, str]]:
        """What the node says of the clients that ``line`` asks for."""
        text = self.call(line).partition(b"\r\n")[2].decode()
        return [dict(field.split("=", 1) for field in each.split()) for each in text.splitlines() if each]

    def test_list(self) -> None:
        """An operator sees who is connected, for how long, and what it does."""
        self.port.clock.advance(5)
        self.call(b"CLIENT SETNAME me")
        self.call(b"HELLO 3", self.second)
        self.call(b"SELECT 4", self.second)
        self.call(b"CLIENT SETINFO lib-name redis-py", self.second)
        self.call(b"MULTI", self.second)
        self.call(b"PING", self.second)
        self.port.clock.advance(3)
        first, second = self.fields(b"CLIENT LIST")
        self.assertEqual((first["id"], first["addr"], first["name"]), ("1", "192.0.2.1:4000", "me"))
        self.assertEqual((first["age"], first["idle"], first["flags"], first["multi"]), ("8", "0", "N", "-1"))
        self.assertEqual((second["id"], second["age"], second["idle"]), ("2", "8", "3"))
        self.assertEqual((second["db"], second["resp"], second["lib-name"]), ("4", "3", "redis-py"))
        self.assertEqual((second["flags"], second["multi"]), ("x", "1"))

    def test_last_command(self) -> None:
        """An operator sees what a client has asked last, and libraries read that field: in Redis's words."""
        for line, name in (
            (b"", "NULL"),
            (b"GET k", "get"),
            (b"PING\r\nsET k v", "set"),
            (b"OBJECT encoding k", "object|encoding"),
            (b"OBJECT nope k", "object"),
            (b"NOPE " + b"x" * 100, "NULL"),
            (b"n" * 100, "NULL"),
            (b"SUBSCRIBE c", "subscribe"),
        ):
            self.call(line, self.second)
            self.assertEqual([each["cmd"] for each in self.fields(b"CLIENT LIST")], ["client|list", name])
        self.assertTrue(all(len(word) <= 32 for word in self.second[0].last_words))

    def test_a_line_is_cheap(self) -> None:
        """The lines of 10,000 clients are made at once: neither the clock nor the system is asked for each of them."""
        for number in range(3, 30):
            self.port.connect(f"192.0.2.{number}")
        asked = patch.object(Transport, "getHost", side_effect=AssertionError)
        with asked, patch.object(Meter, "now", PropertyMock(return_value=0.0)) as now:
            self.assertEqual(len(self.fields(b"CLIENT LIST")), 29)
        self.assertEqual(now.call_count, 1)

    def test_chosen(self) -> None:
        """Only those that were asked for."""
        self.assertEqual([each["id"] for each in self.fields(b"CLIENT INFO")], ["1"])
        self.assertEqual([each["id"] for each in self.fields(b"CLIENT LIST ID 2 9")], ["2"])
        self.assertEqual([each["id"] for each in self.fields(b"CLIENT LIST TYPE normal")], ["1", "2"])
        self.assertEqual(self.fields(b"CLIENT LIST TYPE pubsub"), [])

    def test_kill(self) -> None:
        """Others end at once; the own connection ends behind the reply, and only if that is asked for."""
        for line, killed in (
            (b"CLIENT KILL ID 9", b":0"),
            (b"CLIENT KILL TYPE pubsub", b":0"),
            (b"CLIENT KILL ID 1", b":0"),
            (b"CLIENT KILL ADDR 192.0.2.3:4000", b":0"),
            (b"CLIENT KILL MAXAGE 1", b":0"),
            (b"CLIENT KILL 192.0.2.3:4000", b"-ERR No such client"),
            (b"CLIENT KILL ID 2", b":1"),
            (b"CLIENT KILL TYPE normal USER default", b":1"),
            (b"CLIENT KILL 192.0.2.2:4000", b"+OK"),
        ):
            self.second[1].aborted = False
            self.assertEqual(self.call(line), killed + b"\r\n", line)
            self.assertEqual(self.second[1].aborted, killed in (b":1", b"+OK"))
            self.assertFalse(self.first[1].disconnecting)
        self.assertEqual(self.call(b"CLIENT KILL ID 1 SKIPME no"), b":1\r\n")
        self.assertTrue(self.first[1].disconnecting)

    def test_kill_itself_by_its_address(self) -> None:
        """As in Redis, the old form spares nobody."""
        self.assertEqual(self.call(b"CLIENT KILL 192.0.2.1:4000"), b"+OK\r\n")
        self.assertTrue(self.first[1].disconnecting)

    def test_silent(self) -> None:
        """Without replies the requests are executed all the same."""
        self.assertEqual(self.call(b"CLIENT REPLY OFF"), b"")
        self.assertEqual(self.call(b"CLIENT SETNAME me"), b"")
        self.assertEqual(self.call(encoded(b"SET", b"x", b"1")), b"")
        self.port.answer_all()
        self.assertEqual(self.first[1].value(), b"")
        self.assertEqual(self.call(b"CLIENT REPLY ON"), b"+OK\r\n")
        self.assertEqual(self.call(b"CLIENT GETNAME"), b"$2\r\nme\r\n")

    def test_strangers(self) -> None:
        """A connection with another kind of interpreter is none of a client's."""
        stranger = Mock(interpreter=object())
        node: Any = Mock(spec=Inspection)
        node.client_connections.return_value = [stranger]
        session = ClientSession(1, "", self.port.limits, node)
        self.assertIsInstance(session, ClientState)
        self.assertEqual(session.interpret([b"CLIENT", b"LIST"]), Local(Verbatim(b"")))
