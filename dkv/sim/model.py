"""One key whose operations come one at a time: the sequential model with which a history is compared.

The value is bytes, or None if the key is absent. ``Ending`` stands for every value that fits: with it a part of a
history can be judged without knowledge of what happened before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dkv.sim.fields import INTEGER_DIGITS_MAX
from dkv.sim.history import Operation

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,%d}" % (INTEGER_DIGITS_MAX - 1))


@dataclass(frozen=True, slots=True)
class Ending:
    """Any value that ends with ``end`` and has ``length`` bytes (None: any length); or no value, if ``absent``."""

    end: bytes
    length: int | None
    absent: bool

    def may_be(self, value: bytes | None) -> bool:
        """Whether ``value`` is one of these."""
        if value is None:
            return self.absent
        return value.endswith(self.end) and self.length in (None, len(value))


ANYTHING = Ending(b"", None, absent=True)
State = bytes | None | Ending


def step(state: State, operation: Operation) -> tuple[bool, State]:
    """Whether the operation may take effect on ``state`` with its result, and the state that it leaves.

    If the outcome is unknown, any result will do. An error then (an ``incr`` of a value that is no integer) is not
    allowed: it has no effect, which is the same as leaving the operation out.
    """
    known = operation.returned is not None
    result = operation.result
    match operation.kind:
        case "put":
            return True, operation.arguments[0]
        case "get":
            if not known:
                return True, state
            fits = state.may_be(result) if isinstance(state, Ending) else state == result  # type: ignore[arg-type]
            return fits, result if fits else state  # type: ignore[return-value]
        case "delete":
            either = not known or result is None or (isinstance(state, Ending) and state.absent)
            fits = either or bool(result) == (state is not None)
            return fits, None if fits else state
        case "strlen":
            return _strlen(state, result) if known else (True, state)
        case "append":
            return _append(state, operation.arguments[0], result if known else None)
        case "cas":
            expected, new = operation.arguments
            return _cas(state, expected, new, result if known else None)
        case "incr":
            return _incr(state, operation.arguments[0], result if known else None)
    raise AssertionError(f"{operation.kind} is judged with all keys that it joins")


def _append(state: State, suffix: bytes, length: Any) -> tuple[bool, State]:
    if not isinstance(state, Ending):
        before = state or b""
        # The length is compared first, so that a long value is not copied in vain.
        if length not in (None, len(before) + len(suffix)):
            return False, state
        return True, before + suffix
    if state.length is not None:
        if length not in (None, state.length + len(suffix)):
            return False, state
        length = state.length + len(suffix)
    end = state.end + suffix
    if length is not None and length < len(end):
        return False, state
    return True, end if length == len(end) else Ending(end, length, absent=False)


def _strlen(state: State, length: Any) -> tuple[bool, State]:
    if not isinstance(state, Ending):
        return len(state or b"") == length, state
    absent = state.absent and length == 0
    if state.length not in (None, length) or (length < len(state.end) and not absent):
        return False, state
    if length == len(state.end) and not absent:
        return True, state.end
    return True, Ending(state.end, length, absent)


def _cas(state: State, expected: bytes | None, new: bytes, success: Any) -> tuple[bool, State]:
    if isinstance(state, Ending):
        # A failure says only what the value was not. That is forgotten, which allows more orders and never fewer.
        if success is False:
            return True, state
        return state.may_be(expected), new if state.may_be(expected) else state
    fits = state == expected
    return success in (None, fits), new if fits else state


def _incr(state: State, by: int, result: Any) -> tuple[bool, State]:
    if isinstance(state, Ending) and state.length == 0:
        state = None  # absent or empty; an empty value is no integer
    if isinstance(state, Ending):
        if result is None:
            return True, Ending(b"", None, absent=False)
        fits = state.may_be(b"%d" % (result - by))  # if it may be absent here, it may be anything
        return fits, b"%d" % result if fits else state
    before = b"0" if state is None else state
    if not _INTEGER.fullmatch(before):
        return False, state
    after = int(before) + by
    return (True, str(after).encode()) if result in (None, after) else (False, state)
