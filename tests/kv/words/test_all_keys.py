"""What the commands on all keys of a database become."""

from __future__ import annotations

from dkv.kv.codes import DBSIZE, FLUSHALL, FLUSHDB, KEYS, RANDOMKEY, SCAN, TIME
from dkv.replies import LogRequest
from tests.kv.words.reading import NO_INTEGER, SYNTAX, ReadingCase, meant


class AllKeyTests(ReadingCase):
    """Listings, counts, and emptying a database."""

    def test_entries(self) -> None:
        """An entry holds all that applying judges by: also chance, which no two nodes would have alike."""
        self.check_entries(RANDOMKEY, ("RANDOMKEY", [77]))
        self.check_entries(DBSIZE, ("DBSIZE", []))
        self.check_entries(FLUSHDB, ("FLUSHDB", []), ("flushdb async", []), ("FLUSHDB SYNC", []))
        self.check_entries(FLUSHALL, ("FLUSHALL", []))
        self.check_entries(TIME, ("TIME", []))

    def test_alone(self) -> None:
        """What may take long is evaluated by itself: in a pipeline, a hundred at once would stop the node."""
        for line, code, *arguments in (
            ("KEYS a*", KEYS, b"a*"),
            ("SCAN 0", SCAN, 0, b"*", 10, b""),
            ("RANDOMKEY", RANDOMKEY, 77),
        ):
            for db in (0, 5):
                self.assertEqual(meant(line, db), LogRequest([code, db, 20, *arguments], alone=True))

    def test_scan(self) -> None:
        """Options may be repeated: the last one counts."""
        self.check_entries(
            SCAN,
            ("SCAN 0", [0, b"*", 10, b""]),
            ("scan 00 match a* COUNT 100", [0, b"a*", 100, b""]),
            ("SCAN +7 TYPE String", [7, b"*", 10, b"string"]),
            ("SCAN 18446744073709551615 MATCH a MATCH b COUNT 1 COUNT 2", [2**64 - 1, b"b", 2, b""]),
        )
        self.check_errors(
            *((f"SCAN {cursor}", "ERR invalid cursor") for cursor in ("abc", "''", "-1", "1x", "' 0'", 2**64)),
            *(
                (f"SCAN 0 {options}", SYNTAX)
                for options in ("COUNT 0", "COUNT -1", "COUNT", "MATCH", "TYPE", "NOVALUES")
            ),
            ("SCAN 0 COUNT x", NO_INTEGER),
            ("SCAN 0 TYPE Foo", "ERR unknown type name 'Foo'"),
        )

    def test_flush_errors(self) -> None:
        """Nothing is emptied by a request that says something else besides."""
        for name in ("FLUSHDB", "FLUSHALL"):
            self.check_errors(*((f"{name} {words}", SYNTAX) for words in ("FOO", "ASYNC SYNC", "async async")))
