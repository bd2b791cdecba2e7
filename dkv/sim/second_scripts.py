"""What scripts mean, a second time: what an operation must answer, and what it leaves.

Each is written as the commands that its script calls, one behind the other, over the second form of the keys. What has
been done before a call that is refused stays.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, isinf, isnan
from re import IGNORECASE
from re import compile as compiled
from typing import Any

from dkv.kv import codes
from dkv.kv.scripts import operations as op
from dkv.replies import Error, Result
from dkv.sim.second_keys import SecondKeys

Command = Callable[[int, list[Any]], Any]
"""Does the command with this code and these arguments, in the database of the script."""

TOO_FEW = Error("ERR the script has too few keys or arguments")
NO_NUMBER = Error("ERR an argument of the script is not a number, or is missing")
NO_INTEGER = Error("ERR value is not an integer or out of range")
_INTEGER = compiled(rb"0|-?[1-9][0-9]{0,18}")
_NUMBER = compiled(rb"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*", IGNORECASE)
_MOST = 2**63


class _Refused(Exception):
    """A call was refused with this error."""


def run(keys: SecondKeys, db: int, arguments: Any, command: Command) -> Result:
    """The answer of a script."""
    operation, names, words = arguments
    script = _Script(keys, db, names, words, command)
    try:
        answer: Result = _SCRIPTS[operation](script)
    except _Refused as refused:
        error: Error = refused.args[0]
        return error
    return answer


class _Script:
    def __init__(self, keys: SecondKeys, db: int, names: list[bytes], words: list[bytes], command: Command) -> None:
        self._keys, self._db = keys, db
        self.names, self.words = names, words
        self._command = command

    def name(self, at: int = 0) -> bytes:
        if at >= len(self.names):
            raise _Refused(TOO_FEW)
        return self.names[at]

    def word(self, at: int) -> bytes:
        """An argument that a command is given."""
        if at >= len(self.words):
            raise _Refused(TOO_FEW)
        return self.words[at]

    def number(self, at: int) -> float | None:
        """An argument that is reckoned with."""
        return _number(self.words[at]) if at < len(self.words) else None

    def value(self, name: bytes) -> bytes | None:
        held = self._keys.get(self._db, name)
        return None if held is None else held.value

    def has(self, at: int) -> bool:
        """Whether the first key has the value that the argument is."""
        value = self.value(self.name())
        return value is not None and self.words[at : at + 1] == [value]

    def left(self, name: bytes) -> int:
        answer: int = self.call(codes.TTL, [name, 1])
        return answer

    def matching(self, pattern: bytes) -> list[bytes]:
        return self._keys.matching(self._db, pattern)

    def call(self, code: int, arguments: list[Any]) -> Any:
        answer = self._command(code, arguments)
        if isinstance(answer, Error):
            raise _Refused(answer)
        return answer

    def live(self, name: bytes, word: bytes, unit: int) -> None:
        ms = _integer(word) * unit
        if not -_MOST <= ms < _MOST - self._keys.time:
            raise _Refused(Error(f"ERR invalid expire time in '{'pexpire' if unit == 1 else 'expire'}' command"))
        self.call(codes.EXPIRE, [name, codes.RELATIVE, ms, 0])

    def set(self, name: bytes, value: bytes, word: bytes | None = None, unit: int = 1, free: bool = False) -> Any:
        """SET, with a life if ``word`` says how long; with NX if it must be ``free``."""
        life = ms = 0
        if word is not None:
            life, ms = codes.RELATIVE, _integer(word) * unit
            if not 0 < ms < _MOST - self._keys.time:
                raise _Refused(Error("ERR invalid expire time in 'set' command"))
        return self.call(codes.SET, [name, value, codes.IF_ABSENT if free else codes.ANY, b"", life, ms, 0])

    def add(self, name: bytes, word: bytes) -> float:
        return float(self.call(codes.INCRBY, [name, _integer(word)]))


def _integer(word: bytes) -> int:
    if not _INTEGER.fullmatch(word) or not -_MOST <= int(word) < _MOST:
        raise _Refused(NO_INTEGER)
    return int(word)


def _number(word: bytes | None) -> float | None:
    """Decimal ones alone: the clients of a run and the random logs send no others."""
    return float(word) if word is not None and _NUMBER.fullmatch(word) else None


def _text(number: float | None) -> bytes:
    if number is None:
        raise _Refused(TOO_FEW)
    return format(number, ".17g").encode()


def _known(number: float | None) -> float:
    if number is None:
        raise _Refused(NO_NUMBER)
    return number


def _told(number: float) -> int:
    return -_MOST if isnan(number) or not -_MOST <= number < _MOST else int(number)


# --- locks ---


def _delete(script: _Script) -> Result:
    return int(script.has(0) and script.call(codes.ERASE, [script.name()]))


def _let_live(unit: int) -> Callable[[_Script], Result]:
    def script_of(script: _Script) -> Result:
        held = script.has(0)
        if held:
            script.live(script.name(), script.word(1), unit)
        return int(held)

    return script_of


def _extend(script: _Script) -> Result:
    if not script.has(0) or script.left(script.name()) == -1:
        return 0
    if script.words[2:3] == [b"0"]:
        script.live(script.name(), _text(_known(script.number(1)) + script.left(script.name())), 1)
    else:
        script.live(script.name(), script.word(1), 1)
    return 1


def _life(script: _Script) -> Result:
    return max(0, script.left(script.name())) if script.has(0) else 0


def _exchange(script: _Script) -> Result:
    if not script.has(1):
        return 0
    if len(script.words) != 4:
        return script.set(script.name(), script.word(0))  # type: ignore[no-any-return]
    unit = {b"px": 1, b"ex": 1000}.get(script.words[2].lower())
    if unit is None:
        raise _Refused(Error("ERR syntax error"))
    return script.set(script.name(), script.words[0], script.words[3], unit)  # type: ignore[no-any-return]


def _claim(script: _Script) -> Result:
    name, value, word = script.name(), script.word(0), script.word(1)
    return script.set(name, value, word, free=True)  # type: ignore[no-any-return]


def _claim_all(free: bool) -> Callable[[_Script], Result]:
    def script_of(script: _Script) -> Result:
        for name in script.names:
            value = script.value(name)
            if (value is not None) if free else (value is None or script.words[:1] != [value]):
                return 0
        for name in script.names:
            script.set(name, script.word(0), script.word(1))
        return len(script.names)

    return script_of


def _release_all(script: _Script) -> Result:
    released = 0
    for name in script.names:
        if script.value(name) is not None and script.words[:1] == [script.value(name)]:
            released += script.call(codes.ERASE, [name])
    return released


# --- numbers ---


def _raise(script: _Script) -> Result:
    held, new = _number(script.value(script.name())), script.number(0)
    if held is not None and held >= _known(new):
        return None
    script.set(script.name(), _text(new))
    return _told(new or 0.0)


def _add(script: _Script) -> Result:
    return _told(script.add(script.name(), script.word(0)))


def _add_if_there(script: _Script) -> Result:
    return None if script.value(script.name()) is None else _add(script)


def _add_pexpire(script: _Script) -> Result:
    total = script.add(script.name(), script.word(0))
    if total == 1:
        script.live(script.name(), script.word(1), 1)
    return _told(total)


def _add_expire(script: _Script) -> Result:
    total = script.add(script.name(), _text(script.number(1)))
    if total == script.number(1):
        script.live(script.name(), script.word(0), 1000)
    return _told(total)


def _count_expire(script: _Script) -> Result:
    total = script.add(script.name(), b"1")
    if total == 1:
        script.live(script.name(), script.word(0), 1000)
    return _told(total)


def _consume(prolongs: bool) -> Callable[[_Script], Result]:
    def script_of(script: _Script) -> Result:
        name = script.name()
        script.set(name, b"0", script.word(1), 1000, free=True)
        total, left = script.add(name, script.word(0)), script.left(name)
        if prolongs and left == -1:
            script.live(name, script.word(1), 1000)
            return [_told(total), _told(1000.0 * int(script.word(1)))]
        return [_told(total), left]

    return script_of


def _hit(script: _Script) -> Result:
    total = script.add(script.name(), b"1")
    left = script.left(script.name())
    if left <= 0 or script.words[:1] == [b"1"]:
        return [_told(total), _prolong(script)]
    return [_told(total), left]


def _prolong(script: _Script) -> int:
    script.live(script.name(), _text(script.number(1)), 1)
    return _told(script.number(1) or 0.0)


def _hit_window(at: int) -> Callable[[_Script], Result]:
    def script_of(script: _Script) -> Result:
        left = script.left(script.name())
        if left <= 0:
            script.set(script.name(), b"1", _text(script.number(at)))
            return [1, _told(script.number(at) or 0.0)]
        total = script.add(script.name(), b"1")
        if at and script.words[:1] == [b"1"]:
            left = _prolong(script)
        return [_told(total), left]

    return script_of


def _look(script: _Script) -> Result:
    return [script.value(script.name()), script.left(script.name())]


# --- two windows ---


def _move_on(script: _Script, ms: float) -> None:
    left = script.left(script.name(1))
    if left > 0 and left < ms:
        script.call(codes.RENAME, [script.name(1), script.name(0)])
        script.set(script.name(1), b"0", _text(left + ms))


def _slide(script: _Script) -> Result:
    limit, ms, amount = _known(script.number(0)), 1000 * _known(script.number(1)), _known(script.number(2))
    if limit < amount:
        return None
    new, old = script.name(1), script.name(0)
    _move_on(script, ms)
    before, now = _number(script.value(old)) or 0.0, _number(script.value(new)) or 0.0
    product = before * max(script.left(old), 0)
    if ms:
        share = product / ms
    else:
        share = product * float("inf")  # which is no number if the product is 0
    weight = (share if isnan(share) or isinf(share) else floor(share)) + now
    if weight + amount > limit:
        return None
    if script.value(new) is None:
        script.set(new, _text(amount), _text(2 * ms))
    else:
        script.add(new, _text(amount))
    return 1


def _windows(script: _Script) -> Result:
    ms = 1000 * _known(script.number(0))
    names = script.name(0), script.name(1)
    _move_on(script, ms)
    return [each for name in names for each in (script.value(name), script.left(name))]


def _sweep(script: _Script, pattern: bytes) -> int:
    return sum(script.call(codes.ERASE, [name]) for name in script.matching(pattern))


def _clear(script: _Script) -> Result:
    return _sweep(script, script.name())


def _clear_quietly(script: _Script) -> Result:
    _sweep(script, script.word(0))
    return None


_SCRIPTS: dict[int, Callable[[_Script], Result]] = {
    op.DELETE_IF_EQUAL: _delete,
    op.PEXPIRE_IF_EQUAL: _let_live(1),
    op.EXPIRE_IF_EQUAL: _let_live(1000),
    op.EXTEND_IF_EQUAL: _extend,
    op.TTL_IF_EQUAL: _life,
    op.SET_IF_EQUAL: _exchange,
    op.SET_IF_ABSENT: _claim,
    op.ACQUIRE_ALL: _claim_all(free=True),
    op.EXTEND_ALL: _claim_all(free=False),
    op.RELEASE_ALL: _release_all,
    op.RAISE_NUMBER: _raise,
    op.ADD_IF_PRESENT: _add_if_there,
    op.ADD: _add,
    op.ADD_AND_PEXPIRE: _add_pexpire,
    op.ADD_AND_EXPIRE: _add_expire,
    op.COUNT_AND_EXPIRE: _count_expire,
    op.COUNT_IN_WINDOW: _consume(prolongs=True),
    op.COUNT_IN_PLAIN_WINDOW: _consume(prolongs=False),
    op.HIT: _hit,
    op.HIT_OR_RESET: _hit_window(1),
    op.HIT_OR_BEGIN: _hit_window(0),
    op.VALUE_AND_TTL: _look,
    op.ACQUIRE_SLIDING: _slide,
    op.SLIDING_WINDOW: _windows,
    op.DELETE_MATCHING: _clear,
    op.DELETE_MATCHING_QUIETLY: _clear_quietly,
}
