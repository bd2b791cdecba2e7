"""Backups of a running node: a client fetches the durable state, as it is after one slot, piece by piece.

The client sets the pace: one request, one bounded piece. Reading takes a small share of the node's time, whatever the
client asks. All pieces are read through one view, and only one backup is taken at a time, since LevelDB keeps for a
view what was overwritten since: in the worst case another copy of the state. The view is closed when the client has
all, when its connection ends, or when it is silent for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dkv import __version__
from dkv.console.surroundings import BackupRefused
from dkv.host.seams import Call, Clock
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, CLUSTER_KEY, DATABASES_KEY, unpack_number
from dkv.kv.databases import unpack_databases
from dkv.settings import KIB
from dkv.storage.store import StateStore, StoreFailed, StoreView
from dkv.wire.backup_file import BackupHeader, BackupWriter

PIECE_BYTES = 128 * KIB
"""How much is read at a time, unless one value is larger: a millisecond or two."""

SHARE = 0.2
"""The share of the node's time that reading takes at most."""

SILENCE_SECONDS = 30.0

BUSY = "BUSY another client is taking a backup of this node; wait until it is done, or ask another node"
TOO_SOON = "TRYAGAIN a piece was read a moment ago; ask again in a moment"
NONE = f"ERR this connection has no backup under way: say DKV.BACKUP BEGIN; silence of {SILENCE_SECONDS:g} s ends one"
FAILED = "ERR the state cannot be read"


@dataclass(slots=True)
class _UnderWay:
    """The backup that ``owner`` takes. ``after`` is the last key that was read, ``ended`` whether the end was sent."""

    owner: object
    view: StoreView
    writer: BackupWriter
    heard_at: float
    after: bytes = b""
    ended: bool = False


class NodeBackups:
    """Backups of the state that ``current()`` names; ``failed`` hears of damage. ``seconds`` is the time of day."""

    def __init__(
        self,
        clock: Clock,
        identity: Identity,
        current: Callable[[], StateStore],
        failed: Callable[[StoreFailed], object],
        seconds: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._current = current
        self._failed = failed
        self._seconds = seconds
        self._under_way: _UnderWay | None = None
        self._rests_until = 0.0
        self._watch: Call | None = None

    def begin(self, owner: object, covering: int) -> bytes:
        """Begin a backup for ``owner``, which gives up an earlier one: the first piece.

        ``BackupRefused`` if another one is under way, or if the durable state does not cover slot ``covering``.
        """
        if self._under_way is not None and self._under_way.owner is not owner:
            raise BackupRefused(BUSY)
        self.end(owner)
        view = self._current().view()
        try:
            through = unpack_number(view.get(APPLIED_THROUGH))
            databases = view.get(DATABASES_KEY)
        except StoreFailed as failure:
            view.close()
            raise self._damaged(failure) from None
        if through < covering:
            view.close()
            raise BackupRefused(f"TRYAGAIN the state on disk ends at slot {through}; ask again in a moment")
        self._under_way = _UnderWay(owner, view, BackupWriter(), self._clock.seconds())
        self._watch_silence(SILENCE_SECONDS)
        me = self._identity
        spaces = () if databases is None else unpack_databases(databases).spaces()
        header = BackupHeader(me.cluster, me.node, through, int(self._seconds()), __version__, spaces)
        return self._under_way.writer.begin(header)

    def next(self, owner: object) -> bytes | None:
        """The next piece for ``owner``; None behind the last one. ``BackupRefused`` if it is too soon, or has none."""
        under_way = self._under_way
        if under_way is None or under_way.owner is not owner:
            raise BackupRefused(NONE)
        began = under_way.heard_at = self._clock.seconds()
        if under_way.ended:
            self.end(owner)
            return None
        if began < self._rests_until:
            raise BackupRefused(TOO_SOON)
        try:
            pairs = under_way.view.read(under_way.after, PIECE_BYTES)
        except StoreFailed as failure:
            self.end(owner)
            raise self._damaged(failure) from None
        if not pairs:
            under_way.ended = True
            return under_way.writer.end()
        under_way.after = pairs[-1][0]
        piece = under_way.writer.chunk(pair for pair in pairs if pair[0] != CLUSTER_KEY)
        ended = self._clock.seconds()
        self._rests_until = ended + (ended - began) * (1 / SHARE - 1)
        return piece

    def end(self, owner: object) -> None:
        """The backup of ``owner``, if it has one, is over."""
        if self._under_way is not None and self._under_way.owner is owner:
            self.stop()

    def stop(self) -> None:
        """End the backup under way: the state is about to be closed."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.view.close()
        if self._watch is not None and self._watch.active():
            self._watch.cancel()

    def _watch_silence(self, seconds: float) -> None:
        self._watch = self._clock.callLater(seconds, self._on_watch)

    def _on_watch(self) -> None:
        assert self._under_way is not None, "the end of a backup ends its watch"
        left = self._under_way.heard_at + SILENCE_SECONDS - self._clock.seconds()
        if left <= 0:
            self.stop()
        else:
            self._watch_silence(left)

    def _damaged(self, failure: StoreFailed) -> BackupRefused:
        self._failed(failure)
        return BackupRefused(FAILED)
