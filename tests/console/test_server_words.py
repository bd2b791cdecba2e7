"""INFO, CONFIG GET, LATENCY, ROLE and WAIT, as tools and libraries ask for them."""

from __future__ import annotations

from typing import Any

from dkv.kv.codes import NOTIFY, PUT
from dkv.replies import OK, Simple, Verbatim
from dkv.wire.reply_encoder import ReplyEncoder
from tests.console.spoken import Spoken


class ServerWordsTests(Spoken):
    """One session."""

    def test_info(self) -> None:
        """All of it, or a section; and the version that HELLO names."""
        text = b"# Server\r\nredis_version:7.0.0\r\n\r\n# Dkv\r\ndkv_role:leader\r\n"
        self.assertEqual(self.reply("INFO"), Verbatim(text))
        self.assertEqual(self.reply("INFO dkv"), Verbatim(b"# Dkv\r\ndkv_role:leader\r\n"))
        self.assertEqual(self.reply("INFO nope"), Verbatim(b""))
        self.assertEqual(self.reply("HELLO")[b"version"], b"7.2.4")

    def test_config(self) -> None:
        """redis-benchmark asks for two settings before it begins; libraries ask for the number of databases."""
        self.assertEqual(self.reply("CONFIG GET save"), {b"save": b""})
        self.assertEqual(self.reply("CONFIG GET maxclients"), {b"maxclients": b"12"})
        self.assertEqual(self.reply("CONFIG GET appendonly nope"), {b"appendonly": b"yes"})
        self.assertEqual(self.reply("CONFIG GET DATA*"), {b"databases": b"16"})
        self.assertEqual(list(self.reply("CONFIG GET append* s?ve")), [b"appendfsync", b"appendonly", b"save"])
        self.assertEqual(self.reply("CONFIG GET " + "*a" * 1_000), {})
        self.assertIn("for 'config|get' command", self.refusal("CONFIG GET"))
        self.assertEqual(self.refusal("CONFIG RESETSTAT"), "ERR unknown subcommand 'RESETSTAT'. Try CONFIG HELP.")

    def test_setting_events(self) -> None:
        """Frameworks set which events they want to hear of: it is a write, as all nodes must know."""
        name = "notify-keyspace-events"
        for letters, canonical in (("KEA", b"AKE"), ("Ex", b"xE"), ("EKn$", b"$nKE"), ("g$lshzxetdnK", b"AnK")):
            self.assertEqual(self.meaning(f"CONFIG SET {name} {letters}"), [NOTIFY, 0, 1 << 20, canonical])
        self.assertEqual(self.meaning("CONFIG SET NOTIFY-keyspace-events ''"), [NOTIFY, 0, 1 << 20, b""])
        self.node.notifications = b"AnKE"
        self.assertEqual(self.reply(f"CONFIG GET {name}"), {name.encode(): b"AKE"})

    def test_refused_settings(self) -> None:
        """In Redis's words, and nothing is set if a part of it is wrong."""
        name, failed = "notify-keyspace-events", "ERR CONFIG SET failed (possibly related to argument "
        for words, text in (
            ("nope 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"),
            (f"{name} KEA nope 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"),
            (f"{name} q nope 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"),
            (f"{name} KEA maxmemory", "ERR syntax error"),
            (f"{name} KEA maxmemory 1", f"{failed}'maxmemory') - can't set immutable config"),
            (f"{name} KEA {name} E", f"{failed}'{name}') - duplicate parameter"),
            (f"{name} KEq", f"{failed}'{name}') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            (
                f"{name} KEAm",
                f"{failed}'{name}') - dkv tells of no reads, and so of no key that a read does not find: leave out 'm'",
            ),
            (name, "ERR wrong number of arguments for 'config|set' command"),
        ):
            self.assertEqual(self.refusal(f"CONFIG SET {words}"), text)

    def test_setting_in_a_transaction(self) -> None:
        """Redis has it there. What is wrong with it is that request's own error."""
        self.reply("MULTI")
        for words in ("KEA", "q"):
            self.assertEqual(self.reply(f"CONFIG SET notify-keyspace-events {words}"), Simple("QUEUED"))
        self.reply("SET k v")
        request: Any = self.request("EXEC")
        self.assertEqual([each[0] for each in request.entry[4]], [NOTIFY, PUT])
        assert request.settle is not None
        answer: Any = request.settle([OK, OK]).reply
        self.assertEqual((answer[0], answer[2]), (OK, OK))
        self.assertIn("Invalid event class character", answer[1].reply.text)

    def test_latency(self) -> None:
        """No events are kept, which is what Redis answers by default, too."""
        for line, reply in (("LATEST", []), ("HISTORY fork", []), ("RESET", 0), ("RESET fork", 0)):
            self.assertEqual(self.reply(f"LATENCY {line}"), reply)
        self.assertIn(b"DKV.METRICS", self.reply("LATENCY DOCTOR").data)
        self.assertEqual(self.refusal("LATENCY GRAPH x"), "ERR unknown subcommand 'GRAPH'. Try LATENCY HELP.")
        self.assertIn("for 'latency|history' command", self.refusal("LATENCY HISTORY"))

    def test_role(self) -> None:
        """Each node takes writes."""
        self.assertEqual(self.reply("ROLE"), [b"master", 0, []])

    def test_wait(self) -> None:
        """Two of three disks have what was acknowledged: that of one other node at least."""
        self.assertEqual(self.reply("WAIT 1 0"), 1)
        self.assertEqual(self.reply("WAIT 5 100"), 1)
        self.assertEqual(self.reply("WAITAOF 1 1 0"), [1, 1])
        for line, text in (
            ("WAIT x 0", "value is not an integer or out of range"),
            ("WAIT 0 x", "timeout is not an integer or out of range"),
            ("WAIT 0 -1", "timeout is negative"),
            ("WAITAOF 2 0 0", "value is out of range, value must between 0 and 1"),
            ("WAITAOF 0 -1 0", "value is out of range, must be positive"),
            ("WAITAOF 0 0 -1", "timeout is negative"),
        ):
            self.assertEqual(self.refusal(line), f"ERR {text}")

    def test_absent_on_purpose(self) -> None:
        """What dkv does not have is an unknown word, as it is for a Redis that is too old."""
        for word in ("DUMP", "RESTORE", "SWAPDB", "MONITOR"):
            text = f"ERR unknown command '{word}', with args beginning with: 'k' "
            self.assertEqual(self.refusal(f"{word} k"), text)

    def test_texts_are_for_people(self) -> None:
        """In RESP 3 they say so."""
        encoder = ReplyEncoder()
        encoder.protocol = 3
        self.assertTrue(encoder.encode([self.local("INFO")]).startswith(b"=61\r\ntxt:# Server\r\n"))
