"""The fence is written, or the node hears that it was not: it ends either way, whatever the disk does."""

from __future__ import annotations

import threading

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import FENCE
from dkv.sim.memory import MemoryStore
from dkv.storage import fence
from dkv.storage.fence import fence_of, write_fence
from dkv.storage.store import StoreFailed


class FenceTests(SynchronousTestCase):
    def test_written(self) -> None:
        """The next start reads why."""
        store = MemoryStore(auto=True)
        self.assertIsNone(fence_of(store))
        write_fence(lambda writes: store.commit(writes, lambda _: None), "slot 7 differs")
        self.assertEqual(fence_of(store), "slot 7 differs")

    def test_refused(self) -> None:
        """What the disk says reaches the operator."""

        def commit_now(writes: dict[bytes, bytes]) -> None:
            raise StoreFailed(f"no room for {sorted(writes)}")

        error = self.assertRaises(StoreFailed, write_fence, commit_now, "why")
        self.assertEqual(str(error), f"no room for {[FENCE]}")

    def test_a_disk_that_hangs(self) -> None:
        """The process must end: neither the call nor the thread that it leaves behind may keep it."""
        self.patch(fence, "FENCE_SECONDS", 0.01)
        hangs = threading.Event()
        self.addCleanup(hangs.set)
        error = self.assertRaises(StoreFailed, write_fence, lambda _: self.assertTrue(hangs.wait(10.0)), "why")
        self.assertIn("may yet", str(error))
        (thread,) = [each for each in threading.enumerate() if each.name == "dkv-fence"]
        self.addCleanup(thread.join)
        self.addCleanup(hangs.set)
        self.assertTrue(thread.daemon, "Python waits at its end for any other thread")
