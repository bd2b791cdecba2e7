"""What the actors have written and the disk does not hold yet, in front of what it does.

There are three layers, newest first: ``staged`` (written back when the host chooses), ``pending`` (goes with the next
commit) and what is in the commit under way. Reads see the newest. An erased key is a key whose value is None.

Behind them is a copy of what was read from the store lately, up to ``READ_BYTES_MAX``: finding and checking a value in
LevelDB costs much more. A key that is written is dropped from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from dkv.settings import MIB
from dkv.storage.store import Store

READ_BYTES_MAX = 4 * MIB
_KEY_OVERHEAD_BYTES = 128  # what an entry of a dict costs beside its bytes, roughly
_ABSENT: Final = object()

Writes = dict[bytes, bytes | None]


class Layers:
    """The writes of one node on their way to ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._staged: Writes = {}
        self._pending: Writes = {}
        self._committing: Writes = {}
        self._read: Writes = {}
        self._read_bytes = 0
        self._pending_bytes = 0
        self._committing_bytes = 0
        self.staged_bytes = 0
        """What staged keys and values take in memory, roughly."""

    @property
    def undurable_bytes(self) -> int:
        """What waits for a commit, or for the end of the one under way, in bytes."""
        return self._pending_bytes + self._committing_bytes

    def persist(self, key: bytes, value: bytes | None) -> None:
        """Write with the next commit; replaces what is staged for the key."""
        if key in self._staged:
            self.stage(key, None)
            del self._staged[key]
            self.staged_bytes -= _KEY_OVERHEAD_BYTES + len(key)
        if key in self._read:
            self._forget(key)
        self._pending[key] = value
        self._pending_bytes += len(key) + len(value or b"")

    def stage(self, key: bytes, value: bytes | None) -> None:
        """Write with a commit of the host's choosing."""
        staged = self._staged
        replaced: Any = staged.get(key, _ABSENT)
        staged[key] = value
        if key in self._read:
            self._forget(key)
        if replaced is _ABSENT:
            self.staged_bytes += _KEY_OVERHEAD_BYTES + len(key)
        elif replaced is not None:
            self.staged_bytes -= len(replaced)
        if value is not None:
            self.staged_bytes += len(value)

    def load(self, key: bytes) -> bytes | None:
        """The key's newest value."""
        for layer in (self._staged, self._pending, self._committing, self._read):
            value = layer.get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]  # not _ABSENT, so a value of the layer
        stored = self._read[key] = self._store.get(key)
        self._read_bytes += _KEY_OVERHEAD_BYTES + len(key) + len(stored or b"")
        while self._read_bytes > READ_BYTES_MAX:
            self._forget(next(iter(self._read)))
        return stored

    def _forget(self, key: bytes) -> None:
        """Keep no copy of what the store holds for ``key``."""
        value = self._read.pop(key)
        self._read_bytes -= _KEY_OVERHEAD_BYTES + len(key) + len(value or b"")

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The newest values of the keys with ``prefix`` from ``start`` on, in key order.

        It looks through all that is staged and pending: for an actor's start, not for the hot path.
        """
        merged: Writes = {}
        for layer in (self._committing, self._pending, self._staged):
            merged |= {key: value for key, value in layer.items() if key.startswith(prefix) and key >= start}
        newest = sorted(merged)
        position = 0
        for key, value in self._store.scan(prefix, start):
            while position < len(newest) and newest[position] <= key:
                yield from _pair(newest[position], merged)
                position += 1
            if key not in merged:
                yield key, value
        for key in newest[position:]:
            yield from _pair(key, merged)

    def begin_commit(self, write_back: bool) -> Writes:
        """What the next commit writes: all that is pending, and with ``write_back`` all that is staged."""
        writes, self._pending = self._pending, {}
        self._committing_bytes, self._pending_bytes = self._pending_bytes, 0
        if write_back:
            writes.update(self._staged)
            self._staged = {}
            self.staged_bytes = 0
        self._committing = writes
        return writes

    def end_commit(self) -> None:
        """The commit under way is in the store."""
        self._committing = {}
        self._committing_bytes = 0


def _pair(key: bytes, merged: Writes) -> Iterator[tuple[bytes, bytes]]:
    value = merged[key]
    if value is not None:
        yield key, value
