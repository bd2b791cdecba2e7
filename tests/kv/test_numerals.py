"""Numbers as text: what is one, and what the sum of two is."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.numerals import TEXT_BYTES_MAX, added, parse_decimal, parse_integer

DECIMALS = st.builds(
    lambda number, exponent: b"%de%d" % (number, exponent), st.integers(-(10**20), 10**20), st.integers(-30, 30)
)


def total(first: bytes, second: bytes) -> bytes | None:
    """The sum of two texts, which are numbers."""
    one, other = parse_decimal(first), parse_decimal(second)
    assert one is not None and other is not None
    return added(one, other)


class IntegerTests(SynchronousTestCase):
    """Whole numbers, as strictly as Redis reads them."""

    @given(st.integers(-(2**64), 2**64))
    def test_each_number_has_one_text(self, number: int) -> None:
        """A value that INCR has written is a number for the next INCR; one of 65 bits never is."""
        fits = -(2**63) <= number < 2**63
        self.assertEqual(parse_integer(b"%d" % number), number if fits else None)

    def test_what_is_none(self) -> None:
        """Redis knows no other forms, so clients that count on an error get it."""
        for text in (
            b"",
            b"-",
            b"+1",
            b"01",
            b"-0",
            b" 1",
            b"1 ",
            b"1\n",
            b"1_0",
            b"1.0",
            b"0x1",
            b"\xd9\xa1",
            b"1" * 50,
        ):
            self.assertIsNone(parse_integer(text), text)


class DecimalTests(SynchronousTestCase):
    """Decimal numbers."""

    def test_forms(self) -> None:
        """The forms are those of Redis, apart from hexadecimal ones."""
        for text, number in (
            (b"0", "0"), (b"-1.50", "-1.50"), (b"+.5", "0.5"), (b"5.", "5"), (b"1e3", "1000"), (b"1E-3", "0.001"),
            (b"inf", "Infinity"), (b"-INFinity", "-Infinity"), (b"0e99999999999999999999", "0"),
            (b"1e4932", "1e4932"), (b"4e-4951", "4e-4951"), (b"1e0000000000000000003", "1000"),
        ):  # fmt: skip
            self.assertEqual(parse_decimal(text), Decimal(number), text)
        for text in (
            b"", b" 1", b"1 ", b"1\n", b".", b"e5", b"1e", b"--1", b"nan", b"1_0", b"0x10", b"infinit", b"\xd9\xa1",
            b"2e4932", b"1e5000", b"1e-5000", b"1e99999999999999999999", b"1" * (TEXT_BYTES_MAX + 1),
        ):  # fmt: skip
            self.assertIsNone(parse_decimal(text), text)

    def test_sums(self) -> None:
        """The examples of Redis's page of INCRBYFLOAT, and what floats get wrong."""
        for first, second, text in (
            (b"10.50", b"0.1", b"10.6"),
            (b"5.0e3", b"2.0e2", b"5200"),
            (b"0.1", b"0.2", b"0.3"),
            (b"3", b"-3", b"0"),
            (b"100", b"0", b"100"),
            (b"0", b"-1e-30", b"0"),
            (b"1e20", b"-1e-17", b"99999999999999999999.99999999999999999"),
            (b"1e-17", b"0", b"0.00000000000000001"),
            (b"1", b"inf", None),
            (b"-inf", b"1", None),
            (b"inf", b"-inf", None),
            (b"1e4932", b"1e4932", None),
        ):
            self.assertEqual(total(first, second), text, (first, second))

    @given(DECIMALS, DECIMALS)
    def test_exact(self, first: bytes, second: bytes) -> None:
        """Counting in cents never drifts: the sum is exact to 17 digits behind the point, and a number again."""
        text = total(first, second)
        assert text is not None
        wanted = Fraction(first.decode()) + Fraction(second.decode())
        self.assertLessEqual(abs(Fraction(text.decode()) - wanted), Fraction(1, 2 * 10**17))
        self.assertRegex(text, rb"\A-?[0-9]+(\.[0-9]*[1-9])?\Z")
        self.assertEqual(total(text, b"0"), text)

    def test_the_largest(self) -> None:
        """The longest texts are still added exactly, and at once."""
        long = b"5" * 5_000 + b"e-4950"
        text = total(long, b"1e4932")
        assert text is not None
        self.assertEqual(len(text), 4_933 + 1 + 17)

    def test_a_long_text_that_is_none(self) -> None:
        """It is refused at once: a stored one that takes a second would hold all nodes up, at every start."""
        began = process_time()
        for _ in range(100):
            self.assertIsNone(parse_decimal(b"1" * (TEXT_BYTES_MAX - 1) + b"x"))
        self.assertLess(process_time() - began, 1.0)
