"""LevelDB under the Store: what it must do when disks fail, bytes rot, or a process ends."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import LINK, PROMISE, STATE, pack_number, record_key
from dkv.storage import leveldb
from dkv.storage.binding import plyvel
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import RecordCorrupt, StoreFailed
from tests.integration.processes import wait_until
from tests.storage.test_store import Calls


def flip_a_bit(path: Path, offset: int) -> None:
    """Damage a file in place."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


class LevelDBStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.calls = Calls()
        self.outcomes: list[StoreFailed | None] = []

    def open(self, create: bool = False) -> LevelDBStore:
        """The store in the test's directory, closed at the end whatever happens."""
        store = LevelDBStore(self.directory, self.calls.put, create=create)
        self.addCleanup(store.close)
        return store

    def commit(self, store: LevelDBStore, writes: Mapping[bytes, bytes | None]) -> StoreFailed | None:
        """Commit, wait, and return how it ended."""
        store.commit(writes, self.outcomes.append)
        self.calls.make_next()
        return self.outcomes.pop()

    def test_done_is_called_where_the_store_is_used(self) -> None:
        """Actors run on one thread: an answer on the storage thread would race with them."""
        threads = []
        store = self.open(create=True)
        store.commit({PROMISE: b"1"}, lambda failure: threads.append(current_thread()))
        self.calls.make_next()
        self.assertEqual(threads, [main_thread()])

    def test_commits_are_synced_and_written_by_one_call_on_the_storage_thread(self) -> None:
        """An unsynced write is lost with the power; a second call into plyvel costs milliseconds on a busy node."""
        made: list[tuple[str, bool]] = []
        store = self.open(create=True)
        database = store._db

        class Watched:
            def write_batch(self, **options: Any) -> Any:
                made.append((f"write_batch {options}", current_thread() is main_thread()))
                batch = database.write_batch(**options)

                class WatchedBatch:
                    def __getattr__(self, name: str) -> Any:
                        made.append((name, current_thread() is main_thread()))
                        return getattr(batch, name)

                return WatchedBatch()

        store._db = Watched()
        self.commit(store, {PROMISE: b"1", b"C": None})
        store._db = database
        calls = ["put", "delete", "put", "delete"]  # the caller's, and the chain's
        built = [("write_batch {'sync': True}", True), *((call, True) for call in calls)]
        self.assertEqual(made, [*built, ("write", False)])

    def test_small_commits_to_a_fast_disk_are_made_at_once(self) -> None:
        """Two threads that hand over to each other cost more than such a write takes."""
        self.patch(leveldb, "FAST_SECONDS", 60.0)
        store = self.open(create=True)
        for _ in range(leveldb.FAST_WRITES_MIN):
            store.commit({PROMISE: b"1"}, self.outcomes.append)
            self.assertEqual(self.outcomes, [], "nothing is known of the disk yet")
            self.calls.make_next()
            self.outcomes.clear()
        store.commit({PROMISE: b"now"}, self.outcomes.append)
        self.assertEqual((self.outcomes, store.get(PROMISE)), ([None], b"now"))
        self.outcomes.clear()
        store.commit({PROMISE: bytes(leveldb.HERE_BYTES_MAX + 1)}, self.outcomes.append)
        self.assertEqual(self.outcomes, [], "a large one keeps the node from its work wherever it goes")
        self.calls.make_next()
        self.assertEqual(self.outcomes, [None])

    def test_one_slow_write_sends_commits_back_to_the_thread(self) -> None:
        """A disk that hangs must not keep the node from talking for longer than once."""
        self.patch(leveldb, "FAST_SECONDS", 60.0)
        store = self.open(create=True)
        for _ in range(leveldb.FAST_WRITES_MIN):
            self.commit(store, {PROMISE: b"1"})
        self.patch(leveldb, "FAST_SECONDS", 0.0)
        store.commit({PROMISE: b"2"}, self.outcomes.append)
        self.assertEqual(self.outcomes.pop(), None)
        store.commit({PROMISE: b"3"}, self.outcomes.append)
        self.assertEqual(self.outcomes, [])
        self.calls.make_next()
        self.assertEqual((self.outcomes, store.get(PROMISE)), ([None], b"3"))

    def test_a_commit_made_at_once_that_fails_is_the_last(self) -> None:
        """What comes after it would go into a log that cannot be read back."""
        self.patch(leveldb, "FAST_SECONDS", 60.0)
        store = self.open(create=True)
        for _ in range(leveldb.FAST_WRITES_MIN):
            self.commit(store, {PROMISE: b"1"})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            store.commit({PROMISE: b"2"}, self.outcomes.append)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store.commit({PROMISE: b"3"}, self.outcomes.append)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [StoreFailed, StoreFailed])
        self.assertEqual(store.get(PROMISE), b"1")

    def test_close_waits_for_the_commit_under_way(self) -> None:
        """LevelDB closed while a thread is inside crashes the process; what was handed over is written first."""
        store = self.open(create=True)
        store.commit({PROMISE: b"1" * 1_000_000}, self.outcomes.append)
        store.close()
        self.calls.make_next()
        self.assertEqual(self.outcomes, [None])
        self.assertEqual(self.open().get(PROMISE), b"1" * 1_000_000)

    def test_close_twice(self) -> None:
        """A node that fails while it stops must still stop."""
        store = self.open(create=True)
        store.close()
        store.close()

    def test_after_a_failed_write_every_commit_fails(self) -> None:
        """LevelDB goes on into a log that it cannot read back: acknowledged writes would vanish at the next start."""
        store = self.open(create=True)
        self.assertIsNone(self.commit(store, {PROMISE: b"1"}))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            failure = self.commit(store, {PROMISE: b"2" * 100_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertIsInstance(failure, StoreFailed)
        self.assertIn("cannot be written: IO error", str(failure))
        self.assertIs(self.commit(store, {PROMISE: b"3"}), failure)
        self.assertRaises(StoreFailed, store.commit_now, {PROMISE: b"4"})
        self.assertEqual(store.get(PROMISE), b"1")

    def test_an_unforeseen_error_is_a_failed_commit(self) -> None:
        """A storage thread that dies in silence would leave a node that acknowledges nothing and never says why."""

        class Broken:
            def put(self, key: bytes, value: bytes) -> None:
                pass

            def write(self) -> None:
                raise MemoryError("no memory")

        store = self.open(create=True)
        self.patch(store, "_batch", lambda writes: Broken())
        failure = self.commit(store, {PROMISE: b"1"})
        self.assertIn("no memory", str(failure))

    def test_a_damaged_value_is_an_error_with_advice(self) -> None:
        """A promise that was damaged outside LevelDB's sight must stop the node, not change its mind."""
        store = self.open(create=True)
        store.commit_now({record_key(7): b"accepted", PROMISE: b"p"})
        store.close()
        database = plyvel.DB(self.directory)
        database.put(record_key(7), b"\0\0\0\0accepted")
        database.close()
        store = self.open()
        self.assertEqual(store.get(PROMISE), b"p")
        for read in (lambda: store.get(record_key(7)), lambda: list(store.scan(b"R"))):
            error = self.assertRaises(RecordCorrupt, read)
            self.assertIn(f"{self.directory}: the record of slot 7", str(error))
            self.assertIn("must not vote", str(error))

    def test_a_damaged_table_is_an_error(self) -> None:
        """Applied state has no checksum of its own: LevelDB's must be checked, or a wrong value is served."""
        store = self.open(create=True)
        store.commit_now({STATE + b"%06d" % number: os.urandom(100) for number in range(5_000)})
        store._db.compact_range()
        store.close()
        (table,) = Path(self.directory).glob("*.ldb")
        flip_a_bit(table, 20_000)
        store = self.open()
        self.assertRaises(RecordCorrupt, store.get, STATE + b"000160")
        self.assertRaises(RecordCorrupt, list, store.scan(STATE))
        for keys in ([b"000160"], [b"000000", b"000160", b"004000"], [b"000160x"]):  # a key that is there, or is not
            self.assertRaises(RecordCorrupt, list, store.find([STATE + key for key in keys]))
        self.assertNotIn(None, dict(store.find([STATE + b"000000", STATE + b"004000"])).values())

    def test_damage_at_the_end_of_a_scan(self) -> None:
        """plyvel takes it for the end of the database: a peer would get a snapshot without the last keys."""
        store = self.open(create=True)
        store.commit_now({STATE + b"%06d" % number: b"a value " * 16 for number in range(5_000)})
        store._db.compact_range()
        store.close()
        (table,) = Path(self.directory).glob("*.ldb")
        flip_a_bit(table, table.read_bytes().rindex(b"a value "))
        store = self.open()
        self.assertRaises(RecordCorrupt, list, store.scan(STATE))
        self.assertRaises(RecordCorrupt, list, store.scan(STATE, STATE + b"004999"))
        self.assertRaises(RecordCorrupt, list, store.find([STATE + b"004999"]))
        self.assertRaises(RecordCorrupt, store.view().read, STATE + b"004900", 1_000_000)
        self.assertEqual(len(store.view().read(b"", 1_000)), 7)  # as long as it is not met

    def test_a_search_passes_no_erased_keys(self) -> None:
        """A walk over 100,000 of them for each key would hold a node, and all nodes in the same slot."""
        names = [STATE + b"%06d" % number for number in range(2_000)]
        store = self.open(create=True)
        store.commit_now(dict.fromkeys(names, b"v"))
        wanted = [STATE + b"000000", STATE + b"000900", STATE + b"001999", STATE + b"none"]
        expected = dict.fromkeys(wanted[:3], b"v") | {wanted[3]: None}
        got: list[bytes] = []
        get = store.get

        def noted(key: bytes) -> bytes | None:
            got.append(key)
            return get(key)

        self.patch(store, "get", noted)
        self.assertEqual((dict(store.find(wanted)), got), (expected, []))
        self.patch(leveldb, "STEP_SECONDS", -1.0)  # each step takes long: the rest is got, and then all for a while
        self.assertEqual((dict(store.find(wanted)), sorted(got)), (expected, wanted[1:]))
        got.clear()
        for _ in range(leveldb.WALKS_PUT_OFF - 1):
            self.assertEqual(dict(store.find(wanted)), expected)
        self.patch(leveldb, "STEP_SECONDS", 60.0)
        self.assertEqual(len(got), len(wanted) * (leveldb.WALKS_PUT_OFF - 1))
        got.clear()
        self.assertEqual((dict(store.find(wanted)), got), (expected, []))
        self.patch(leveldb, "ERASED_FEW", 5)
        store.commit_now(dict.fromkeys(names[1:10]))
        self.assertEqual((dict(store.find(wanted)), got), (expected, wanted))

    def test_a_table_that_cannot_be_opened(self) -> None:
        """LevelDB finds out when a scan begins, and not at its start: that too is an error of the store's."""
        store = self.open(create=True)
        store.commit_now({STATE + b"%06d" % number: os.urandom(100) for number in range(5_000)})
        store._db.compact_range()
        store.close()
        (table,) = Path(self.directory).glob("*.ldb")
        os.truncate(table, 30_000)
        error = self.assertRaises(RecordCorrupt, self.open)
        self.assertIn("is damaged: IO error", str(error))
        self.assertIn("must not vote", str(error))

    def test_a_manifest_that_lost_its_end(self) -> None:
        """A flipped bit in the length of its last record, and LevelDB forgets a table, with what later logs rest on."""
        with patch.dict(leveldb._OPTIONS, write_buffer_size=64 * 1024):
            store = self.open(create=True)
            store.commit_now({PROMISE: b"1"})
            store.close()
            store = self.open()
            (manifest,) = Path(self.directory).glob("MANIFEST-*")
            size = manifest.stat().st_size
            while manifest.stat().st_size == size:  # until a table was made: its log is gone then
                for number in range(40):
                    store.commit_now({STATE + b"%06d" % number: os.urandom(1_000)})
            store.close()
            os.truncate(manifest, manifest.stat().st_size - 1)
            error = self.assertRaises(RecordCorrupt, self.open)
        # LevelDB may have made a second table meanwhile, on its own thread; then it is that one which it forgets.
        self.assertRegex(str(error), r"is damaged: its commits after number \d+ are lost")
        self.assertIn("must not vote", str(error))

    def test_the_chain_is_nobody_elses(self) -> None:
        """Its links are no part of what others store, and views of a state go to other nodes."""
        store = self.open(create=True)
        store.commit_now({STATE: b"1"})
        store.commit({STATE: b"2"}, self.outcomes.append)
        store.commit_now({PROMISE: b"3"})
        self.assertEqual(list(store.scan(b"")), [(PROMISE, b"3"), (STATE, b"2")])
        self.assertEqual(store.view().read(b"", 1_000), [(PROMISE, b"3"), (STATE, b"2")])
        store.close()
        self.open()

    def test_whatever_the_name_of_the_chain(self) -> None:
        """Names are random: one in 256 begins with the highest byte there is."""
        for name in (bytes(8), b"\xff" * 8):
            self.directory = self.mktemp()
            with patch("os.urandom", return_value=name):
                store = self.open(create=True)
            store.commit_now({PROMISE: b"3"})
            self.assertEqual(list(store.scan(b"")), [(PROMISE, b"3")])
            self.assertEqual(store.view().read(b"", 1_000), [(PROMISE, b"3")])
            store.close()
            again = self.open()
            self.assertEqual(again._chain.next()[0], LINK + name + pack_number(2), "the chain goes on")
            again.close()

    def test_a_damaged_log_is_not_opened(self) -> None:
        """LevelDB would cut its log short in silence, and with it what the node had promised."""
        store = self.open(create=True)
        for number in range(100):
            store.commit_now({record_key(number): b"x" * 1_000})
        store.close()
        (log,) = Path(self.directory).glob("*.log")
        flip_a_bit(log, 5_000)
        error = self.assertRaises(RecordCorrupt, self.open)
        self.assertIn("is damaged: Corruption: checksum mismatch", str(error))

    def test_errors_of_opening_name_the_directory(self) -> None:
        """One node of three that cannot open its directory must say which."""
        self.open(create=True).close()
        (current,) = Path(self.directory).glob("CURRENT")
        current.unlink()
        current.mkdir()
        error = self.assertRaises(StoreFailed, self.open)
        self.assertIn(f"{self.directory} cannot be opened: IO error", str(error))


class GiveBackTests(SynchronousTestCase):
    """Erased keys give their room back."""

    def size(self, directory: str) -> int:
        total = 0
        for path in Path(directory).iterdir():
            with contextlib.suppress(FileNotFoundError):  # LevelDB has just removed it
                total += path.stat().st_size
        return total

    def test_what_was_erased_takes_no_room(self) -> None:
        """Other keys stay, also those that are written meanwhile; and the store can be closed at any time."""
        directory = self.mktemp()
        store = LevelDBStore(directory, lambda call, *arguments: call(*arguments), create=True)
        self.addCleanup(store.close)
        for start in range(0, 300, 100):
            store.commit_now({STATE + b"%03d" % number: os.urandom(100_000) for number in range(start, start + 100)})
        store.commit_now({STATE + b"%03d" % number: None for number in range(10, 290)})
        before = self.size(directory)
        self.assertEqual(store.erased, 280)
        store.give_back()
        self.assertEqual(store.erased, 0)
        store.commit_now({STATE + b"100": b"new"})
        wait_until(lambda: self.size(directory) < before / 5, 30.0, "the room is given back")
        wait_until(lambda: not store.giving_back, 30.0, "it has ended")
        self.assertEqual(len(list(store.scan(STATE))), 21)
        store.commit_now({STATE + b"100": None})
        store.give_back()
        store.give_back()  # one is at work, perhaps
