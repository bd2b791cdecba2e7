"""Numbers that are written as text, as Redis reads and writes them.

Redis adds decimal numbers in the floating point of its processor. Here nothing is ever a float: texts become
``decimal`` numbers, their sum is exact, and it is rounded once, to 17 digits behind the point, as Redis prints it. So
it is the same on every machine. The range is that of Redis.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

from dkv.replies import Error

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""Redis's whole numbers have 64 bits."""

NO_INTEGER = Error("ERR value is not an integer or out of range")
NO_DECIMAL = Error("ERR value is not a valid float")

TEXT_BYTES_MAX = 5_119
"""A longer text is no decimal number, as in Redis."""

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_TEXT = re.compile(
    rb"[+-]?(?:(?P<digits>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e(?P<exponent>[+-]?[0-9]+))?|inf|infinity)", re.IGNORECASE
)
_SMALLEST, _LARGEST = Decimal("3.64519953188247460253e-4951"), Decimal("1.18973149535723176502e+4932")
_EXPONENT_DIGITS_MAX = 6  # with more, the number is 0 or out of range, whatever its digits are
_LAST_DIGIT = Decimal("1e-17")
# Enough digits for the exact sum of any two numbers: from 4,933 before the point to 10,070 behind it.
_EXACT = Context(prec=16_000, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def parse_integer(text: bytes) -> int | None:
    """The whole number that the text is; None if it is none, has more than 64 bits, or could be written shorter."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and INTEGER_MIN <= number <= INTEGER_MAX else None


def parse_decimal(text: bytes) -> Decimal | None:
    """The number that the text is, which may be infinite; None if it is none, or out of range."""
    match = _TEXT.fullmatch(text) if len(text) <= TEXT_BYTES_MAX else None
    if match is None:
        return None
    exponent = match["exponent"] or b""
    if len(exponent.lstrip(b"+-0")) > _EXPONENT_DIGITS_MAX:
        return None if match["digits"].strip(b"0.") else Decimal(0)
    number = Decimal(text.decode("ascii"))
    in_range = not number.is_finite() or number.is_zero() or _SMALLEST <= number.copy_abs() <= _LARGEST
    return number if in_range else None


def added(first: Decimal, second: Decimal) -> bytes | None:
    """The text of the sum; None if that is infinite, or no number."""
    if not first.is_finite() or not second.is_finite():
        return None
    total = _EXACT.quantize(_EXACT.add(first, second), _LAST_DIGIT)
    if total.copy_abs() > _LARGEST:
        return None
    text = f"{total:f}".rstrip("0").removesuffix(".")
    return b"0" if text == "-0" else text.encode("ascii")
