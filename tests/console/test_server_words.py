"""INFO, CONFIG GET, LATENCY, ROLE and WAIT, as tools and libraries ask for them."""

from __future__ import annotations

from dkv.replies import Verbatim
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
        self.assertEqual(self.refusal("CONFIG SET save x"), "ERR unknown subcommand 'SET'. Try CONFIG HELP.")

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
