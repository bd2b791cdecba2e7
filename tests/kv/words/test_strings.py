"""What the commands on one string become. The texts of errors are those that Redis 7 and Valkey 9 answer."""

from __future__ import annotations

from dkv.kv.codes import APPEND, EXTEND, GET, GETDEL, GETEX, GETRANGE, PUT, READ, SET, SETNX, SETRANGE, STRLEN
from tests.kv.words.reading import NO_INTEGER, SYNTAX, ReadingCase, meant

INVALID = "ERR invalid expire time in '{}' command"
CONFUSED = (
    "NX XX", "IFEQ a NX", "XX IFNE a", "IFEQ a IFNE a", "IFEQ", "EX", "EX 1 PX 1", "KEEPTTL EX 1", "EXAT 1 KEEPTTL",
    "IFEQ a IFEQ a", "PERSIST", "FOO", "EX abc FOO", "''",
)  # fmt: skip
OUT_OF_RANGE = (
    "EX 0", "EX -1", "PX 0", "EXAT 0", "PXAT -5", "EX 9223372036854776", "PX 9223372036854775807",
    "EXAT 9223372036854775807",
)  # fmt: skip


class SetTests(ReadingCase):
    """SET and its old names."""

    def test_plain(self) -> None:
        """The SET of most clients stays as small in the log, and as fast, as it was."""
        for name in ("SET", "put"):
            self.assertEqual(meant(f"{name} k v"), [PUT, b"k", b"v"])
            self.assertEqual(meant(f"{name} k v", 3), [SET, 3, 20, b"k", b"v", 0, b"", 0, 0, 0])

    def test_options(self) -> None:
        """Each option does what Redis says, in either case and in any order; repeated, it is there once."""
        self.check_entries(
            SET,
            ("SET k v NX", [b"k", b"v", 1, b"", 0, 0, 0]),
            ("set k v nx NX", [b"k", b"v", 1, b"", 0, 0, 0]),
            ("put k v xx", [b"k", b"v", 2, b"", 0, 0, 0]),
            ("SET k v IFEQ old", [b"k", b"v", 3, b"old", 0, 0, 0]),
            ("SET k v ifne '' get", [b"k", b"v", 4, b"", 0, 0, 1]),
            ("SET k v IFEQ NX", [b"k", b"v", 3, b"NX", 0, 0, 0]),
            ("SET k v GET", [b"k", b"v", 0, b"", 0, 0, 1]),
            ("SET k v get NX GET", [b"k", b"v", 1, b"", 0, 0, 1]),
            ("SET k v KEEPTTL", [b"k", b"v", 0, b"", 1, 0, 0]),
            ("SET k v EX 10", [b"k", b"v", 0, b"", 2, 10_000, 0]),
            ("SET k v px 10 XX", [b"k", b"v", 2, b"", 2, 10, 0]),
            ("SET k v EX 10 EX 20", [b"k", b"v", 0, b"", 2, 20_000, 0]),
            ("SET k v EXAT 10", [b"k", b"v", 0, b"", 3, 10_000, 0]),
            ("SET k v PXAT 9223372036854775807", [b"k", b"v", 0, b"", 3, 2**63 - 1, 0]),
            ("SETEX k 10 v", [b"k", b"v", 0, b"", 2, 10_000, 0]),
            ("PSETEX k 10 v", [b"k", b"v", 0, b"", 2, 10, 0]),
            ("GETSET k v", [b"k", b"v", 0, b"", 0, 0, 1]),
        )
        self.check_entries(SETNX, ("SETNX k v", [b"k", b"v"]))

    def test_what_redis_refuses(self) -> None:
        """Options that exclude each other, and numbers that are none, are refused in Redis's words."""
        self.check_errors(
            *((f"SET k v {options}", SYNTAX) for options in CONFUSED),
            *((f"SET k v {options}", NO_INTEGER) for options in ("EX abc", "PX 1.5", "EX ''", "EX +1", "EX 01")),
            *((f"SET k v {options}", INVALID.format("set")) for options in OUT_OF_RANGE),
            ("PUT k v EX 0", INVALID.format("put")),
            ("SETEX k 0 v", INVALID.format("setex")),
            ("psetex k -1 v", INVALID.format("psetex")),
            ("SETEX k abc v", NO_INTEGER),
            ("SETEX k 10 v NX", "ERR wrong number of arguments for 'setex' command"),
        )

    def test_what_dkv_lacks(self) -> None:
        """An option of Redis that is not there is named: "syntax error" would send people to look for a slip."""
        self.check_errors(
            ("SET k v IFDEQ abc", "ERR SET has no option IFDEQ in dkv"),
            ("put k v ifdne abc", "ERR PUT has no option IFDNE in dkv"),
        )

    def test_limits(self) -> None:
        """A key or value that is too long is refused before it is proposed, with the setting's name."""
        key, value = "k" * 11, "v" * 21
        for line in (f"SET {key} v NX", f"SETEX {key} 1 v", f"SETNX {key} v", f"GETSET {key} v", f"GETEX {key} EX 1"):
            self.assertEqual(meant(line), "ERR the key has 11 bytes, limits.key_bytes_max is 10")
        for line in (f"SET k {value} NX", f"SETEX k 1 {value}", f"GETSET k {value}", f"SETRANGE k 0 {value}"):
            self.assertEqual(meant(line), "ERR the value has 21 bytes, limits.value_bytes_max is 20")
        self.assertEqual(meant(f"SET k v IFEQ {value}"), "ERR the value has 21 bytes, limits.value_bytes_max is 20")


class PartTests(ReadingCase):
    """Reading, and parts of values."""

    def test_reading(self) -> None:
        """A plain GET stays what it was in database 0, and is another entry in others."""
        for line in ("GET k", "GETEX k"):
            self.assertEqual(meant(line), [GET, b"k"])
            self.assertEqual(meant(line, 2), [READ, 2, 20, b"k"])
        self.check_entries(GETDEL, ("GETDEL k", [b"k"]))
        self.check_entries(STRLEN, ("STRLEN k", [b"k"]))

    def test_getex(self) -> None:
        """GETEX has the deadlines of SET, and PERSIST in place of KEEPTTL."""
        self.check_entries(
            GETEX,
            ("GETEX k EX 10", [b"k", 2, 10_000]),
            ("GETEX k pxat 10", [b"k", 3, 10]),
            ("GETEX k PERSIST persist", [b"k", 4, 0]),
        )
        self.check_errors(
            ("GETEX k EX 0", INVALID.format("getex")),
            ("GETEX k PX abc", NO_INTEGER),
            *((f"GETEX k {options}", SYNTAX) for options in ("KEEPTTL", "NX", "EX", "EX 1 PERSIST", "PERSIST PX 1")),
        )

    def test_parts(self) -> None:
        """Offsets are whole numbers; those of a read may count from the end."""
        self.check_entries(GETRANGE, ("GETRANGE k 0 -1", [b"k", 0, -1]), ("substr k -3 -2", [b"k", -3, -2]))
        self.check_entries(SETRANGE, ("SETRANGE k 5 ab", [b"k", 5, b"ab"]), ("SETRANGE k 0 ''", [b"k", 0, b""]))
        self.check_errors(
            ("GETRANGE k a 1", NO_INTEGER),
            ("GETRANGE k 0 9223372036854775808", NO_INTEGER),
            ("SETRANGE k abc x", NO_INTEGER),
            ("SETRANGE k -1 x", "ERR offset is out of range"),
        )

    def test_append(self) -> None:
        """APPEND carries the limit that only applying can judge."""
        self.assertEqual(meant("APPEND k v"), [APPEND, b"k", b"v", 20])
        self.assertEqual(meant("APPEND k v", 1), [EXTEND, 1, 20, b"k", b"v"])
