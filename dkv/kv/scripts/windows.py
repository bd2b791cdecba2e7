"""The operations on two windows, of which the older one still counts in part, and those that delete by a pattern."""

from __future__ import annotations

from dkv.kv.scripts.lua_numbers import number_of, quotient, rounded_down
from dkv.kv.scripts.script_calls import NO_NUMBER, NO_WORD, Calls, Failed, number
from dkv.replies import Result


def _shift(calls: Calls, left: int, milliseconds: float) -> bool:
    """Make the newer window the older one if it is over; it lives for two lengths, so that the rest still counts."""
    if not 0 < left < milliseconds:
        return False
    calls.rename(calls.key(2), calls.key(1))
    calls.set_px(calls.key(2), 0, left + milliseconds)
    return True


def acquire_sliding(calls: Calls) -> Result:
    limit = number_of(calls.argument(1))
    milliseconds = number(calls.argument(2)) * 1000
    amount = number_of(calls.argument(3))
    if limit is None or amount is None:
        raise Failed(NO_NUMBER)
    if amount > limit:
        return None
    older, newer = _both(calls)
    _shift(calls, calls.pttl(newer), milliseconds)
    passed, counted = (number_of(calls.get(key)) or 0.0 for key in (older, newer))
    left = max(calls.pttl(older), 0)
    weighted = rounded_down(quotient(passed * left, milliseconds)) + counted
    if weighted + amount > limit:
        return None
    if calls.exists(newer):
        calls.incrby(newer, amount)
    else:
        calls.set_px(newer, amount, milliseconds * 2)
    return 1


def sliding_window(calls: Calls) -> Result:
    milliseconds = number(calls.argument(1)) * 1000
    told = _told(calls)
    return _told(calls) if _shift(calls, calls.pttl(calls.key(2)), milliseconds) else told


def _told(calls: Calls) -> Result:
    return [answer for key in _both(calls) for answer in (calls.get(key), calls.pttl(key))]


def _both(calls: Calls) -> tuple[bytes, bytes]:
    """The keys of both windows."""
    if len(calls.keys) < 2:
        raise Failed(NO_WORD)
    return calls.key(1), calls.key(2)


def delete_matching(calls: Calls) -> Result:
    keys = calls.matching(calls.key())
    for key in keys:
        calls.delete(key)
    return len(keys)


def delete_matching_quietly(calls: Calls) -> Result:
    pattern = calls.argument(1)
    if pattern is None:
        raise Failed(NO_WORD)
    for key in calls.matching(pattern):
        calls.delete(key)
    return None
