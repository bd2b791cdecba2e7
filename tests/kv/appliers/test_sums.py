"""What the commands that add to a number do."""

from __future__ import annotations

from dkv.kv.codes import INCRBY, INCRBYFLOAT
from dkv.kv.numerals import INTEGER_MAX, INTEGER_MIN
from tests.kv.appliers.acting import TIME, ActingCase

OVERFLOW = "ERR increment or decrement would overflow"
NO_INTEGER = "ERR value is not an integer or out of range"
NO_FLOAT = "ERR value is not a valid float"
INFINITE = "ERR increment would produce NaN or Infinity"


class SumTests(ActingCase):
    """Counters."""

    def test_whole_numbers(self) -> None:
        """A counter begins at 0 and keeps its deadline."""
        self.check(
            ("INCR n", 1), ("INCRBY n 41", 42), ("DECR n", 41), ("DECRBY n 50", -9), ("GET n", b"-9"),
            ("SET n 5 PX 100", "OK"), ("INCR n", 6),
        )  # fmt: skip
        self.assertEqual(self.acting.deadline(b"n"), TIME + 100)
        self.acting.at(TIME + 100)
        self.check(("INCR n", 1))
        self.assertEqual(self.acting.deadline(b"n"), 0)

    def test_bounds(self) -> None:
        """A counter stops with an error where 64 bits end, and never wraps round."""
        self.check(
            (f"SET n {INTEGER_MAX}", "OK"),
            ("INCR n", OVERFLOW),
            ("DECRBY n -1", OVERFLOW),
            (f"INCRBY n {INTEGER_MIN}", -1),
            (f"INCRBY n {INTEGER_MIN}", OVERFLOW),
            ("GET n", b"-1"),
        )

    def test_no_numbers(self) -> None:
        """A value that is no number stays as it was."""
        for value in ("x", "''", "' 1'", "01", "1.0", "9223372036854775808"):
            self.check((f"SET n {value}", "OK"), ("INCR n", NO_INTEGER))
        self.check(("SET n x", "OK"), ("INCRBYFLOAT n 1", NO_FLOAT), ("GET n", b"x"))

    def test_decimals(self) -> None:
        """Sums are exact, whatever a processor would make of them."""
        self.check(
            ("INCRBYFLOAT n 0.1", b"0.1"),
            ("INCRBYFLOAT n 0.2", b"0.3"),
            ("INCRBYFLOAT n -0.3", b"0"),
            ("SET n 3.0e3 PX 100", "OK"),
            ("INCRBYFLOAT n 200", b"3200"),
            ("GET n", b"3200"),
            ("INCR n", 3201),
            ("INCRBYFLOAT n inf", INFINITE),
            ("SET n inf", "OK"),
            ("INCRBYFLOAT n 1", INFINITE),
        )

    def test_limits(self) -> None:
        """A number is a value, and may be too long for one."""
        self.check(("INCRBYFLOAT n 1e200", "ERR the value would have 201 bytes, limits.value_bytes_max is 100"))
        self.check(("EXISTS n", 0))

    def test_shapes(self) -> None:
        """Anything may stand in the log."""
        self.check_shapes(INCRBY, [b"n", 1])
        self.check_shapes(INCRBYFLOAT, [b"m", b"1"])
