"""The Store: what the host needs of a disk. LevelDB implements it, and so does the simulator's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol


class StoreFailed(Exception):
    """The disk refused or lost something; the text says what. The process must end: see ``Store.commit``."""


class RecordCorrupt(StoreFailed):
    """A stored value does not match its checksum."""


class Store(Protocol):
    """An ordered map of bytes whose commits are atomic and durable, one at a time."""

    def get(self, key: bytes) -> bytes | None:
        """The committed value, or None; ``RecordCorrupt`` if its checksum does not match."""

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Committed pairs whose key begins with ``prefix`` and is not below ``start``, in key order."""

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """Write (None erases) all or nothing, durably; then call ``done`` on the caller's thread, now or later.

        There is never more than one commit at a time. After ``done(StoreFailed)`` nothing may be committed or answered
        any more: LevelDB goes on in a misframed log, and a second fsync lies.
        """

    def close(self) -> None:
        """Wait for a commit under way, then release the directory."""
