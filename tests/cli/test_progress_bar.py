"""The line that says how far a long command has come."""

from __future__ import annotations

import io
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.progress_bar import ProgressBar, picture


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ProgressBarTests(SynchronousTestCase):
    def drawn(self, stream: io.StringIO) -> str:
        """What is written while two pieces of a megabyte are done within a second each."""
        times = iter(range(1_000))
        self.patch(sys, "stderr", stream)
        self.patch(time, "monotonic", lambda: float(next(times)))
        with ProgressBar("checking", 4 << 20) as progress:
            progress.add(1 << 20)
            progress.add(1 << 20)
        return stream.getvalue()

    def test_on_a_terminal(self) -> None:
        """A person sees how long to wait; the line goes away before the result is printed."""
        text = self.drawn(_Terminal())
        self.assertEqual(text.count("\r"), 3)
        self.assertIn("checking  [######                  ]  25%  1.0 MiB of 4.0 MiB", text)
        self.assertTrue(text.endswith("\r\x1b[K"))

    def test_elsewhere(self) -> None:
        """A log file of a nightly backup has no pictures in it."""
        self.assertEqual(self.drawn(io.StringIO()), "")

    def test_picture(self) -> None:
        """An estimate that was too low does not end above 100 %, and without one there is no bar."""
        self.assertEqual(
            picture("saving", 3 << 20, 2 << 20, 3.0), f"saving  [{'#' * 23} ]  99%  3.0 MiB of 3.0 MiB  1.0 MiB/s"
        )
        self.assertEqual(picture("saving", 512, 0, 0.0), "saving  512 B  500 KiB/s")
