"""What the commands on keys become."""

from __future__ import annotations

from dkv.kv.codes import COPY, DELETE, ERASE, EXISTS, MEMORY, OBJECT, RENAME, RENAMENX, TYPE
from dkv.replies import LogRequest
from tests.kv.words.reading import NO_INTEGER, SYNTAX, ReadingCase, meant


class WholeKeyTests(ReadingCase):
    """Deleting, counting, renaming, copying, and what is told of a key."""

    def test_deleting(self) -> None:
        """Three names for one thing, which stays what it was in database 0."""
        for name in ("DEL", "delete", "UNLINK"):
            self.assertEqual(meant(f"{name} a b a"), [DELETE, b"a", b"b", b"a"])
            self.assertEqual(meant(f"{name} a", 9), [ERASE, 9, 20, b"a"])
            self.assertEqual(meant(name + " a" * 33), [ERASE, 0, 20, *[b"a"] * 33])

    def test_entries(self) -> None:
        """Each request is one entry."""
        self.check_entries(EXISTS, ("EXISTS a a", [b"a", b"a"]), ("touch a b", [b"a", b"b"]))
        self.check_entries(RENAME, ("RENAME a b", [b"a", b"b"]))
        self.check_entries(RENAMENX, ("RENAMENX a a", [b"a", b"a"]))
        self.check_entries(TYPE, ("TYPE a", [b"a"]))
        self.check_entries(
            COPY, ("COPY a a DB 7 replace REPLACE", [b"a", b"a", 7, 1]), ("COPY a b db 7", [b"a", b"b", 7, 0])
        )
        self.assertEqual(meant("COPY a b", 3), LogRequest([COPY, 3, 20, b"a", b"b", 3, 0]))
        self.check_entries(OBJECT, ("OBJECT Encoding a", [b"a", b"encoding"]), ("object freq a", [b"a", b"freq"]))
        self.check_entries(MEMORY, ("MEMORY USAGE a", [b"a"]), ("memory usage a SAMPLES 5 samples 0", [b"a"]))

    def test_copy_errors(self) -> None:
        """In Redis's words."""
        same = "ERR source and destination objects are the same"
        self.check_errors(
            ("COPY a a", same),
            ("COPY a a DB 0 REPLACE", same),
            ("COPY a b DB 16", "ERR DB index is out of range"),
            ("COPY a b DB -1", "ERR DB index is out of range"),
            ("COPY a b DB x", NO_INTEGER),
            ("COPY a b DB 2147483648", "ERR value is out of range, value must between -2147483648 and 2147483647"),
            ("COPY a b DB", SYNTAX),
            ("COPY a b FOO", SYNTAX),
        )

    def test_subcommands(self) -> None:
        """A subcommand that is not there is named, with those that are."""
        self.check_errors(
            ("OBJECT FOO a", "ERR unknown subcommand 'FOO'. Try OBJECT HELP."),
            ("OBJECT HELP", "ERR unknown subcommand 'HELP'. Try OBJECT HELP."),
            ("OBJECT ENCODING", "ERR wrong number of arguments for 'object|encoding' command"),
            ("OBJECT FREQ a b", "ERR wrong number of arguments for 'object|freq' command"),
            ("MEMORY DOCTOR", "ERR unknown subcommand 'DOCTOR'. Try MEMORY HELP."),
            ("MEMORY USAGE", "ERR wrong number of arguments for 'memory|usage' command"),
            *((f"MEMORY USAGE a {options}", SYNTAX) for options in ("SAMPLES", "SAMPLES -1", "FOO", "SAMPLES 1 FOO")),
            ("MEMORY USAGE a SAMPLES x", NO_INTEGER),
        )
