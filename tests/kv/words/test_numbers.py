"""What the commands that add to a number become."""

from __future__ import annotations

from dkv.kv.codes import INCRBY, INCRBYFLOAT
from tests.kv.words.reading import NO_INTEGER, ReadingCase


class NumberTests(ReadingCase):
    """Counters."""

    def test_entries(self) -> None:
        """The four commands on whole numbers are one entry: adding a number."""
        self.check_entries(
            INCRBY,
            ("INCR k", [b"k", 1]),
            ("decr k", [b"k", -1]),
            ("INCRBY k 5", [b"k", 5]),
            ("INCRBY k -9223372036854775808", [b"k", -(2**63)]),
            ("DECRBY k 5", [b"k", -5]),
            ("DECRBY k -9223372036854775807", [b"k", 2**63 - 1]),
        )
        self.check_entries(
            INCRBYFLOAT, ("INCRBYFLOAT k 1.5e3", [b"k", b"1.5e3"]), ("INCRBYFLOAT k inf", [b"k", b"inf"])
        )

    def test_errors(self) -> None:
        """What is no number is refused before it is proposed."""
        self.check_errors(
            *((f"INCRBY k {number}", NO_INTEGER) for number in ("abc", "1.0", "+5", "05", "-0", "' 5'", "''", 2**63)),
            ("DECRBY k -9223372036854775808", "ERR decrement would overflow"),
            *((f"INCRBYFLOAT k {number}", "ERR value is not a valid float") for number in ("abc", "nan", "''", "1_0")),
            ("INCR k 1", "ERR wrong number of arguments for 'incr' command"),
            ("INCR kkkkkkkkkkk", "ERR the key has 11 bytes, limits.key_bytes_max is 10"),
        )
