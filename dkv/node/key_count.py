"""How many keys and bytes a node holds: counted now and then, a little at a time.

A write does not look how long the value was that it replaces, since that would cost it a read. So nobody knows the
bytes at each moment. They are counted instead: exactly, but as they were some time ago, and the keys with them, those
that are dead and not erased yet included. A count takes a small share of the node's time, and the next one waits for
many times as long as the last one took: a few keys are counted every few seconds, and millions about once an hour.

A count reads a view of the durable state. While it is under way, LevelDB keeps what was overwritten since: in the worst
case another copy of the state. So nothing is counted while the disk is short of space.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.console.surroundings import Counted
from dkv.host.seams import Call, Clock
from dkv.keys import APPLIED_THROUGH, STATE, unpack_number
from dkv.settings import KIB
from dkv.storage.store import StateStore, StoreFailed, StoreView

SLICE_BYTES = 64 * KIB
"""How much is read at a time: about a millisecond."""

SHARE = 0.02
"""The share of the node's time that a count takes while it is under way."""

REST_SECONDS_MIN = 5.0
REST_TIMES = 10
"""How long the next count waits: so many times as long as the last one took, and the minimum above."""


class KeyCount:
    """Counts the keys in the state that ``current()`` names, over and over; ``failed`` hears of damage.

    ``short()`` says whether the disk is short of space.
    """

    def __init__(
        self,
        clock: Clock,
        current: Callable[[], StateStore],
        short: Callable[[], bool],
        failed: Callable[[StoreFailed], object],
    ) -> None:
        self.counted: Counted | None = None
        """The last count that is complete; None before there was one."""
        self._clock = clock
        self._current = current
        self._short = short
        self._failed = failed
        self._next: Call | None = None
        self._view: StoreView | None = None

    def start(self) -> None:
        """Count soon, and then again and again."""
        self._later(0, self._begin)

    def stop(self) -> None:
        """Count no more: the state is about to be closed."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._close()

    def _begin(self) -> None:
        if self._short():
            self._later(REST_SECONDS_MIN, self._begin)
            return
        self._began_at = self._clock.seconds()
        self._store = self._current()
        self._view = self._store.view()
        self._after = STATE
        self._keys = self._bytes = 0
        self._slice()

    def _slice(self) -> None:
        """Read on where the last slice ended. A state that is not in force any more is let go: it is to be erased."""
        assert self._view is not None
        if self._current() is not self._store or self._short():
            self._close()
            self._later(0, self._begin)
            return
        began = self._clock.seconds()
        try:
            pairs = self._view.read(self._after, SLICE_BYTES)
            complete = not pairs or not pairs[-1][0].startswith(STATE)
            if complete:
                applied_through = unpack_number(self._view.get(APPLIED_THROUGH))
        except StoreFailed as failure:
            self._close()
            self._failed(failure)
            return
        for key, value in pairs:
            if key.startswith(STATE):
                self._keys += 1
                self._bytes += len(key) + len(value)
        ended = self._clock.seconds()
        if complete:
            self._close()
            self.counted = Counted(self._keys, self._bytes, applied_through, ended)
            self._later(max(REST_SECONDS_MIN, REST_TIMES * (ended - self._began_at)), self._begin)
        else:
            self._after = pairs[-1][0]
            self._later((ended - began) * (1 / SHARE - 1), self._slice)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._next = self._clock.callLater(seconds, call)

    def _close(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.close()
