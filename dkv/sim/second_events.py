"""The events of keys a second time: what a command must be told as, from what it asks, what was there, and its result.

The product names an event where it stores or erases. Here a table says for each command what Redis tells of it. Only
what was there before is looked up: whether a key lived, was dead and stored still, or was not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dkv.kv import codes
from dkv.replies import Error
from dkv.sim.second_keys import SecondKeys, StoredKey

SecondEvent = tuple[int, bytes, bytes]
"""The database, the event, and the key."""

_TOUCHED = b"touched"
"""Nothing that is told: a key that does not exist was to be erased."""


class CommandEvents:
    """What one command is told as. It is made before the command is done."""

    def __init__(self, keys: SecondKeys, code: int, db: int, arguments: Any) -> None:
        self._keys = keys
        self._code, self._db, self._arguments = code, db, arguments
        self._lived = {name: keys.get(*name) for name in self._names()}
        self._dead = {name for name, held in self._lived.items() if held is None and keys.is_stored(*name)}

    def _names(self) -> Iterable[tuple[int, bytes]]:
        """The keys that it may be about, with their databases; a few more do no harm."""
        words = [word for word in self._arguments if isinstance(word, bytes)]
        dbs = (self._db, self._arguments[2]) if self._code == codes.COPY else (self._db,)
        return [(db, word) for db in dbs for word in words]

    def events(self, result: Any) -> Iterator[SecondEvent]:
        """The events, once the result is there."""
        if isinstance(result, Error):
            return
        for db, event, key in self._of_command(result):
            if (db, key) in self._dead:
                self._dead.discard((db, key))
                yield db, b"expired", key
            if event != _TOUCHED:
                yield db, event, key

    def _of_command(self, result: Any) -> Iterator[SecondEvent]:
        code, arguments = self._code, self._arguments
        if code in _ONE_STRING:
            changes_nothing = (code == codes.SETNX and result == 0) or (code == codes.SETRANGE and not arguments[2])
            if not changes_nothing:
                yield from self._stored(arguments[0], _ONE_STRING[code])
        elif code == codes.SET:
            yield from self._of_set()
        elif code in (codes.MSET, codes.MSETNX):
            if result != 0:
                for key in arguments[::2]:
                    yield from self._stored(key, b"set")
        elif code == codes.ERASE:
            for key in arguments:
                yield from self._erased(key)
        elif code == codes.GETDEL:
            if result is not None:  # one that is dead is left to be erased by a later slot
                yield from self._erased(arguments[0])
        elif code in (codes.RENAME, codes.RENAMENX, codes.COPY):
            if result != 0:
                yield from self._given(code)
        else:
            yield from self._of_deadlines(result)

    def _stored(self, key: bytes, event: bytes) -> Iterator[SecondEvent]:
        if self._lived.get((self._db, key)) is None:
            yield self._db, b"new", key
            self._lived[self._db, key] = StoredKey(b"", 0, (0, 0))
        yield self._db, event, key

    def _erased(self, key: bytes) -> Iterator[SecondEvent]:
        lives = self._lived.get((self._db, key)) is not None
        self._lived[self._db, key] = None
        yield self._db, b"del" if lives else _TOUCHED, key

    def _of_set(self) -> Iterator[SecondEvent]:
        if len(self._arguments) == 2:
            yield from self._stored(self._arguments[0], b"set")
            return
        key, _, condition, operand, life, ms, _ = self._arguments
        held = self._lived[self._db, key]
        met = {
            codes.ANY: True,
            codes.IF_ABSENT: held is None,
            codes.IF_PRESENT: held is not None,
            codes.IF_EQUAL: held is not None and held.value == operand,
            codes.IF_UNEQUAL: held is None or held.value != operand,
        }[condition]
        if not met:
            return
        yield from self._stored(key, b"set")
        if life in (codes.RELATIVE, codes.ABSOLUTE):
            yield self._db, b"expire", key
            if self._has_passed(life, ms):
                yield self._db, b"expired", key

    def _has_passed(self, life: int, ms: int) -> bool:
        return (self._keys.time + ms if life == codes.RELATIVE else ms) <= self._keys.time

    def _given(self, code: int) -> Iterator[SecondEvent]:
        source, to = self._arguments[:2]
        if code == codes.COPY:
            to_db = self._arguments[2]
            yield to_db, b"new", to
            yield to_db, b"copy_to", to
        elif source != to:
            yield self._db, b"new", to
            yield self._db, b"rename_from", source
            yield self._db, b"rename_to", to

    def _of_deadlines(self, result: Any) -> Iterator[SecondEvent]:
        """Those of commands that leave the value as it is."""
        key = self._arguments[0] if self._arguments else b""
        match self._code, self._arguments:
            case codes.EXPIRE, [_, life, ms, _] if result == 1:
                yield self._db, b"del" if self._has_passed(life, ms) else b"expire", key
            case codes.PERSIST, _ if result == 1:
                yield self._db, b"persist", key
            case codes.GETEX, [_, life, ms] if result is not None:
                held = self._lived[self._db, key]
                assert held is not None
                if life == codes.NEVER_DIES:
                    if held.deadline:
                        yield self._db, b"persist", key
                else:
                    yield self._db, b"del" if self._has_passed(life, ms) else b"expire", key


_ONE_STRING = {
    codes.SETNX: b"set",
    codes.EXTEND: b"append",
    codes.INCRBY: b"incrby",
    codes.INCRBYFLOAT: b"incrbyfloat",
    codes.SETRANGE: b"setrange",
}


def with_events(keys: SecondKeys, code: int, db: int, arguments: Any, do: Callable[[], Any]) -> Any:
    """Do a command, and let ``keys`` have its events; its result."""
    if not keys.letters:
        return do()
    telling = CommandEvents(keys, code, db, arguments)
    result = do()
    for event in telling.events(result):
        keys.tell(*event)
    return result
