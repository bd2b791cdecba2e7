"""The commands that add to a number, which is stored as text."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.appliers.limited import store_changed
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import INCRBY, INCRBYFLOAT
from dkv.kv.key_events import INCREASED, INCREASED_BY_DECIMAL
from dkv.kv.keyspace import Keyspace
from dkv.kv.numerals import INTEGER_MAX, INTEGER_MIN, NO_DECIMAL, NO_INTEGER, added, parse_decimal, parse_integer
from dkv.replies import Error, Result

DIGIT = 8
"""A constant of the format: the effort for each digit of a decimal number."""

OVERFLOW = Error("ERR increment or decrement would overflow")
INFINITE = Error("ERR increment would produce NaN or Infinity")


def add_integer(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Add to a whole number, 0 if the key does not exist; the new number."""
    match ask.arguments:
        case [bytes() as key, int() as by]:
            held = keyspace.load(turn, ask.db, key)
            number = 0 if held is None else parse_integer(held.value)
            if number is None:
                return NO_INTEGER
            total = number + by
            if not INTEGER_MIN <= total <= INTEGER_MAX:
                return OVERFLOW
            refusal = store_changed(keyspace, turn, ask, key, held, b"%d" % total, INCREASED)
            return total if refusal is None else refusal
    return UNKNOWN


def add_decimal(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """Add to a decimal number, 0 if the key does not exist; the new number, as text."""
    match ask.arguments:
        case [bytes() as key, bytes() as text]:
            held = keyspace.load(turn, ask.db, key)
            number, by = parse_decimal(b"0" if held is None else held.value), parse_decimal(text)
            if number is None or by is None:
                return NO_DECIMAL
            total = added(number, by)
            if total is None:
                return INFINITE
            keyspace.effort.take(DIGIT * len(total))
            return store_changed(keyspace, turn, ask, key, held, total, INCREASED_BY_DECIMAL) or total
    return UNKNOWN


APPLIERS: dict[int, Applier] = {INCRBY: add_integer, INCRBYFLOAT: add_decimal}
