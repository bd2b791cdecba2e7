"""No two writes have the same token: else the second would be taken for a repeat, and silently lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import producer
from dkv.client.producer import Token, next_token


def tokens(path: Path, count: int) -> list[Token]:
    """So many tokens."""
    return [next_token(path) for _ in range(count)]


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "dkv" / "producer"

    def test_parallel_processes(self) -> None:
        """Commands that run at once share the producer, and no op id."""
        with ProcessPoolExecutor(3, get_context("spawn")) as pool:
            lists = list(pool.map(tokens, [self.path] * 3, [200] * 3))
        together = [token for each in lists for token in each]
        self.assertEqual(len(set(together)), 600)
        self.assertEqual(len({token.producer for token in together}), 1)

    def test_a_clock_that_steps_back_a_little(self) -> None:
        """Op ids rise all the same."""
        before = next_token(self.path)
        self.patch(producer, "_now", lambda: before.op - 10**8)
        self.assertEqual(next_token(self.path), Token(before.producer, before.op + 1))

    def test_a_clock_that_was_ahead(self) -> None:
        """Ops used in the future stay there with their producer: counting on from them would use ops twice."""
        self.patch(producer, "_now", lambda: 4 * 10**18)
        future = tokens(self.path, 2)
        self.patch(producer, "_now", lambda: 2 * 10**18)
        now = tokens(self.path, 2)
        self.assertEqual(len({token.producer for token in future}), 1)
        self.assertEqual(len({token.producer for token in now}), 1)
        self.assertNotEqual(now[0].producer, future[0].producer)

    def test_a_clock_before_1970(self) -> None:
        """An op is a positive number all the same."""
        self.patch(time, "time_ns", lambda: -5)
        self.assertEqual([token.op for token in tokens(self.path, 2)], [1, 2])

    def wait_for_the_clock_of_files(self) -> None:
        """Until a file that is changed is changed later than ours: that clock ticks every few milliseconds."""
        other, last = Path(self.mktemp()), os.stat(self.path).st_ctime_ns
        other.touch()
        while os.stat(other).st_ctime_ns <= last:
            other.touch()

    def copies(self) -> list[Path]:
        """The user's files as they are elsewhere: in another home, and where the user has none but the first file."""
        whole, part = (Path(self.mktemp()) / "dkv" for _ in range(2))
        shutil.copytree(self.path.parent, whole)  # with all times that can be set, as tar, rsync and docker do
        part.mkdir(parents=True)
        shutil.copy2(self.path, part)
        return [whole / self.path.name, part / self.path.name]

    def test_a_file_that_travelled(self) -> None:
        """An image with a home in it runs on many machines at once: none of them has the name that is in it."""
        names = {next_token(self.path).producer}
        for copy in self.copies():
            names.add(next_token(copy).producer)
        names.add(next_token(self.path).producer)
        self.assertEqual(len(names), 3)

    def test_a_file_restored(self) -> None:
        """A backup from yesterday does not bring yesterday's op ids back: whichever of the files it has, wherever it
        puts them, and whatever the clock says."""
        seal = self.path.with_name(self.path.name + producer.SEAL)
        for names in ([self.path], [seal], [self.path, seal]):
            for in_place in (True, False):
                self.patch(producer, "_now", lambda: 3 * 10**18)  # and stands still, so ops are counted
                known = next_token(self.path)
                copies = {path: path.read_bytes() for path in names}
                used = tokens(self.path, 5)
                self.wait_for_the_clock_of_files()
                for path, data in copies.items():
                    if not in_place:
                        path.unlink()
                    path.write_bytes(data)
                again = tokens(self.path, 5)
                self.assertNotEqual(again[0].producer, known.producer, names)
                self.assertEqual(set(used) & set(again), set())

    def test_another_boot_or_user(self) -> None:
        """A disk that is cloned as it is boots elsewhere; and nobody goes on with another user's file."""
        first = next_token(self.path).producer
        place = Path(self.mktemp())
        place.write_text("another boot\n")
        self.patch(producer, "BOOT_ID", place)
        second = next_token(self.path).producer
        self.patch(os, "getuid", lambda: 4711)
        third = next_token(self.path).producer
        self.assertEqual(len({first, second, third}), 3)
        self.assertEqual(next_token(self.path).producer, third)

    def test_nothing_to_tell_where_it_is(self) -> None:
        """Where the system has no boot id, each write has a name of its own."""
        self.patch(producer, "BOOT_ID", Path("/no/such"))
        self.assertNotEqual(next_token(self.path).producer, next_token(self.path).producer)

    def test_interrupted(self) -> None:
        """A command that is killed between the two files leaves nothing that is believed."""
        before = next_token(self.path)

        def killed(*_: object) -> bytes:
            raise KeyboardInterrupt

        write = Path.write_bytes
        self.patch(Path, "write_bytes", killed)
        self.assertRaises(KeyboardInterrupt, next_token, self.path)
        self.patch(Path, "write_bytes", write)
        self.assertNotEqual(next_token(self.path).producer, before.producer)

    def test_a_command_that_was_stopped(self) -> None:
        """A Ctrl-Z at the wrong moment does not stop all other commands of the user."""
        known = next_token(self.path).producer
        self.patch(producer, "LOCK_SECONDS", 0.005)
        with open(self.path) as stopped:
            fcntl.flock(stopped, fcntl.LOCK_EX)
            self.assertNotEqual(next_token(self.path).producer, known)
        self.assertEqual(next_token(self.path).producer, known)

    def test_a_damaged_file(self) -> None:
        """An unreadable file is no reason to reuse an op or to fail: a new producer is drawn."""
        known = next_token(self.path).producer
        for damage in (b"", b"dkv-", known, known + b" x\n", known + b" 0\n", b"\xff" * 100, b"dkv-0 1\n", bytes(9999)):
            self.path.write_bytes(damage)
            token = next_token(self.path)
            self.assertNotEqual(token.producer, known)
            self.assertEqual(next_token(self.path).producer, token.producer, damage)

    def test_no_place_to_keep_it(self) -> None:
        """A user without a home, or with a full disk, writes under another name each time."""
        for path in (None, Path("/dev/null/producer"), Path("/dev/full")):
            self.assertNotEqual(next_token(path).producer, next_token(path).producer)

    def test_anew(self) -> None:
        """Another producer, from then on."""
        before = next_token(self.path)
        token = next_token(self.path, anew=True)
        self.assertNotEqual(token.producer, before.producer)
        self.assertEqual(next_token(self.path).producer, token.producer)

    def test_only_its_user_reads_it(self) -> None:
        """Another user who knows the producer could spoil its op ids."""
        next_token(self.path)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_an_op_is_a_time(self) -> None:
        """Nanoseconds since 1970: a person who reads the log knows when it was."""
        self.assertLess(abs(next_token(self.path).op / 1e9 - time.time()), 60)
