"""What is printed, and what happens when it cannot be."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.output import Failure, Status, bytes_field, emit, one_line


class Output(SynchronousTestCase):
    """The helpers of every command."""

    def test_one_line(self) -> None:
        """What a server or a file name says cannot move the cursor or forge a second line."""
        self.assertEqual(one_line("no\x1b[2J such\nfile é"), "no?[2J such?file é")

    def test_bytes_field(self) -> None:
        """A program can tell text, bytes, emptiness and absence apart."""
        self.assertEqual(bytes_field("value", "é".encode()), {"value": "é"})
        self.assertEqual(bytes_field("value", b"\xff\x00"), {"value_base64": "/wA="})
        self.assertEqual(bytes_field("value", b""), {"value": ""})
        self.assertEqual(bytes_field("value", None), {"value": None})

    def test_stdout_is_full(self) -> None:
        """A value that did not reach its file is not reported as read; nor does exiting fail a second time."""
        with open("/dev/full", "w") as stdout:
            self.patch(sys, "stdout", stdout)
            with self.assertRaises(Failure) as caught:
                emit(b"value")
        self.assertEqual(caught.exception.status, Status.OUTPUT)
        self.assertEqual(caught.exception.message, "cannot write the output: No space left on device")
