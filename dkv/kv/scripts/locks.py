"""The operations of locks: each looks whether a value is the token of its caller, and does something if so."""

from __future__ import annotations

from dkv.kv.scripts.script_calls import Calls, number
from dkv.replies import Result


def _is_held(calls: Calls) -> bool:
    """Whether the value of the key is the token, which is the first argument. A key that is absent has no token."""
    value = calls.get(calls.key())
    return value is not None and value == calls.argument(1)


def delete_if_equal(calls: Calls) -> Result:
    if not _is_held(calls):
        return 0
    calls.delete(calls.key())
    return 1


def pexpire_if_equal(calls: Calls) -> Result:
    if not _is_held(calls):
        return 0
    calls.pexpire(calls.key(), calls.argument(2))
    return 1


def expire_if_equal(calls: Calls) -> Result:
    if not _is_held(calls):
        return 0
    calls.expire(calls.key(), calls.argument(2))
    return 1


def extend_if_equal(calls: Calls) -> Result:
    """A key without a deadline is not extended."""
    if not _is_held(calls):
        return 0
    left = calls.pttl(calls.key())
    if left < 0:
        return 0
    added = calls.argument(2)
    calls.pexpire(calls.key(), number(added) + left if calls.argument(3) == b"0" else added)
    return 1


def ttl_if_equal(calls: Calls) -> Result:
    return max(calls.pttl(calls.key()), 0) if _is_held(calls) else 0


def set_if_equal(calls: Calls) -> Result:
    """The token is the second argument, behind the new value; options count if there are two."""
    value = calls.get(calls.key())
    if value is None or value != calls.argument(2):
        return 0
    options = [calls.argument(3), calls.argument(4)] if len(calls.arguments) == 4 else []
    return calls.set_with(calls.key(), calls.argument(1), options)


def set_if_absent(calls: Calls) -> Result:
    return calls.set_with(calls.key(), calls.argument(1), [b"nx", b"px", calls.argument(2)])


def acquire_all(calls: Calls) -> Result:
    if any(calls.exists(key) for key in calls.keys):
        return 0
    return _set_all(calls)


def extend_all(calls: Calls) -> Result:
    for key in calls.keys:
        value = calls.get(key)
        if value is None or value != calls.argument(1):
            return 0
    return _set_all(calls)


def release_all(calls: Calls) -> Result:
    released = 0
    for key in calls.keys:
        value = calls.get(key)
        if value is not None and value == calls.argument(1):
            calls.delete(key)
            released += 1
    return released


def _set_all(calls: Calls) -> Result:
    for key in calls.keys:
        calls.set_px(key, calls.argument(1), calls.argument(2))
    return len(calls.keys)
