"""What the actors have written and the disk does not hold yet, in front of what it does.

The keys of the log and those of the state are in two stores. What is *persisted*, keys of the log, goes with the
log's next commit. What is *staged* waits for a write-back: the log's keys go with the commit of the log that begins it,
and the state's keys, all of them, with a commit of the state behind that one. Reads see the newest. An erased key is a
key whose value is None.

Who needs the state on disk as it is after one slot exactly *closes* what is staged: the next write-back writes that and
nothing else, while what comes after is staged beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from sys import maxsize
from typing import Any, Final

from dkv.host.key_order import KeyOrder, Writes, newest
from dkv.keys import APPLIED_KEYS
from dkv.settings import MIB
from dkv.storage.store import Store

READ_BYTES_MAX = 4 * MIB
KEY_OVERHEAD_BYTES = 128  # what an entry of a dict costs beside its bytes, roughly
_ABSENT: Final = object()


class Staged:
    """Writes that wait for a write-back, and what they take in memory."""

    def __init__(self) -> None:
        self.writes: Writes = {}
        self.size = 0
        """What keys and values take in memory, roughly."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Replace what waits for the key, if anything."""
        writes = self.writes
        replaced: Any = writes.get(key, _ABSENT)
        writes[key] = value
        if replaced is _ABSENT:
            self.size += KEY_OVERHEAD_BYTES + len(key)
        elif replaced is not None:
            self.size -= len(replaced)
        if value is not None:
            self.size += len(value)

    def put_all(self, pairs: Mapping[bytes, bytes]) -> None:
        """``put`` for each of them."""
        writes = self.writes
        self.size += KEY_OVERHEAD_BYTES * len(pairs) + sum(map(len, pairs)) + sum(map(len, pairs.values()))
        for key in writes.keys() & pairs.keys():  # what they replace
            self.size -= KEY_OVERHEAD_BYTES + len(key) + len(writes[key] or b"")
        writes.update(pairs)

    def drop(self, key: bytes) -> None:
        """Let the key wait no more; nothing happens if it does not."""
        value: Any = self.writes.pop(key, _ABSENT)
        if value is not _ABSENT:
            self.size -= KEY_OVERHEAD_BYTES + len(key) + len(value or b"")

    def take(self) -> Writes:
        """All that waits; from now on nothing does."""
        taken, self.writes, self.size = self.writes, {}, 0
        return taken


class LogLayers:
    """The log's keys on their way to ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.staged = Staged()
        self._pending: Writes = {}
        self._committing: Writes = {}
        self._pending_bytes = 0
        self._committing_bytes = 0

    @property
    def undurable_bytes(self) -> int:
        """What waits for a commit, or for the end of the one under way, in bytes."""
        return self._pending_bytes + self._committing_bytes

    def persist(self, key: bytes, value: bytes | None) -> None:
        """Write with the next commit; replaces what is staged for the key."""
        self.staged.drop(key)
        self._pending[key] = value
        self._pending_bytes += len(key) + len(value or b"")

    def load(self, key: bytes) -> bytes | None:
        """The key's newest value."""
        for layer in (self.staged.writes, self._pending, self._committing):
            value = layer.get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]  # not _ABSENT, so a value of the layer
        return self._store.get(key)

    def scan(self, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As ``Layers.scan``."""
        return _scan((self.staged.writes, self._pending, self._committing), self._store, prefix, start)

    def begin_commit(self, write_back: bool) -> Writes:
        """What the next commit writes: all that is pending, and with ``write_back`` all that is staged."""
        writes, self._pending = self._pending, {}
        self._committing_bytes, self._pending_bytes = self._pending_bytes, 0
        if write_back:
            writes.update(self.staged.take())
        self._committing = writes
        return writes

    def end_commit(self) -> None:
        """The commit under way is in the store."""
        self._committing = {}
        self._committing_bytes = 0


@dataclass(slots=True)
class Closed:
    """Staged writes that nothing is added to any more, and what they take in memory, in bytes.

    ``wanted_by`` are the roles of actors that wait for a view of the state with these writes and no later ones.
    """

    writes: Writes
    size: int
    order: KeyOrder
    wanted_by: list[str] = field(default_factory=list)


class StateLayers:
    """The keys of one generation of the state on their way to ``store``.

    Behind them is a copy of what was read from the store lately, up to ``READ_BYTES_MAX``: finding and checking a value
    in LevelDB costs much more. A key that is written is dropped from it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.staged = Staged()
        self._order = KeyOrder(self.staged.writes)
        self.closed: Closed | None = None
        """What the next write-back writes, if it was closed for somebody."""
        self.writing: Closed | None = None
        """What the write-back under way writes, or is to write when the log has come so far."""
        self.read: Writes = {}
        self._read_bytes = 0
        self._before_trial: tuple[Staged, KeyOrder] | None = None
        """What was staged when the trial began that is under way."""
        self._newest_first: tuple[Writes, ...] = ()
        self._arrange()

    def _arrange(self) -> None:
        """Say where to look for a key: bound once for each layer that comes or goes, since every read goes by it."""
        layers = [self.staged, self.closed, self.writing]
        if self._before_trial is not None:
            layers.insert(1, self._before_trial[0])
        self._newest_first = (*(each.writes for each in layers if each is not None), self.read)

    @property
    def writing_bytes(self) -> int:
        """What is closed or under way takes in memory."""
        return sum(each.size for each in (self.closed, self.writing) if each is not None)

    def load(self, key: bytes) -> bytes | None:
        """The key's newest value."""
        for layer in self._newest_first:
            value = layer.get(key, _ABSENT)
            if value is not _ABSENT:
                return value  # type: ignore[return-value]  # not _ABSENT, so a value of the layer
        stored = self.read[key] = self.store.get(key)
        self._read_bytes += KEY_OVERHEAD_BYTES + len(key) + len(stored or b"")
        while self._read_bytes > READ_BYTES_MAX:
            self.forget(next(iter(self.read)))
        return stored

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Each of these keys, which differ, with its newest value. No copy is kept of what is read."""
        unwritten = []
        for key in keys:
            for layer in self._newest_first:
                value: Any = layer.get(key, _ABSENT)
                if value is not _ABSENT:
                    yield key, value
                    break
            else:
                unwritten.append(key)
        if unwritten:
            yield from self.store.find(unwritten)

    def forget(self, key: bytes) -> None:
        """Keep no copy of what the store holds for ``key``."""
        value = self.read.pop(key)
        self._read_bytes -= KEY_OVERHEAD_BYTES + len(key) + len(value or b"")

    def scan(self, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As ``Layers.scan``."""
        return _scan(self._newest_first[:-1], self.store, prefix, start)  # without what was read: the store has that

    def scan_page(self, prefix: bytes, after: bytes, count: int, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """As ``Layers.scan_page``."""
        start = after + b"\0"
        orders = [self._order, *(each.order for each in (self.closed, self.writing) if each is not None)]
        if self._before_trial is not None:
            orders.insert(1, self._before_trial[1])
        sources: list[Iterable[tuple[bytes, bytes | None]]] = []
        for order in orders:
            sources += order.pairs(prefix, start)
        found: list[tuple[bytes, bytes]] = []
        for key, value in islice(newest((*sources, self.store.scan(prefix, start))), count):
            found.append((key, value))
            bytes_max -= len(key) + len(value)
            if bytes_max <= 0:
                break
        return found

    def begin_trial(self) -> None:
        """What is staged from here on may be taken back. The trial ends, or is undone, in the same turn."""
        assert self._before_trial is None, "a trial is under way"
        self._before_trial = self.staged, self._order
        self.staged = Staged()
        self._order = KeyOrder(self.staged.writes)
        self._arrange()

    def end_trial(self) -> None:
        """What was staged since it began is staged for good."""
        tried, staged = self._without_trial(), self.staged
        if staged.writes.keys().isdisjoint(tried.writes):  # so nothing is replaced, which is most often so
            staged.writes.update(tried.writes)
            staged.size += tried.size
            return
        for key, value in tried.writes.items():
            staged.put(key, value)

    def undo_trial(self) -> Iterable[bytes]:
        """Take back what was staged since it began; its keys."""
        return self._without_trial().writes.keys()

    def _without_trial(self) -> Staged:
        tried = self.staged
        assert self._before_trial is not None, "no trial is under way"
        self.staged, self._order = self._before_trial
        self._before_trial = None
        self._arrange()
        return tried

    @property
    def all_written(self) -> bool:
        """Whether the store has everything."""
        return not self.staged.writes and self.closed is None and self.writing is None

    def close_for(self, role: str) -> bool:
        """Let a write-back end here, so that the actor of ``role`` gets a view of the state as it is now.

        False if there is no room: another one is closed already, and what came after it cannot wait behind both. There
        must be something that the store does not have yet.
        """
        if self.staged.writes:
            if self.closed is not None:
                return False
            self.closed = self._close()
            self._arrange()
        last = self.closed or self.writing
        assert last is not None, "a view of all that is written can be had at once"
        last.wanted_by.append(role)
        return True

    def begin_write_back(self) -> None:
        """What is closed is what the write-back writes; if nothing is, all that is staged by now."""
        assert self.writing is None, "a write-back is under way"
        if self.closed is not None:
            self.writing, self.closed = self.closed, None
        elif self.staged.writes:
            self.writing = self._close()
        self._arrange()

    def _close(self) -> Closed:
        """Take all that is staged."""
        size, order = self.staged.size, self._order
        closed = Closed(self.staged.take(), size, order)
        self._order = KeyOrder(self.staged.writes)
        return closed

    def end_write_back(self) -> Closed:
        """It is in the store; what it has written."""
        written, self.writing = self.writing, None
        assert written is not None
        self._arrange()
        return written


class Layers:
    """The writes of one node on their way to its two stores, ``log`` and ``state``."""

    def __init__(self, log: Store, state: Store) -> None:
        self.log = LogLayers(log)
        self.state = StateLayers(state)

    @property
    def undurable_bytes(self) -> int:
        """What waits for the disk, in bytes. What is staged counts only while an earlier write-back is under way."""
        state = self.state
        waiting = state.writing_bytes
        return self.log.undurable_bytes + (waiting + state.staged.size if waiting else 0)

    @property
    def staged_bytes(self) -> int:
        """What waits for a write-back, in bytes of memory."""
        return self.state.staged.size + self.log.staged.size

    def persist(self, key: bytes, value: bytes | None) -> None:
        """Write with the log's next commit: a key of the log."""
        assert key[:1] not in APPLIED_KEYS, "the state is staged, so that a commit has all of a slot or nothing (B29)"
        self.log.persist(key, value)

    def stage(self, key: bytes, value: bytes | None) -> None:
        """Write with a write-back. If it is closed, that of the state goes with the one behind it.

        All in one place, since it is called for every key that is written.
        """
        if key[:1] not in APPLIED_KEYS:
            self.log.staged.put(key, value)
            return
        state = self.state
        staged = state.staged
        writes = staged.writes
        if key in writes or value is None:
            staged.put(key, value)
        else:
            writes[key] = value
            staged.size += KEY_OVERHEAD_BYTES + len(key) + len(value)
        if key in state.read:
            state.forget(key)

    def stage_all(self, pairs: Mapping[bytes, bytes]) -> None:
        """As ``stage``, for many keys of the state."""
        state = self.state
        state.staged.put_all(pairs)
        if not state.read.keys().isdisjoint(pairs):
            for key in state.read.keys() & pairs.keys():
                state.forget(key)

    def load(self, key: bytes) -> bytes | None:
        """The key's newest value."""
        return self.state.load(key) if key[:1] in APPLIED_KEYS else self.log.load(key)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """As ``Turn.find``: keys of the state."""
        return self.state.find(keys)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The newest values of the keys with ``prefix``, which is not empty, from ``start`` on, in key order.

        It looks through all that is staged and pending: for an actor's start, not for the hot path.
        """
        return (self.state if prefix[:1] in APPLIED_KEYS else self.log).scan(prefix, start)

    def scan_page(self, prefix: bytes, after: bytes, count: int, bytes_max: int = maxsize) -> list[tuple[bytes, bytes]]:
        """As ``Turn.scan_page``, whatever waits for the disk: it looks through no more than the page and erased keys.

        What was staged since the last page is sorted first.
        """
        assert prefix[:1] in APPLIED_KEYS, "pages are of the state"
        return self.state.scan_page(prefix, after, count, bytes_max)

    def begin_commit(self, write_back: bool) -> Writes:
        """What the next commit of the log writes. With ``write_back`` one of the state is to follow it."""
        if write_back:
            self.state.begin_write_back()
        return self.log.begin_commit(write_back)

    def install(self, state: Store) -> None:
        """Another generation of the state is in force: nothing that was written or read of the last one counts."""
        self.state = StateLayers(state)


def _scan(layers: tuple[Writes, ...], store: Store, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The newest values in ``layers``, the newest of them first, and ``store`` behind them."""
    written = (
        sorted((key, value) for key, value in layer.items() if key.startswith(prefix) and key >= start)
        for layer in layers
    )
    return newest((*written, store.scan(prefix, start)))
