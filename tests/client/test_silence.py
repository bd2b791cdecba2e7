"""Silent endpoints are asked last, for a while, by every command of a user."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import silence
from dkv.client.blocking import Endpoint
from dkv.client.silence import SILENT_SECONDS, Silence

A, B, C = (Endpoint(name, 1) for name in "abc")


class SilenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1e9
        self.patch(silence, "time", SimpleNamespace(time=lambda: self.now))
        self.path = Path(self.mktemp()) / "dkv" / "silent"

    def test_asked_last(self) -> None:
        """For half a minute; the others keep the order that the user gave."""
        known = Silence()
        known.note([A], C)
        self.assertEqual(known.last([A, B, C]), [B, C, A])
        self.now += SILENT_SECONDS + 1
        self.assertEqual(known.last([A, B, C]), [A, B, C])

    def test_it_answers_again(self) -> None:
        """Then it has its place back at once."""
        known = Silence()
        known.note([A, B], C)
        known.note([], A)
        self.assertEqual(known.last([A, B, C]), [A, C, B])

    def test_the_next_command_knows(self) -> None:
        """The file is shared; it is for its owner alone."""
        Silence(self.path).note([A], B)
        self.assertEqual(Silence(self.path).last([A, B]), [B, A])
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.path.parent), ["silent"])

    def test_nothing_to_note(self) -> None:
        """Where all is well, no file is written."""
        Silence(self.path).note([], A)
        self.assertFalse(self.path.exists())

    def test_no_place(self) -> None:
        """A user without a writable home has commands that work."""
        Silence(Path("/dev/null/silent")).note([A], B)
        self.assertEqual(Silence(Path("/dev/null/silent")).last([A, B]), [A, B])

    def test_a_clock_that_stepped_back(self) -> None:
        """A note from the future is not believed."""
        Silence(self.path).note([A], B)
        self.now -= 10
        self.assertEqual(Silence(self.path).last([A, B]), [A, B])

    def test_bounded(self) -> None:
        """A script that asks ever other endpoints does not grow the file for ever."""
        for number in range(150):
            Silence(self.path).note([Endpoint(f"h{number}", 1)], A)
        self.assertLessEqual(len(self.path.read_text().splitlines()), silence.ENDPOINTS_MAX)
        self.assertEqual(Silence(self.path).last([Endpoint("h149", 1), B]), [B, Endpoint("h149", 1)])

    @given(st.binary(max_size=60))
    def test_damaged(self, data: bytes) -> None:
        """Every endpoint is asked once, whatever the file contains."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(data)
        self.assertCountEqual(Silence(self.path).last([A, B, C]), [A, B, C])
