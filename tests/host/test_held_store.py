"""Commits that are held back on order: none is lost, and none is early."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.host.held_store import HeldStore
from dkv.sim.memory import MemoryStore
from dkv.storage.store import StoreFailed


class HeldStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.behind = MemoryStore(auto=True)
        self.store = HeldStore(self.behind, self.clock)
        self.done: list[StoreFailed | None] = []

    def commit(self, value: bytes) -> None:
        """Write the one key."""
        self.store.commit({b"k": value}, self.done.append)

    def test_without_an_order(self) -> None:
        """A node whose config allows faults is a node like any other."""
        self.commit(b"1")
        self.assertEqual((self.store.get(b"k"), self.done, self.store.seconds_left), (b"1", [None], 0))
        self.assertEqual(list(self.store.scan(b"k")), [(b"k", b"1")])

    def test_held(self) -> None:
        """The commit ends when the order does, and not a moment before."""
        self.store.hold(5.0)
        self.commit(b"1")
        self.clock.advance(4.5)
        self.assertEqual((self.store.get(b"k"), self.done, self.store.seconds_left), (None, [], 0.5))
        self.clock.advance(0.5)
        self.assertEqual((self.store.get(b"k"), self.done, self.store.seconds_left), (b"1", [None], 0))
        self.commit(b"2")
        self.assertEqual(self.store.get(b"k"), b"2")

    def test_taken_back(self) -> None:
        """Who has seen enough need not wait."""
        self.store.hold(5.0)
        self.commit(b"1")
        self.store.release()
        self.assertEqual((self.store.get(b"k"), self.done, self.clock.getDelayedCalls()), (b"1", [None], []))

    def test_prolonged(self) -> None:
        """The last order counts."""
        self.store.hold(1.0)
        self.commit(b"1")
        self.store.hold(5.0)
        self.clock.advance(4.9)
        self.assertEqual(self.done, [])
        self.clock.advance(0.1)
        self.assertEqual(self.done, [None])
