"""The entry point, where click may be missing."""

from __future__ import annotations

import io
import sys

import click  # noqa: F401 - so that it is there to be taken away
from twisted.trial.unittest import SynchronousTestCase

import dkv
from dkv.cli.main import main


class Main(SynchronousTestCase):
    """``main``."""

    def main(self, *words: str) -> tuple[object, str, str]:
        """Status, stdout and stderr."""
        self.patch(sys, "argv", ["dkv", *words])
        self.patch(sys, "stdout", io.TextIOWrapper(io.BytesIO(), write_through=True))
        self.patch(sys, "stderr", io.TextIOWrapper(io.BytesIO(), write_through=True))
        with self.assertRaises(SystemExit) as caught:
            main()
        texts = [stream.buffer.getvalue().decode() for stream in (sys.stdout, sys.stderr)]
        return caught.exception.code, texts[0], texts[1]

    def test_version(self) -> None:
        """The user learns which version is installed."""
        self.assertEqual(self.main("--version"), (0, f"dkv {dkv.__version__}\n", ""))

    def test_without_click(self) -> None:
        """A user who installed only the server is told what to install, and sees no traceback."""
        self.addCleanup(sys.modules.__setitem__, "click", sys.modules["click"])
        sys.modules["click"] = None  # type: ignore[assignment]  # how Python spells a module that cannot be imported
        needs = "dkv: this command needs click, which the extra 'cli' of this package brings along\n"
        self.assertEqual(self.main("get", "k"), (2, "", needs))
