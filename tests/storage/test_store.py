"""What every Store promises: LevelDB's and the one in memory that other tests stand on, by the same tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import STATE, record_key
from dkv.sim.memory import MemoryStore
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import Store, StoreFailed

WAIT_SECONDS = 30.0


class Calls:
    """Stands for the reactor: calls that another thread handed over, made when the test says so."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def put(self, call: Callable[..., Any], *arguments: Any) -> None:
        """What the store is given for ``callFromThread``."""
        self._waiting.put((call, arguments))

    def make_next(self) -> None:
        """Wait for a call and make it."""
        call, arguments = self._waiting.get(timeout=WAIT_SECONDS)
        call(*arguments)


class StoreContract:
    """The tests; ``store`` is the one under test, and ``finish`` lets its commit under way end."""

    store: Store
    finish: Callable[[], None]
    assertEqual: Any
    assertIsNone: Any

    def commit(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Commit and see it acknowledged."""
        outcomes: list[StoreFailed | None] = []
        self.store.commit(writes, outcomes.append)
        self.assertEqual(outcomes, [])
        self.finish()
        self.assertEqual(outcomes, [None])

    def test_reads_what_was_committed(self) -> None:
        """A node must find what it promised, and nothing where it wrote nothing."""
        self.commit({b"P": b"one", STATE + b"k": b"", record_key(1): b"r"})
        self.assertEqual(self.store.get(b"P"), b"one")
        self.assertEqual(self.store.get(STATE + b"k"), b"")
        self.assertEqual(self.store.get(record_key(1)), b"r")
        self.assertIsNone(self.store.get(b"C"))

    def test_finds_many(self) -> None:
        """Whatever their order: a key that was taken for absent would be counted twice."""
        self.commit({STATE + b"%02d" % number: b"%d" % number for number in range(0, 50, 2)})
        self.commit({STATE + b"04": None, STATE + b"06": b"another"})
        keys = [STATE + b"%02d" % number for number in (48, 49, 50, 7, 6, 5, 4, 0)]
        keys += [STATE, STATE + b"zzz"]
        self.assertEqual(dict(self.store.find(keys)), {key: self.store.get(key) for key in keys})
        self.assertEqual([self.store.get(key) for key in keys[4:7]], [b"another", None, None])
        self.assertEqual([*self.store.find([])], [])

    def test_a_later_commit_replaces_and_erases(self) -> None:
        """A deleted key must stay deleted, and a mark must not fall back."""
        self.commit({STATE + b"a": b"1", STATE + b"b": b"1"})
        self.commit({STATE + b"a": None, STATE + b"b": b"2", STATE + b"never": None})
        self.assertIsNone(self.store.get(STATE + b"a"))
        self.assertEqual(list(self.store.scan(STATE)), [(STATE + b"b", b"2")])

    def test_scans_in_key_order_within_the_prefix(self) -> None:
        """The log must come back in slot order, whatever order it was written in, and nothing else with it."""
        slots = [300, 2, 1, 255, 256]
        self.commit({record_key(slot): b"%d" % slot for slot in slots} | {b"Q": b"above", b"P": b"below"})
        self.assertEqual(
            list(self.store.scan(b"R")), [(record_key(slot), b"%d" % slot) for slot in (1, 2, 255, 256, 300)]
        )

    def test_scans_from_a_start(self) -> None:
        """A report of what was accepted above a mark must leave out nothing and repeat nothing."""
        self.commit({record_key(slot): b"x" for slot in (1, 2, 3)} | {b"S": b"y"})
        self.assertEqual([key for key, _ in self.store.scan(b"R", record_key(2))], [record_key(2), record_key(3)])
        self.assertEqual([key for key, _ in self.store.scan(b"R", b"A")], [record_key(1), record_key(2), record_key(3)])
        self.assertEqual(list(self.store.scan(b"R", record_key(4))), [])

    def test_scans_prefixes_at_the_end_of_the_keyspace(self) -> None:
        """Keys of 0xff bytes are keys like others."""
        self.commit({b"\xff\xff": b"1", b"\xff\xffz": b"2", b"\xfe": b"3"})
        self.assertEqual([value for _, value in self.store.scan(b"\xff\xff")], [b"1", b"2"])
        self.assertEqual([value for _, value in self.store.scan(b"\xfe")], [b"3"])
        self.assertEqual([value for _, value in self.store.scan(b"")], [b"3", b"1", b"2"])

    def test_a_scan_does_not_see_later_commits(self) -> None:
        """What is applied while a scan runs must not make it skip or repeat keys."""
        self.commit({STATE + b"a": b"1", STATE + b"b": b"1"})
        scan = self.store.scan(STATE)
        self.assertEqual(next(scan), (STATE + b"a", b"1"))
        self.commit({STATE + b"b": None, STATE + b"c": b"2"})
        self.assertEqual(list(scan), [(STATE + b"b", b"1")])


class LevelDBStoreContractTests(StoreContract, SynchronousTestCase):
    def setUp(self) -> None:
        calls = Calls()
        store = LevelDBStore(self.mktemp(), calls.put, create=True)
        self.addCleanup(store.close)
        self.store, self.finish = store, calls.make_next


class MemoryStoreContractTests(StoreContract, SynchronousTestCase):
    def setUp(self) -> None:
        store = MemoryStore()
        self.store, self.finish = store, store.complete

    def test_a_crash_loses_the_commit_under_way_and_no_other(self) -> None:
        """Tests of crashes would prove nothing if the memory kept what was never durable."""
        self.commit({b"P": b"1"})
        outcomes: list[StoreFailed | None] = []
        store = self.store
        assert isinstance(store, MemoryStore)
        store.commit({b"P": b"2"}, outcomes.append)
        store.crash()
        self.assertEqual((store.get(b"P"), outcomes, store.committing), (b"1", [], False))

    def test_after_a_failure_every_commit_fails(self) -> None:
        """The host must meet in tests what the real store does."""
        outcomes: list[StoreFailed | None] = []
        store = self.store
        assert isinstance(store, MemoryStore)
        store.commit({b"P": b"1"}, outcomes.append)
        store.fail()
        store.commit({b"P": b"2"}, outcomes.append)
        store.complete()
        self.assertEqual([type(each) for each in outcomes], [StoreFailed, StoreFailed])
        self.assertIsNone(store.get(b"P"))

    def test_auto_commits_at_once(self) -> None:
        """A test that does not care about the disk need not drive it."""
        outcomes: list[StoreFailed | None] = []
        store = MemoryStore(auto=True)
        store.commit({b"P": b"1"}, outcomes.append)
        self.assertEqual((outcomes, store.get(b"P")), ([None], b"1"))
