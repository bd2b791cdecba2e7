"""A Store in memory: it seals values as the real one does, and its user decides when and how a commit ends."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping

from dkv.storage.seal import seal, unseal
from dkv.storage.store import StoreFailed


class MemoryStore:
    """Commits end when the test calls ``complete`` or ``fail``, or at once with ``auto``; ``crash`` loses one."""

    def __init__(self, auto: bool = False) -> None:
        self.durable: dict[bytes, bytes] = {}
        """Sealed values by key, which survive a crash. A test may damage them."""
        self.closed = False
        self._auto = auto
        self._keys: list[bytes] = []
        self._failure: StoreFailed | None = None
        self._under_way: tuple[dict[bytes, bytes | None], Callable[[StoreFailed | None], None]] | None = None

    @property
    def committing(self) -> bool:
        """Whether a commit waits for ``complete``, ``fail`` or ``crash``."""
        return self._under_way is not None

    def get(self, key: bytes) -> bytes | None:
        """The durable value."""
        stored = self.durable.get(key)
        return None if stored is None else unseal(key, stored)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Each of the keys with its durable value."""
        return ((key, self.get(key)) for key in keys)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The pairs that are durable at this moment."""
        keys = []
        for index in range(bisect_left(self._keys, max(prefix, start)), len(self._keys)):
            if not self._keys[index].startswith(prefix):
                break
            keys.append(self._keys[index])
        pairs = [(key, self.durable[key]) for key in keys]
        return ((key, unseal(key, stored)) for key, stored in pairs)

    def copied(self) -> MemoryStore:
        """A copy of all that is durable at this moment, in a store of its own."""
        copy = MemoryStore()
        copy.replace(self)
        return copy

    def replace(self, held: MemoryStore) -> None:
        """From now on hold what ``held`` holds, and nothing else."""
        self.durable, self._keys = dict(held.durable), list(held._keys)

    def view(self) -> MemoryView:
        """What is durable at this moment."""
        return MemoryView(dict(self.durable))

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """Begin a commit. Two at a time are a mistake of the caller."""
        assert self._under_way is None, "a commit is under way"
        sealed = {key: None if value is None else seal(key, value) for key, value in writes.items()}
        self._under_way = (sealed, done)
        if self._auto:
            self.complete()

    def complete(self) -> None:
        """End the commit under way and tell its caller: it is durable, or has failed if one failed before."""
        assert self._under_way is not None, "no commit is under way"
        if self._failure is None:
            self._keep()
        if self._under_way is not None:  # else the process ended at the very moment when the commit was durable
            (_, done), self._under_way = self._under_way, None
            done(self._failure)

    def fail(self, reason: str = "the disk is full") -> None:
        """Fail the commit under way, and every later one."""
        self._failure = StoreFailed(reason)
        self.complete()

    def crash(self) -> None:
        """Lose the commit under way; its caller hears no more of it."""
        self._under_way = None

    def close(self) -> None:
        """Release nothing; tests can ask whether it was called."""
        self.closed = True

    def _keep(self) -> None:
        """Make the writes of the commit under way durable."""
        assert self._under_way is not None
        for key, stored in self._under_way[0].items():
            self._put(key, stored)

    def _put(self, key: bytes, stored: bytes | None) -> None:
        if stored is None:
            if self.durable.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self.durable:
            insort(self._keys, key)
        self.durable[key] = stored


class MemoryView:
    """The sealed pairs of one moment. What is damaged is found when it is read, and not before."""

    def __init__(self, sealed: dict[bytes, bytes]) -> None:
        self._sealed = sealed
        self.closed = False

    def get(self, key: bytes) -> bytes | None:
        """The value of that moment."""
        stored = self._sealed.get(key)
        return None if stored is None else unseal(key, stored)

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The pairs behind key ``after``, up to ``bytes_max`` bytes, one at least; none at the end."""
        assert not self.closed
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for key in sorted(each for each in self._sealed if each > after):
            value = unseal(key, self._sealed[key])
            size += len(key) + len(value)
            if found and size > bytes_max:
                break
            found.append((key, value))
        return found

    def close(self) -> None:
        """Nothing may be read any more."""
        self.closed = True
