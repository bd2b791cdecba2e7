"""Reading a database that must stay as it is: LevelDB itself would write into it."""

from __future__ import annotations

import os
import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.binding import plyvel
from dkv.storage.lookalike import lookalike, next_file_number
from dkv.storage.store import RecordCorrupt

KEYS = 2_000


def everything(directory: Path) -> dict[str, tuple[bytes, int, int]]:
    """Each file's bytes, and the times of its last change and of that of its inode; and those of the directory."""
    found = {path.name: (path.read_bytes(), _times(path)) for path in directory.iterdir() if path.is_file()}
    return {name: (data, *times) for name, (data, times) in found.items()} | {".": (b"", *_times(directory))}


def _times(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns


def read(path: str) -> dict[bytes, bytes]:
    """All pairs, read by LevelDB, which checks what it reads."""
    database = plyvel.DB(path, paranoid_checks=True)
    try:
        return dict(database.iterator(verify_checksums=True))
    finally:
        database.close()


class LookalikeTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A database with tables of several levels, and a log that is not sorted yet."""
        self.directory = Path(self.mktemp())
        database = plyvel.DB(str(self.directory), create_if_missing=True, write_buffer_size=64 * 1024)
        chance = random.Random(1)
        self.pairs = {}
        for _ in range(12):
            for number in range(KEYS):
                key, value = b"%d" % number, chance.randbytes(30)
                database.put(key, value)
                self.pairs[key] = value
        database.close()

    def test_same_contents_and_no_trace(self) -> None:
        """What an inquiry looks at is what the node left, and the look leaves no trace, not even a time."""
        before = everything(self.directory)
        with lookalike(str(self.directory)) as copy:
            self.assertEqual(read(copy), self.pairs)
            linked = [name for name in os.listdir(copy) if os.path.islink(os.path.join(copy, name))]
            self.assertTrue(linked, "tables are large: they are not copied")
        self.assertEqual(everything(self.directory), before)
        self.assertFalse(os.path.exists(copy))

    def test_table_of_a_crash(self) -> None:
        """A table that the manifest does not know has a number that LevelDB gives again: it would be written over."""
        manifest = next(self.directory.glob("MANIFEST-*")).read_bytes()
        number = next_file_number(manifest)
        for each in range(number, number + 5):
            (self.directory / f"{each:06d}.ldb").write_bytes(b"half a table")
        before = everything(self.directory)
        with lookalike(str(self.directory)) as copy:
            self.assertEqual(read(copy), self.pairs)
        self.assertEqual(everything(self.directory), before)

    def test_damaged_manifest(self) -> None:
        """A damaged manifest is damage, and no internal error, wherever it is cut or changed."""
        path = next(self.directory.glob("MANIFEST-*"))
        whole = path.read_bytes()
        for offset in range(0, len(whole), max(len(whole) // 60, 1)):
            path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x55]) + whole[offset + 1 :])
            try:
                with lookalike(str(self.directory)):
                    pass  # what is not noticed here LevelDB notices: it has checksums
            except RecordCorrupt as error:
                self.assertIn(str(self.directory), str(error))

    def test_no_manifest(self) -> None:
        """A directory that lost its manifest is damaged."""
        next(self.directory.glob("MANIFEST-*")).unlink()
        context = lookalike(str(self.directory))
        self.assertIn("names no manifest", str(self.assertRaises(RecordCorrupt, context.__enter__)))
