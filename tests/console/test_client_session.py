"""The meaning of a client's words on its connection, for people in telnet and for the libraries of Redis users."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dkv.console.client_session import TABLE
from dkv.kv.codes import BY_BARRIER, GET, PUT, READ
from dkv.replies import OK, Error, Local, Raw, Replying, Simple
from dkv.settings import MIB
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.telnet import TIMING_MARK
from tests.console.spoken import Spoken


class SessionTests(Spoken):
    """Commands on data, and those of the connection."""

    def test_data_commands(self) -> None:
        """Reads and writes go to the log, and refused ones do not."""
        self.assertEqual(self.session.interpret([b"put", b"k", b"v"]), [PUT, b"k", b"v"])
        self.assertEqual(self.session.interpret([b"GET", b"k"]), [GET, b"k"])
        self.assertEqual(self.session.reads, BY_BARRIER)
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
        """Each connection means one database of sixteen; a refused SELECT changes nothing."""
        self.assertEqual(self.reply("SELECT 15"), OK)
        for text, refusal in (
            ("16", "ERR DB index is out of range"),
            ("-1", "ERR DB index is out of range"),
            ("x", "ERR value is not an integer or out of range"),
            ("2147483648", "ERR value is out of range, value must between -2147483648 and 2147483647"),
            ("01", "ERR value is not an integer or out of range"),
            ("99999999999999999999", "ERR value is not an integer or out of range"),
        ):
            self.assertEqual(self.refusal(f"SELECT {text}"), refusal)
        self.assertEqual(self.session.interpret([b"GET", b"k"]), [READ, 15, MIB, b"k"])
        self.reply("SELECT 0")
        self.assertEqual(self.session.interpret([b"GET", b"k"]), [GET, b"k"])

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
            ("HELLO 3 AUTH user secret", "WRONGPASS invalid username-password pair or user is disabled."),
            ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
            ("HELLO 3 NONSENSE x", "ERR Syntax error in HELLO option 'NONSENSE'"),
            ("HELLO 3 SETNAME 'a b'", "ERR Client names cannot contain spaces, newlines or special characters."),
        ):
            self.assertEqual(self.refusal(line), text)
            self.assertEqual(self.local(line).protocol, 0)
        self.assertEqual(self.local("HELLO").protocol, 2)
        self.assertIsNone(self.reply("CLIENT GETNAME"))

    def test_help(self) -> None:
        """A person who reaches the port with telnet finds out what to type."""
        lines = [line.text for line in self.reply("HELP")]
        self.assertTrue(any(line.startswith("PUT key value ") for line in lines))
        self.assertEqual(len(lines), len(TABLE) + 1)
        self.assertLess(max(map(len, lines)), 100)

    def test_help_about_one_command(self) -> None:
        """The list has no room for long forms and whole sentences; a slip must not look like a command."""
        form, summary = [line.text for line in self.reply("help seT")]
        self.assertTrue(form.startswith("SET key value [NX|XX|") and form.endswith("|KEEPTTL]"), form)
        self.assertEqual(summary, "    Set a key to a value; nil if a condition was not met. With GET, the old value.")
        self.assertEqual(self.reply("HELP client"), self.reply("CLIENT HELP"))
        self.assertEqual(self.reply("HELP client id")[0].text, "CLIENT ID")
        for words in ("stE", "client nope", "get x", "client id x"):
            said = f"ERR unknown command '{words}': HELP alone lists all commands"
            self.assertEqual(self.refusal(f"HELP {words}"), said)
        self.assertLess(len(self.refusal("HELP " + "x" * 50_000)), 300)

    def test_help_of_a_command_for_the_log(self) -> None:
        """It is answered by the connection, also between MULTI and EXEC, where it has its place."""
        lines = [line.text for line in self.reply("object help")]
        self.assertEqual(lines[0], "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
        self.assertIn("ENCODING key", lines)
        self.reply("MULTI")
        self.reply("OBJECT HELP")
        (answer,) = self.reply("EXEC")
        self.assertEqual([line.text for line in answer.reply], lines)

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
        """A connection given back to a pool is as new: RESP 2, database 0, and no name."""
        self.local("HELLO 3 SETNAME me")
        self.local("SELECT 3")
        self.assertEqual(self.local("reset"), Local(Simple("RESET"), protocol=2, replying=Replying.ON))
        self.assertEqual(self.session.interpret([b"GET", b"k"]), [GET, b"k"])
        self.assertIsNone(self.reply("CLIENT GETNAME"))
        self.assertEqual(self.local("HELLO").protocol, 2)
        self.assertEqual(self.refusal("RESET x"), "ERR wrong number of arguments for 'reset' command")

    @given(st.lists(st.one_of(st.binary(max_size=10), st.sampled_from([*TABLE, b"get", b"docs", b"3"])), min_size=1))
    def test_total(self, words: list[bytes]) -> None:
        """No request raises an exception in the node, and every answer can be encoded in both protocols."""
        answer = self.session.interpret(words)
        if type(answer) is Local and answer.replying in (None, Replying.ON):
            for protocol in (2, 3):
                encoder = ReplyEncoder()
                encoder.protocol = protocol
                self.assertTrue(encoder.encode([answer]).endswith(b"\r\n"))
