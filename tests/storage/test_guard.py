"""The guard of a data directory: one process at a time, whatever became of LevelDB's LOCK, and no other user."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage.data_directory import DirectoryError, initialise, open_directory
from dkv.storage.guard import DirectoryLock, DirectoryLocked, narrow
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.store import StoreFailed


def modes(directory: Path) -> set[int]:
    """The modes of a directory and of all that is in it."""
    return {stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())}


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes of every file, and when they were last written."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.rglob("*") if path.is_file()}


class GuardTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())

    def open(self) -> LevelDBStore:
        store, states, _ = open_directory(str(self.directory), "c", 1, print)
        self.addCleanup(states.close)
        self.addCleanup(store.close)
        return store


class LockTests(GuardTestCase):
    def test_without_lock_file(self) -> None:
        """With LOCK deleted a second LevelDB rewrites the log of the first: acknowledged writes are lost for good."""
        initialise(str(self.directory), "c", 1)
        store, states, _ = open_directory(str(self.directory), "c", 1, print)
        (self.directory / "LOCK").unlink()
        before = contents(self.directory)
        error = self.assertRaises(DirectoryError, open_directory, str(self.directory), "c", 1, print)
        self.assertIn("is locked: is another dkvnode using it?", str(error))
        self.assertRaises(DirectoryLocked, LevelDBStore, str(self.directory), print)
        self.assertEqual(contents(self.directory), before)
        states.close()
        store.close()
        self.open()

    def test_whatever_the_path(self) -> None:
        """A link to the directory is the directory."""
        initialise(str(self.directory), "c", 1)
        link = Path(self.mktemp())
        link.symlink_to(self.directory.absolute())
        self.open()
        self.assertRaises(DirectoryError, open_directory, str(link), "c", 1, print)

    def test_initialise_waits_for_nobody(self) -> None:
        """Two that initialise one directory must not both find it empty, nor may one remove what the other made."""
        self.directory.mkdir()
        lock = DirectoryLock(str(self.directory))
        error = self.assertRaises(DirectoryError, initialise, str(self.directory), "c", 1)
        self.assertIn("is locked", str(error))
        lock.release()
        initialise(str(self.directory), "c", 1)
        self.assertIn("CURRENT", os.listdir(self.directory))

    def test_released_after_every_failure(self) -> None:
        """A directory that was refused can be opened when the reason is gone, by the same process too."""
        initialise(str(self.directory), "c", 1)
        self.assertRaises(DirectoryError, initialise, str(self.directory), "c", 1)
        self.assertRaises(DirectoryError, open_directory, str(self.directory), "other", 1, print)
        self.assertRaises(StoreFailed, LevelDBStore, str(self.directory), print, create=True)
        self.open()

    def test_no_descriptor_is_left(self) -> None:
        """A process that tries again and again must not run out of them, nor keep the lock by one that it forgot."""
        self.directory.mkdir()
        before = len(os.listdir("/proc/self/fd"))
        lock = DirectoryLock(str(self.directory))
        self.assertRaises(DirectoryLocked, DirectoryLock, str(self.directory))
        lock.release()
        lock.release()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_file_system_without_locks(self) -> None:
        """Better no start than one that is not guarded."""
        initialise(str(self.directory), "c", 1)
        with patch("fcntl.flock", side_effect=OSError(95, "Operation not supported")):
            error = self.assertRaises(DirectoryError, open_directory, str(self.directory), "c", 1, print)
        self.assertIn("cannot be locked, use a local file system: Operation not supported", str(error))


class PrivacyTests(GuardTestCase):
    def with_umask(self, umask: int, call: Any) -> None:
        before = os.umask(umask)
        self.addCleanup(os.umask, before)
        call()

    def test_initialise(self) -> None:
        """Every user of the machine could read the data, and change it, where the umask says so."""
        for umask in (0o000, 0o022, 0o277):
            self.directory = Path(self.mktemp())
            self.with_umask(umask, lambda: initialise(str(self.directory), "c", 1))
            self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)
            self.assertEqual(modes(self.directory), {0o700, 0o600})
            self.assertEqual(os.umask(umask), umask)

    def test_initialise_a_directory_that_was_there(self) -> None:
        """A service's state directory that somebody made with mkdir is open to all."""
        self.directory.mkdir()
        self.directory.chmod(0o755)
        initialise(str(self.directory), "c", 1)
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)

    def test_narrow(self) -> None:
        """What an older version left open is closed, and said; what is the user's own keeps its mode."""
        initialise(str(self.directory), "c", 1)
        self.assertIsNone(narrow(str(self.directory)))
        self.directory.chmod(0o750)
        alone = f"{self.directory.name} (0750) was open to other users; closed now"
        self.assertEqual(narrow(str(self.directory)), alone)
        (self.directory / "CURRENT").chmod(0o644)
        (self.directory / "LOCK").chmod(0o400)
        self.directory.chmod(0o755)
        opened = narrow(str(self.directory))
        self.assertIn(f"{self.directory.name} (0755) and 1 more was open to other users; closed now", str(opened))
        self.assertEqual(modes(self.directory), {0o700, 0o600, 0o400})
        self.assertIsNone(narrow(str(self.directory)))

    def test_narrow_while_files_go(self) -> None:
        """LevelDB is at work in the directory: a file that it has just removed is no reason not to start."""
        initialise(str(self.directory), "c", 1)
        (self.directory / "LOCK").chmod(0o644)
        gone = FileNotFoundError(2, "No such file or directory")
        with patch("os.chmod", side_effect=gone), patch("os.stat", side_effect=[os.stat(self.directory), gone] * 9):
            self.assertIsNone(narrow(str(self.directory)))
        stat_of, first = os.stat, os.listdir(self.directory)[0]

        def all_but_one(path: str) -> os.stat_result:
            if os.path.basename(path) == first:
                raise gone
            return stat_of(path)

        for entry in self.directory.iterdir():
            entry.chmod(0o644)
        with patch("os.stat", side_effect=all_but_one):
            narrow(str(self.directory))
        self.assertEqual(len([path for path in self.directory.iterdir() if path.stat().st_mode & 0o077]), 1)

    def test_narrow_what_is_anothers(self) -> None:
        """A directory of root's that a node may use is no reason not to start, but one to look."""
        self.directory.mkdir(mode=0o755)
        with patch("os.chmod", side_effect=PermissionError(1, "Operation not permitted")):
            self.assertIn("could not be closed: ", str(narrow(str(self.directory))))

    def test_links_are_left_alone(self) -> None:
        """A link in the directory may lead anywhere."""
        initialise(str(self.directory), "c", 1)
        elsewhere = Path(self.mktemp())
        elsewhere.write_text("")
        elsewhere.chmod(0o644)
        (self.directory / "link").symlink_to(elsewhere.absolute())
        narrow(str(self.directory))
        self.assertEqual(stat.S_IMODE(elsewhere.stat().st_mode), 0o644)
