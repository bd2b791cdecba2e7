"""Numbers as scripts have them: IEEE doubles, which are the same on every machine, and their texts.

Python's floats are such doubles. Texts become the nearest double, and a double becomes a text with 17 digits, as the
Lua of Redis 7.0 reads and writes them. Division and rounding down are written out here, since Python raises an error
where a script goes on with an infinity.
"""

from __future__ import annotations

import re
from math import copysign, floor, inf, isfinite, isnan, nan

from dkv.kv.numerals import INTEGER_MIN, TEXT_BYTES_MAX

_SPACE = b" \t\n\v\f\r"
_NUMBER = re.compile(
    rb"(?P<decimal>[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan))"
    rb"|(?P<hexadecimal>[+-]?0x(?:[0-9a-f]+(?:\.[0-9a-f]*)?|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?)",
    re.IGNORECASE,
)
_BEYOND = 2.0**63


def number_of(text: bytes | None) -> float | None:
    """The number that the text is; None if it is none. What stands behind a zero byte is not seen.

    A text of more than ``TEXT_BYTES_MAX`` bytes is none: what it takes to read one is bounded.
    """
    if text is None or len(text) > TEXT_BYTES_MAX:
        return None
    match = _NUMBER.fullmatch(text.split(b"\0", 1)[0].strip(_SPACE))
    if match is None:
        return None
    if match["decimal"]:
        return float(match["decimal"])
    digits = match["hexadecimal"].decode("ascii")
    try:
        return float.fromhex(digits)
    except OverflowError:
        return -inf if digits.startswith("-") else inf


def text_of(number: float) -> bytes:
    """The text under which a number is stored, or given to a command."""
    if isnan(number):
        return b"-nan" if copysign(1, number) < 0 else b"nan"
    return b"%.17g" % number


def whole(number: float) -> int:
    """The whole number that a client is told: without what is behind the point."""
    return int(number) if -_BEYOND <= number < _BEYOND else INTEGER_MIN  # as the processor of most servers says it


def quotient(number: float, divisor: float) -> float:
    """The quotient, also by zero."""
    if divisor:
        return number / divisor
    if not number or isnan(number):
        return -nan  # whose sign no script can see: each compares it, and that is false
    return copysign(inf, number) * copysign(1, divisor)


def rounded_down(number: float) -> float:
    """The whole number at or below, which may be infinite."""
    return float(floor(number)) if isfinite(number) else number
