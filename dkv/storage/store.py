"""The Store: what the host needs of a disk. LevelDB implements it, and so does the simulator's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol


class StoreFailed(Exception):
    """The disk refused or lost something; the text says what. The process must end: see ``Store.commit``."""


class RecordCorrupt(StoreFailed):
    """A stored value does not match its checksum."""


class Store(Protocol):
    """An ordered map of bytes whose commits are atomic and durable, one at a time."""

    def get(self, key: bytes) -> bytes | None:
        """The committed value, or None; ``RecordCorrupt`` if its checksum does not match."""

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Each of these keys, which differ, with what ``get`` gives for it, in any order, and one value at a time.

        It is for many keys that are not expected to be read again soon.
        """

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Committed pairs whose key begins with ``prefix`` and is not below ``start``, in key order."""

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """Write (None erases) all or nothing, durably; then call ``done`` on the caller's thread, now or later.

        There is never more than one commit at a time. After ``done(StoreFailed)`` nothing may be committed or answered
        any more: LevelDB goes on in a misframed log, and a second fsync lies.
        """

    def close(self) -> None:
        """Wait for a commit under way, then release the directory."""


class StoreView(Protocol):
    """The contents of a store at one moment, however much is committed meanwhile."""

    def get(self, key: bytes) -> bytes | None:
        """The value at that moment, as ``Store.get``."""

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The pairs behind key ``after`` in key order, up to ``bytes_max`` bytes, one at least; none at the end."""

    def close(self) -> None:
        """Forget that moment; a second call does nothing."""


class StateStore(Store, Protocol):
    """The store of one generation of a node's state."""

    def view(self) -> StoreView:
        """What is committed now."""


class Generations(Protocol):
    """The state stores of one node. One is in force, and the log names it; a received snapshot is written beside it."""

    @property
    def current(self) -> StateStore:
        """The store in force."""

    def begin(self) -> int:
        """Make a new, empty store, durably. Its number is above all that the disk holds and the log ever named."""

    def beside(self, generation: int) -> StateStore:
        """A store that is not in force."""

    def switch(self, generation: int) -> None:
        """Put a store in force, for this process. The caller writes its number into the log."""

    def settle(self) -> None:
        """The log names the store in force, durably: erase those that were in force before."""

    def abandon(self, generation: int) -> None:
        """Erase a store that is not in force."""

    def close(self) -> None:
        """Close all stores."""
