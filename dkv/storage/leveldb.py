"""Stores on LevelDB: reads on the caller's thread, commits there or on a thread that does nothing else.

To hand a commit to another thread, and to hear that it is done, costs four changes of thread and about eight system
calls, each with a wait for the interpreter. That is more than a fast disk's whole write. So while the disk is fast,
small commits are made on the caller's thread. After one slow write they go to the other thread again, so a disk that
hangs silences its node for one write at most (docs/adr/0005-commits-in-place.md has the figures).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic, thread_time
from typing import Any

from dkv.keys import LINK
from dkv.storage.binding import plyvel
from dkv.storage.chain import Chain, ChainBroken
from dkv.storage.guard import DirectoryLock
from dkv.storage.seal import DAMAGE_ADVICE, seal, unseal
from dkv.storage.store import RecordCorrupt, StoreFailed

MAX_OPEN_FILES = 200
"""Descriptors that one LevelDB may hold; clients get the rest of the process's limit."""

_KIB = 1024
_MIB = 1024 * _KIB

_OPTIONS = {
    "paranoid_checks": True,  # without it LevelDB cuts a damaged log short, silently, when it opens it
    "max_open_files": MAX_OPEN_FILES,
    "max_file_size": 8 * _MIB,  # so that MAX_OPEN_FILES tables are more than a gigabyte
    "write_buffer_size": 16 * _MIB,  # at times there are two of them
    "bloom_filter_bits": 10,  # for most absent keys the disk is not read
    "compression": None,  # a node runs out of processor before disk, and large values seldom get smaller
}

_DAMAGE = ("Invalid argument", "No such file", "Input/output error")
"""What LevelDB says, beside its own "Corruption", of a file that was cut short, is gone, or cannot be read back."""
_NOT_WRITTEN = "cannot be written"

_BEHIND_LINKS = bytes([LINK[0] + 1])
"""Between the keys of the chain, which nobody sees but the store itself, and all others."""

FAST_SECONDS = 0.002
FAST_WRITES_MIN = 20
HERE_BYTES_MAX = 128 * _KIB
"""A commit of at most this many bytes is made on the caller's thread, while so many writes in a row were that fast."""

ERASED_FEW = 10_000
"""To walk over so many erased keys takes about a millisecond."""

STEP_SECONDS = 0.001  # of the processor: the thread may wait for that, too
WALKS_PUT_OFF = 100  # for so many calls, when a step has taken longer: keys may have been erased before the last start

Done = Callable[[StoreFailed | None], None]
_Job = tuple[Any, Done]


class LevelDBStore:
    """The LevelDB in ``directory``, which only this process may open.

    ``call_from_thread(call, *arguments)`` makes a call on the thread that uses the store; the reactor's
    ``callFromThread`` in production. ``lock`` is the directory's lock if the caller has it; ``close`` releases it. With
    ``in_place`` small commits are made on the caller's thread while the disk is fast.
    ``StoreFailed`` if the directory cannot be opened, ``RecordCorrupt`` if what it holds is damaged.
    """

    def __init__(
        self,
        directory: str,
        call_from_thread: Callable[..., Any],
        *,
        create: bool = False,
        lock: DirectoryLock | None = None,
        in_place: bool = True,
    ) -> None:
        self.directory = directory
        self._in_place = in_place
        self._call_from_thread = call_from_thread
        self._failure: StoreFailed | None = None
        self._fast_writes = 0  # fast writes in a row
        self.commits = 0
        """How many commits were asked for, since it was opened."""
        self.erased = 0
        """How many keys were erased since ``give_back``."""
        self._erased_from = self._erased_to = b""
        self._giving_back: Thread | None = None
        self._walks_put_off = 0
        """For how many calls of ``find`` each key is got."""
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._order = Lock()  # held while a commit is made, from its batch to the end of its write
        if create:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self._lock = lock or DirectoryLock(directory)  # before LevelDB touches anything
        try:
            self._db = plyvel.DB(os.fsencode(directory), create_if_missing=create, error_if_exists=create, **_OPTIONS)
        except (plyvel.Error, OSError) as error:
            self._lock.release()
            raise self._failed("cannot be opened", error) from None
        try:
            self._chain = self._read_chain()
        except StoreFailed:
            self._db.close()
            self._lock.release()
            raise
        # A daemon: a process that ends without close() must not wait for ever on an empty queue.
        self._thread = Thread(target=self._write_jobs, name="dkv-storage", daemon=True)
        self._thread.start()

    def get(self, key: bytes) -> bytes | None:
        """The committed value, or None; ``RecordCorrupt`` if it is damaged, ``StoreFailed`` if it cannot be read."""
        return self.get_from(self._db, key)

    def get_from(self, source: Any, key: bytes) -> bytes | None:
        """The value in ``source``, the database or a snapshot of it; errors as above."""
        try:
            stored = source.get(key, verify_checksums=True)
        except (plyvel.Error, OSError) as error:
            raise self._failed("cannot be read", error) from None
        return None if stored is None else self._unseal(key, stored)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """As ``Store.find``; as a rule by one walk in the order of the keys.

        LevelDB counts the files that it looks at for a ``get``, and merges those that it has looked at often. For keys
        that nobody reads again that is work for nothing, and much of it. But a walk passes erased keys one by one.
        Where there may be many of them, and for a while after a step has taken long, each key is got.
        """
        rest = sorted(keys)
        if self.erased <= ERASED_FEW and not self.giving_back and self._walks_put_off == 0:
            yield from self._walk(rest)  # which takes away what it has passed
        self._walks_put_off = max(0, self._walks_put_off - 1)
        for key in rest:
            yield key, self.get(key)

    def _walk(self, rest: list[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """As ``find``, in order, until a step has taken long: keys that were passed are no more in ``rest``."""
        rest.reverse()
        try:
            with closing(self._db.raw_iterator(verify_checksums=True)) as iterator:
                reached: bytes | None = b""  # the stored key where the walk is; None behind the last one
                while rest and self._walks_put_off == 0:
                    key = rest.pop()
                    if reached is not None and reached < key:
                        begun = thread_time()
                        iterator.seek(key)
                        reached = iterator.key() if iterator.valid() else None
                        if thread_time() - begun > STEP_SECONDS:
                            self._walks_put_off = WALKS_PUT_OFF
                    yield key, self._unseal(key, iterator.value()) if reached == key else None
        except (plyvel.Error, OSError) as error:
            raise self._failed("cannot be read", error) from None

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Committed pairs whose key begins with ``prefix`` and is not below ``start``, in order, as of the first one.

        They are read one by one, so a log need not fit in memory. They stay out of LevelDB's cache, which is for state.
        """
        return self.pairs_of(self._db, max(prefix, start, _BEHIND_LINKS), _end_of(prefix))

    def pairs_of(
        self, source: Any, start: bytes, stop: bytes | None = None, *, include_start: bool = True
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs of ``source``, the database or a snapshot, whose keys are from ``start`` on and below ``stop``."""
        options = {"verify_checksums": True, "fill_cache": False}
        key = start
        try:
            with closing(source.iterator(start=start, stop=stop, include_start=include_start, **options)) as iterator:
                for key, stored in iterator:
                    yield key, self._unseal(key, stored)
            # An iterator of plyvel that meets damage behind its last pair ends as if that were the end of the database.
            with closing(source.raw_iterator(**options)) as iterator:
                iterator.seek(key)
                if iterator.valid():
                    iterator.next()
        except (plyvel.Error, OSError) as error:
            raise self._failed("cannot be read", error) from None

    def view(self) -> LevelDBView:
        """What is committed now, as a snapshot of LevelDB."""
        return LevelDBView(self, self._db.snapshot())

    def commit(self, writes: Mapping[bytes, bytes | None], done: Done) -> None:
        """Write all or nothing with one fsync, then call ``done`` on the caller's thread, now or later."""
        assert self._thread.is_alive(), "a commit after close() would never end"
        self._order.acquire()  # no other is under way, but it may have a moment to go
        batch = self._batch(writes)
        if self._in_place and self._fast_writes >= FAST_WRITES_MIN and batch.approximate_size() <= HERE_BYTES_MAX:
            self._write(batch)
            self._order.release()
            done(self._failure)
        else:
            self._queue.put((batch, done))

    def commit_now(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Commit on the calling thread: for writes that must be on disk before a node starts, or when it ends.

        It waits for a commit that is under way on the other thread: their links must follow each other.
        """
        with self._order:
            self._write(self._batch(writes))
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Wait for a commit under way, then release the directory; a second call does nothing."""
        self._queue.put(None)
        self._thread.join()  # closing LevelDB while a thread is inside it crashes the process
        if self._giving_back is not None:
            self._giving_back.join()
        with self._order:  # a fence may be under way on a thread of its own
            self._db.close()
        self._lock.release()

    def _read_chain(self) -> Chain:
        try:
            return Chain([key for key, _ in self.pairs_of(self._db, LINK, _BEHIND_LINKS)])
        except ChainBroken as error:
            raise RecordCorrupt(f"{self.directory} is damaged: {error}. {DAMAGE_ADVICE}") from None

    def _batch(self, writes: Mapping[bytes, bytes | None]) -> Any:
        """The batch, built on the caller's thread: on the other, each call into plyvel may wait for the interpreter."""
        batch = self._db.write_batch(sync=True)
        self.commits += 1
        for key, value in writes.items():
            if value is None:
                batch.delete(key)
                self._note_erased(key)
            else:
                batch.put(key, seal(key, value))
        link, before = self._chain.next()
        batch.put(link, seal(link, b""))
        batch.delete(before)
        return batch

    def _note_erased(self, key: bytes) -> None:
        self._erased_from = min(self._erased_from, key) if self.erased else key
        self._erased_to = max(self._erased_to, key)
        self.erased += 1

    @property
    def giving_back(self) -> bool:
        """Whether a merge that ``give_back`` began is under way."""
        return self._giving_back is not None and self._giving_back.is_alive()

    def give_back(self) -> None:
        """Let LevelDB merge the range in which keys were erased, so that they take no room; nothing if it is at that.

        It is done on a thread of its own: commits go on meanwhile.
        """
        if self.giving_back:
            return
        bounds = (self._erased_from, self._erased_to + b"\0")
        self.erased, self._erased_from, self._erased_to = 0, b"", b""
        self._giving_back = Thread(target=self._merge, args=bounds, name="dkv-give-back", daemon=True)
        self._giving_back.start()

    def _merge(self, start: bytes, stop: bytes) -> None:
        for _ in range(2):  # the first one writes what is in memory into a table, which it does not merge
            self._db.compact_range(start=start, stop=stop)

    def _write_jobs(self) -> None:
        while (job := self._queue.get()) is not None:
            batch, done = job
            self._write(batch)
            self._order.release()
            self._call_from_thread(done, self._failure)

    def _write(self, batch: Any) -> None:
        """Write, unless an earlier write failed: LevelDB would go on in a log that it cannot read back."""
        if self._failure is not None:
            return
        began = monotonic()
        try:
            batch.write()
            self._fast_writes = self._fast_writes + 1 if monotonic() - began < FAST_SECONDS else 0
        except Exception as error:  # after any error the commit is not known to be on disk
            self._failure = self._failed(_NOT_WRITTEN, error)

    def _unseal(self, key: bytes, stored: bytes) -> bytes:
        try:
            return unseal(key, stored)
        except RecordCorrupt as error:
            raise RecordCorrupt(f"{self.directory}: {error}") from None

    def _failed(self, what: str, error: Exception) -> StoreFailed:
        """dkv's own error for one of LevelDB's, whose text comes as bytes."""
        reason = error.args[0] if error.args else type(error).__name__
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(error)
        lost = what != _NOT_WRITTEN and any(each in text for each in _DAMAGE)
        if lost or isinstance(error, plyvel.CorruptionError):
            return RecordCorrupt(f"{self.directory} is damaged: {text}. {DAMAGE_ADVICE}")
        return StoreFailed(f"{self.directory} {what}: {text}")


class LevelDBView:
    """One moment of a LevelDB. A view that is open keeps what is overwritten since on disk."""

    def __init__(self, store: LevelDBStore, snapshot: Any) -> None:
        self._store = store
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        """The value at that moment; errors as for ``LevelDBStore.get``."""
        return self._store.get_from(self._snapshot, key)

    def read(self, after: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The pairs behind key ``after``, up to ``bytes_max`` bytes, one at least; none at the end."""
        found: list[tuple[bytes, bytes]] = []
        size = 0
        for key, value in self._store.pairs_of(self._snapshot, max(after, _BEHIND_LINKS), include_start=False):
            size += len(key) + len(value)
            if found and size > bytes_max:
                break
            found.append((key, value))
        return found

    def close(self) -> None:
        """Forget that moment; a second call does nothing."""
        self._snapshot.close()


def _end_of(prefix: bytes) -> bytes | None:
    """The first key after all that begin with ``prefix``; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
