"""The disk of one of three nodes in a program is really full: LevelDB is closed after a failed write, and opened again
in the same process. Only root may mount a file system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import SkipTest

from dkv.settings import MIB
from dkv.storage.room import room_of
from tests.integration.embedded import EmbeddedTestCase, until

DISK_BYTES = 64 * MIB
VALUE = "v" * (MIB // 2)


def contents(directory: Path) -> dict[str, tuple[int, int]]:
    """The size and the time of the last write of each file of a node's log that LevelDB writes records to."""
    found: Iterable[Path] = [*directory.glob("*.log"), *directory.glob("MANIFEST-*")]
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


class FullDiskTests(EmbeddedTestCase):
    top: ClassVar[dict[str, Any]] = {"limits": {"disk_free_bytes_min": 0, "disk_reserve_bytes": 0}}

    def place(self) -> dict[int, Path]:
        """Node 2 has a disk of its own."""
        if os.geteuid() != 0:
            raise SkipTest("only root may mount a file system")
        disk = self.directory / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "dkv-test", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        self.filler = disk / "of-others"
        return super().place() | {2: disk / "data"}

    def fill(self) -> None:
        """A file of somebody else takes what is left."""
        with self.filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room_of(str(self.filler.parent)).free_bytes)

    @inlineCallbacks
    def test_closed_and_opened_again(self) -> Any:
        """Nothing is written behind what failed. When there is room again, the same service starts on the directory,
        holds all that was acknowledged, and catches up."""
        yield self.start_all()
        yield self.put(2, "before", "1")
        node: Any = self.nodes[2]
        store, left = node._node._store, {}
        close = store.close

        def look_and_close() -> None:
            left.update(contents(self.paths[2]))
            close()

        self.patch(store, "close", look_and_close)
        self.fill()
        yield self.put(1, "large", VALUE)
        error = yield self.nodes[2].whenFailed()
        self.assertIn("cannot be written", error.reason)
        self.assertFalse(error.fenced)
        self.assertTrue(left)
        self.assertEqual(contents(self.paths[2]), left, "as it was when the write failed")
        yield self.nodes[2].stopService()
        self.filler.unlink()
        yield self.put(3, "after", "1")
        for _ in range(2):
            yield self.nodes[2].startService()
            yield self.nodes[2].whenStarted()
            yield self.put(2, "again", "1")
            for key, value in (("before", "1"), ("large", VALUE), ("after", "1"), ("again", "1")):
                found = yield self.call(2, "GET", key)
                self.assertEqual(found, value.encode())
            yield self.nodes[2].stopService()
        yield until(lambda: not self.threads_of_disk(), 10.0, "its threads have ended")

    def threads_of_disk(self) -> list[str]:
        """The threads that close or erase something."""
        return [name for name in self.threads() if name in ("dkv-close", "dkv-erase", "dkv-give-back")]
