"""Several keys whose operations come one at a time: the sequential model of transactions and of deadlines.

An operation is a list of *acts* that happen at one moment. *Guards* among them say what must hold, or nothing is done.

The clocks of clients do not tell when a key goes: only that a deadline lies between two times. So a deadline is a fact
with a number, and "the keys with this deadline go now" is an act of its own (``vanish``), which may take effect once,
at any time after ``earliest``. An operation that was called after ``latest`` must not find such a key. COPY and RENAME
take the deadline along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, InvalidOperation
from math import inf
from typing import Any, NamedTuple

from dkv.sim.fields import ERROR, GUARDS, INTEGER_DIGITS_MAX
from dkv.sim.history import Operation, keys_of

INNER = ("vanish", "watch")
"""Acts that no client asks for by name: a deadline that passes, and the beginning of an ``unchanged``."""
GONE = "gone"
"""In the place of a deadline that had passed when it was set: the key is gone with the act itself."""
NOT_ALWAYS_TOLD = ("delete", "expire")
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,%d}" % (INTEGER_DIGITS_MAX - 1))
_NUMBERS = Context(prec=60)


class Deadline(NamedTuple):
    """A moment between two times, of which nobody knows more. ``number`` tells deadlines apart."""

    number: int
    earliest: float
    latest: float


class Kept(NamedTuple):
    """What a key holds; without a deadline it stays."""

    value: bytes
    deadline: Deadline | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """What all keys hold, sorted; the watches that saw no change, as pairs of a number and a key; and what time it is.

    ``now`` is a time that has passed certainly. It is told where the calls and returns do not tell it: a key has gone
    whose deadline was known better than when it was given, from a TTL.
    """

    kept: tuple[tuple[bytes, Kept], ...] = ()
    clean: frozenset[tuple[int, bytes]] = field(default_factory=frozenset)
    now: float = -inf

    def changed(self, kept: dict[bytes, Kept], watches: frozenset[tuple[int, bytes]], now: float) -> Several:
        """The same with other keys, more watches, and a later time. A watch is over when its key changes."""
        before = dict(self.kept)
        others = {key for key in before.keys() | kept.keys() if _seen(before.get(key)) != _seen(kept.get(key))}
        clean = frozenset(each for each in self.clean if each[1] not in others) | watches
        return Several(tuple(sorted(kept.items())), clean, max(self.now, now))


def _seen(kept: Kept | None) -> object:
    # A TTL tells more of a deadline, and changes nothing.
    return kept and (kept.value, kept.deadline and kept.deadline.number)


def is_inner(operation: Operation) -> bool:
    """Whether it is no operation of a client."""
    return operation.kind == "atomic" and operation.arguments[:1] != () and operation.arguments[0][0] in INNER


def step_several(state: Several, operation: Operation) -> tuple[bool, Several]:
    """Whether the operation may take effect on ``state`` with its results, and the state that it leaves.

    It is ``atomic``, and its lives are deadlines (``dkv.sim.joint`` makes them so). Without an answer any results will
    do; then an act that cannot be done is an error that stops no other.
    """
    kept = dict(state.kept)
    acts = operation.arguments
    told = operation.returned is not None
    if operation.returned is not None and operation.returned < state.now:
        return False, state
    for key in (key for act in acts for key in keys_of(act)):
        held = kept.get(key)
        if held is not None and held.deadline is not None and operation.called > held.deadline.latest:
            return False, state
    given_up = told and operation.result is None
    if given_up or not all(_holds(state, kept, act) for act in acts):
        # A server may take a key for changed that is not, but it may not miss a change.
        cautious = any(act[0] == "unchanged" for act in acts)
        fits = not told or (given_up and (cautious or not all(_holds(state, kept, act) for act in acts)))
        return fits, state
    results = iter(operation.result if isinstance(operation.result, tuple) else ())
    watches = frozenset((act[2], act[1]) for act in acts if act[0] == "watch")
    now = -inf
    for act in acts:
        if act[0] == "vanish":
            earliest = _vanish(kept, act[2])
            now = earliest if earliest > operation.called else now
        if act[0] in GUARDS or act[0] in INNER:
            continue
        result = next(results) if told else None
        if told and result == ERROR:
            continue
        answer = _ttl(kept, act[1], result) if told and act[0] == "ttl" else _do(kept, act, result)
        if (told and result != answer and not (act[0] in NOT_ALWAYS_TOLD and result is None)) or (
            answer == ERROR and len(acts) == 1
        ):
            return False, state
    return True, state.changed(kept, watches, now)


def _holds(state: Several, kept: dict[bytes, Kept], act: tuple[Any, ...]) -> bool:
    kind, key, *arguments = act
    if kind == "unchanged":
        return (arguments[0], key) in state.clean
    return (kind != "absent" or key not in kept) and (kind != "present" or key in kept)


def _vanish(kept: dict[bytes, Kept], number: int) -> float:
    """Let the keys with a deadline go, and return the earliest time at which they may, by all that was told of it."""
    gone = {key: held.deadline for key, held in kept.items() if held.deadline and held.deadline.number == number}
    for key in gone:
        del kept[key]
    return max((deadline.earliest for deadline in gone.values()), default=-inf)


def _ttl(kept: dict[bytes, Kept], key: bytes, told: Any) -> Any:
    """What fits ``told``: False for no key, None for no deadline, else the two times between which it lies."""
    held = kept.get(key)
    if held is None or held.deadline is None:
        return False if held is None else None
    if not isinstance(told, tuple):
        return ERROR
    earliest, latest = max(told[0], held.deadline.earliest), min(told[1], held.deadline.latest)
    if earliest > latest:
        return ERROR
    kept[key] = Kept(held.value, held.deadline._replace(earliest=earliest, latest=latest))
    return told


def _do(kept: dict[bytes, Kept], act: tuple[Any, ...], told: Any) -> Any:
    """Do one act, and return the answer of a right server; ``ERROR`` for an act that is refused and changes nothing.

    Where two answers are right, it is the one that was ``told``.
    """
    kind, key, *arguments = act
    held = kept.get(key)
    value = b"" if held is None else held.value
    match kind:
        case "get":
            return None if held is None else value
        case "strlen":
            return len(value)
        case "getrange":
            return _range(value, *arguments)
        case "exists":
            return sum(each in kept for each in (key, *arguments))
        case "ttl":
            return None
        case "delete":
            return sum(kept.pop(each, None) is not None for each in (key, *arguments))
        case "put":
            kept[key] = Kept(arguments[0])
            return None
        case "cas":
            fits = arguments[0] == (None if held is None else value)
            if fits:
                kept[key] = Kept(arguments[1])
            return fits
        case "set":
            return _set(kept, key, *arguments)
        case "expire":
            return _expire(kept, key, *arguments, told=told)
        case "copy" | "rename":
            return _move(kept, key, *arguments, moves=kind == "rename")
        case "flush":
            for each in [each for each in kept if each.startswith(key)]:
                del kept[each]
            return None
    return _edit(kept, act, value)


def _edit(kept: dict[bytes, Kept], act: tuple[Any, ...], value: bytes) -> Any:
    """Change a value in its place: its deadline stays."""
    kind, key, *arguments = act
    held = kept.get(key)
    answer: Any
    match kind:
        case "append":
            after = value + arguments[0]
            answer = len(after)
        case "setrange":
            offset, part = arguments
            after = value[:offset].ljust(offset, b"\0") + part + value[offset + len(part) :] if part else value
            answer = len(after)
            if not part:
                return answer
        case "incr":
            digits = b"0" if held is None else value
            if not _INTEGER.fullmatch(digits):
                return ERROR
            answer = int(digits) + arguments[0]
            after = str(answer).encode()
        case _:
            assert kind == "add", f"{kind} is no kind of an act"
            try:
                total = _NUMBERS.add(
                    Decimal((b"0" if held is None else value).decode()), Decimal(arguments[0].decode())
                )
            except (InvalidOperation, UnicodeDecodeError):
                return ERROR
            text = f"{total:f}"
            answer = after = (text.rstrip("0").rstrip(".") if "." in text else text).encode()
    kept[key] = Kept(after, held and held.deadline)
    return answer


def _range(value: bytes, start: int, end: int) -> bytes:
    """The bytes from ``start`` to ``end``, both counted; negative ones count from the end."""
    if start < 0 and end < 0 and start > end:
        return b""
    first, last = (max(each + len(value), 0) if each < 0 else each for each in (start, end))
    return value[first : last + 1]


def _set(kept: dict[bytes, Kept], key: bytes, value: bytes, condition: Any, life: Any, get: bool) -> Any:
    held = kept.get(key)
    match condition:
        case None:
            fits = True
        case "absent" | "present":
            fits = (held is None) == (condition == "absent")
        case (word, operand):
            fits = held is not None and held.value == operand if word == "equals" else not held or held.value != operand
    if fits and life == GONE:
        kept.pop(key, None)
    elif fits:
        kept[key] = Kept(value, life if life != "keep" else held and held.deadline)
    return (held and held.value) if get else fits


def _expire(kept: dict[bytes, Kept], key: bytes, deadline: Any, condition: str | None, *, told: Any) -> bool:
    """Give a deadline, or take it away (which is nothing if there is none)."""
    held = kept.get(key)
    if held is None or (deadline is None and held.deadline is None):
        return False
    if not _may_follow(held.deadline, deadline, condition, told):
        return False
    if deadline == GONE:
        del kept[key]
    else:
        kept[key] = held._replace(deadline=deadline)
    return True


def _may_follow(before: Deadline | None, deadline: Any, condition: str | None, told: Any) -> bool:
    """Whether the condition of an ``expire`` holds. Two deadlines may lie so that it is true or false, as ``told``.

    A key without a deadline stays longer than any other; ``GONE`` lies before the deadline of any key that is there.
    """
    if condition is None:
        return True
    if condition in ("none", "some"):
        return (before is None) == (condition == "none")
    if before is None or deadline == GONE:
        return condition == "earlier"
    if deadline is None:
        return condition == "later"
    first, last = (before, deadline) if condition == "later" else (deadline, before)
    return first.earliest < last.latest and (told is not False or first.latest < last.earliest)


def _move(kept: dict[bytes, Kept], key: bytes, to: bytes, replace_it: bool, *, moves: bool) -> bool:
    held = kept.get(key)
    if held is None or (not replace_it and to in kept):
        return False
    if moves:
        del kept[key]
    kept[to] = held
    return True


def single(operation: Operation) -> Operation:
    """The operation as a transaction of one act."""
    if operation.kind == "atomic":
        return operation
    told = None if operation.returned is None else (operation.result,)
    return replace(operation, kind="atomic", key=b"", arguments=operation.acts, result=told)
