"""No two writes have the same token: else the second would be taken for a repeat, and silently lost."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import producer
from dkv.client.producer import Token, next_token, producer_path


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

    def test_a_clock_that_steps_back(self) -> None:
        """Op ids rise all the same."""
        before = next_token(self.path)
        self.patch(producer, "_now", lambda: before.op - 10**9)
        self.assertEqual(next_token(self.path), Token(before.producer, before.op + 1))

    def test_a_file_restored(self) -> None:
        """A copy from yesterday does not bring yesterday's op ids back."""
        next_token(self.path)
        copy = self.path.read_bytes()
        used = tokens(self.path, 5)
        self.path.write_bytes(copy)
        self.assertGreater(next_token(self.path).op, used[-1].op)

    def test_a_damaged_file(self) -> None:
        """What cannot be read is no reason to reuse anything, nor to fail: it is another producer."""
        known = next_token(self.path).producer
        for damage in (b"", b"dkv-", known, known + b" x\n", known + b" 0\n", b"\xff" * 100, b"dkv-0 1\n"):
            self.path.write_bytes(damage)
            token = next_token(self.path)
            self.assertNotEqual(token.producer, known)
            self.assertEqual(next_token(self.path).producer, token.producer, damage)

    def test_anew(self) -> None:
        """Another producer, from then on."""
        before = next_token(self.path)
        token = next_token(self.path, anew=True)
        self.assertNotEqual(token.producer, before.producer)
        self.assertEqual(next_token(self.path).producer, token.producer)

    def test_only_its_user_reads_it(self) -> None:
        """Who knows the producer could spoil its op ids."""
        next_token(self.path)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_an_op_is_a_time(self) -> None:
        """Microseconds since 1970: a person who reads the log knows when it was."""
        self.assertLess(abs(next_token(self.path).op / 1e6 - time.time()), 60)

    def test_where(self) -> None:
        """XDG's state directory, or its default; a relative one does not count, as the specification says."""
        self.assertEqual(producer_path({"XDG_STATE_HOME": "/s"}), Path("/s/dkv/producer"))
        for environment in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "s"}):
            self.assertEqual(producer_path(environment), Path.home() / ".local/state/dkv/producer")
