"""A store whose commits are held back on order, as by a disk that hangs: for tests and scenarios (``DKV.FAULT HANG``).

What is held back is handed on, whole and in order, when the order ends. So nothing is lost that a real disk would keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dkv.host.seams import Call, Clock
from dkv.storage.store import Store, StoreFailed

Held = tuple[Mapping[bytes, bytes | None], Callable[[StoreFailed | None], None]]


class HeldStore:
    """Stands before ``store``; reads are not held."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.get, self.find = store.get, store.find
        self.close = store.close
        self._store = store
        self._clock = clock
        self._until = 0.0
        self._release_due: Call | None = None
        self._held: Held | None = None

    @property
    def seconds_left(self) -> float:
        """For how long the order still holds; 0 if there is none."""
        return max(0.0, self._until - self._clock.seconds()) if self._release_due is not None else 0.0

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As ``Store.scan``."""
        return self._store.scan(prefix, start)

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """As ``Store.commit``, but not before the order ends."""
        if self._release_due is None:
            self._store.commit(writes, done)
        else:
            assert self._held is None, "a commit is under way"
            self._held = writes, done

    def hold(self, seconds: float) -> None:
        """From now on finish no commit that begins, for ``seconds``."""
        self._cancel()
        self._until = self._clock.seconds() + seconds
        self._release_due = self._clock.callLater(seconds, self.release)

    def release(self) -> None:
        """Go on, with the commit that waits if there is one."""
        self._cancel()
        held, self._held = self._held, None
        if held is not None:
            self._store.commit(*held)

    def stop(self) -> None:
        """The store is about to be closed: what waits is never written."""
        self._cancel()
        self._held = None

    def _cancel(self) -> None:
        call, self._release_due = self._release_due, None
        if call is not None and call.active():
            call.cancel()
