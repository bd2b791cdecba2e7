"""The sizes of a node's databases are those of their files on disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.surroundings import Sizes
from dkv.node import file_sizes
from dkv.node.file_sizes import FRESH_SECONDS, SHARE, FileSizes, sizes_of
from dkv.storage.data_directory import initialise, open_directory


class FileSizesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.clock = Clock()

    def make(self, name: str, size: int) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * size)

    def test_sums(self) -> None:
        """Log and state apart, each with all of its files; what is not LevelDB's does not count."""
        for name in ("000005.ldb", "000006.log", "MANIFEST-000002", "CURRENT", "LOG", "LOG.old", "LOCK"):
            self.make(name, 10)
        self.make("reserve", 1000)
        self.make("lost+found/000001.ldb", 1000)
        self.make("state-00000001/000007.ldb", 1)
        self.make("state-00000002/000003.log", 2)
        self.assertEqual(sizes_of(str(self.directory)), Sizes(70, 3))

    def test_a_real_directory(self) -> None:
        """Every file that LevelDB makes is known, whichever version of it made the directory."""
        initialise(str(self.directory), "c", 1, [1], bytes(16))
        store, states, _ = open_directory(str(self.directory), "c", 1, lambda call, *words: call(*words), [1])
        self.addCleanup(store.close)
        self.addCleanup(states.close)
        everything = sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())
        sizes = sizes_of(str(self.directory))
        self.assertEqual(sizes.log_bytes + sizes.state_bytes, everything)
        self.assertGreater(min(sizes.log_bytes, sizes.state_bytes), 0)

    def test_not_at_any_rate(self) -> None:
        """Anybody may ask, and a directory may have thousands of files: the node has other things to do."""
        looks: list[str] = []

        def look(directory: str) -> Sizes:
            looks.append(directory)
            self.clock.advance(0.5)
            return Sizes(len(looks), 0)

        self.patch(file_sizes, "sizes_of", look)
        sizes = FileSizes("d", self.clock.seconds)
        self.assertEqual([sizes(), sizes()], [Sizes(1, 0)] * 2)
        self.clock.advance(0.5 / SHARE - 0.1)
        self.assertEqual(sizes(), Sizes(1, 0))
        self.clock.advance(0.2)
        self.assertEqual(sizes(), Sizes(2, 0))

    def test_gone(self) -> None:
        """A disk that cannot be read has no size, and not one of 0; when it is back so is the size."""
        sizes = FileSizes(str(self.directory), self.clock.seconds)
        os.rename(self.directory, f"{self.directory}-moved")
        self.assertIsNone(sizes())
        os.rename(f"{self.directory}-moved", self.directory)
        self.assertIsNone(sizes())
        self.clock.advance(FRESH_SECONDS)
        self.assertEqual(sizes(), Sizes(0, 0))
