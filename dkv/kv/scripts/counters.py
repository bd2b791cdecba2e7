"""The operations on numbers: sums, counts, and windows of time in which something is counted."""

from __future__ import annotations

from dkv.kv.scripts.lua_numbers import number_of, whole
from dkv.kv.scripts.script_calls import NO_NUMBER, Calls, Failed, number
from dkv.replies import Result


def raise_number(calls: Calls) -> Result:
    value = calls.get(calls.key())
    held, following = number_of(value), number_of(calls.argument(1))
    if held is not None and following is None:
        raise Failed(NO_NUMBER)
    if held is not None and following is not None and not held < following:
        return None
    calls.set(calls.key(), following)
    assert following is not None
    return whole(following)


def add_if_present(calls: Calls) -> Result:
    return add(calls) if calls.exists(calls.key()) else None


def add(calls: Calls) -> Result:
    return whole(calls.incrby(calls.key(), calls.argument(1)))


def add_and_pexpire(calls: Calls) -> Result:
    total = calls.incrby(calls.key(), calls.argument(1))
    if total == 1:
        calls.pexpire(calls.key(), calls.argument(2))
    return whole(total)


def add_and_expire(calls: Calls) -> Result:
    amount = number_of(calls.argument(2))
    total = calls.incrby(calls.key(), amount)
    if total == amount:
        calls.expire(calls.key(), calls.argument(1))
    return whole(total)


def count_and_expire(calls: Calls) -> Result:
    total = calls.incrby(calls.key(), 1)
    if total == 1:
        calls.expire(calls.key(), calls.argument(1))
    return whole(total)


def count_in_window(calls: Calls) -> Result:
    """A key without a deadline gets one: somebody else has set it."""
    total, left = _counted(calls)
    if left == -1:
        calls.expire(calls.key(), calls.argument(2))
        left = 1000 * number(calls.argument(2))
    return [whole(total), whole(left)]


def count_in_plain_window(calls: Calls) -> Result:
    total, left = _counted(calls)
    return [whole(total), whole(left)]


def _counted(calls: Calls) -> tuple[float, float]:
    calls.set_with(calls.key(), 0, [b"ex", calls.argument(2), b"nx"])
    total = calls.incrby(calls.key(), calls.argument(1))
    return total, calls.pttl(calls.key())


def hit(calls: Calls) -> Result:
    total = calls.incrby(calls.key(), 1)
    left: float = calls.pttl(calls.key())
    if left <= 0 or calls.argument(1) == b"1":
        left = _renewed(calls, 2)
    return [whole(total), whole(left)]


def hit_or_reset(calls: Calls) -> Result:
    left: float = calls.pttl(calls.key())
    if left <= 0:
        return _begun(calls, 2)
    total = calls.incrby(calls.key(), 1)
    if calls.argument(1) == b"1":
        left = _renewed(calls, 2)
    return [whole(total), whole(left)]


def hit_or_begin(calls: Calls) -> Result:
    left = calls.pttl(calls.key())
    if left <= 0:
        return _begun(calls, 1)
    return [whole(calls.incrby(calls.key(), 1)), left]


def _renewed(calls: Calls, place: int) -> float:
    """Let the window last as long as the argument at this place says, from now on."""
    milliseconds = number_of(calls.argument(place))
    calls.pexpire(calls.key(), milliseconds)
    assert milliseconds is not None
    return milliseconds


def _begun(calls: Calls, place: int) -> Result:
    """Begin a window of so many milliseconds as the argument at this place says, with the first one counted."""
    milliseconds = number_of(calls.argument(place))
    calls.set_px(calls.key(), 1, milliseconds)
    assert milliseconds is not None
    return [1, whole(milliseconds)]


def value_and_ttl(calls: Calls) -> Result:
    return [calls.get(calls.key()), calls.pttl(calls.key())]
