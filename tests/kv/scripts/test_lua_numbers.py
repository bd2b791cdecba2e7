"""Numbers of scripts: read and written as the Lua of Redis 7.0 does it, and never an error of Python."""

from __future__ import annotations

from math import copysign, inf, isnan, nan
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.numerals import TEXT_BYTES_MAX
from dkv.kv.scripts.lua_numbers import number_of, quotient, rounded_down, text_of, whole

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


class LuaNumberTests(SynchronousTestCase):
    def test_read(self) -> None:
        """What is a number, and which; a text that is none has a reason to be refused."""
        for text, wanted in (
            (b"12", 12), (b" -1.50\n", -1.5), (b"1e3", 1000), (b".5", 0.5), (b"5.", 5), (b"0x1F", 31), (b"0x.8p1", 1),
            (b"-0x1p999999", -inf), (b"1e999", inf), (b"inf", inf), (b"-Infinity", -inf), (b"7\0x", 7), (b"+3", 3),
        ):  # fmt: skip
            self.assertEqual(number_of(text), wanted, text)
        self.assertTrue(isnan(number_of(b"nan") or 0.0))
        for other in (None, b"", b" ", b"x", b"1_0", b"1e", b"0x", b"1 2", b"\xc2\xb2", b"1,5", b"--1", b"e5"):
            self.assertIsNone(number_of(other), other)

    def test_write(self) -> None:
        """With 17 digits, so that none is lost."""
        for number, text in (
            (1.0, b"1"), (0.1, b"0.10000000000000001"), (1e17, b"1e+17"), (-0.0, b"-0"), (inf, b"inf"), (nan, b"nan"),
            (copysign(nan, -1), b"-nan"), (123456.0, b"123456"),
        ):  # fmt: skip
            self.assertEqual(text_of(number), text)

    def test_told(self) -> None:
        """Without what is behind the point; what has more than 64 bits is the lowest number, as on a real server."""
        for number, wanted in (
            (1.9, 1),
            (-1.9, -1),
            (1e30, -(2**63)),
            (-inf, -(2**63)),
            (nan, -(2**63)),
            (2.0**62, 2**62),
        ):
            self.assertEqual(whole(number), wanted)

    @given(FLOATS, FLOATS)
    def test_total(self, first: float, second: float) -> None:
        """No two numbers stop a node."""
        found = quotient(first, second)
        self.assertIsInstance(found, float)
        self.assertIsInstance(rounded_down(found), float)
        self.assertTrue(-(2**63) <= whole(found) < 2**63)
        if second == 0 and first and not isnan(first):
            self.assertEqual(abs(found), inf)

    @given(FLOATS)
    def test_round_trip(self, number: float) -> None:
        """A number that is stored is the same when it is read."""
        found = number_of(text_of(number))
        assert found is not None
        self.assertTrue(found == number or (isnan(found) and isnan(number)))

    def test_long_texts(self) -> None:
        """No text holds a node up: it would hold up all of them, at every start."""
        began = process_time()
        for text in (b"1" * TEXT_BYTES_MAX, b"1" * (TEXT_BYTES_MAX - 1) + b"x", b" " * (TEXT_BYTES_MAX - 1) + b"x"):
            number_of(text)
        for most in (b"9", b" ", b"."):
            self.assertIsNone(number_of(most * (1 << 20) + b"x"))
        self.assertLess(process_time() - began, 1.0)

    @given(st.binary(max_size=12))
    def test_anything(self, text: bytes) -> None:
        """Any text is a number or none."""
        self.assertIsInstance(number_of(text), float | None)
