"""The file with the peer secret, and each way in which it may be wrong."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.peer_secret_file import (
    FILE_BYTES_MAX,
    SECRETS_MAX,
    PeerSecretError,
    load_peer_secrets,
    others_may_read,
)

ONE, TWO = b"1" * 32, b"2" * 40


class PeerSecretFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()

    def load(self, data: bytes) -> list[bytes]:
        Path(self.path).write_bytes(data)
        return load_peer_secrets(self.path)

    def test_lines(self) -> None:
        """In their order; notes and what an editor leaves behind are no secrets."""
        self.assertEqual(self.load(b"# of November\n" + ONE + b"\r\n\n  " + TWO + b"  \n"), [ONE, TWO])
        self.assertEqual(self.load(ONE), [ONE])
        self.assertEqual(self.load(b"\xef\xbb\xbf" + ONE + b"\r\n"), [ONE])

    def refused(self, data: bytes) -> str:
        return str(self.assertRaises(PeerSecretError, self.load, data))

    def test_too_short(self) -> None:
        """The line is named, and not told."""
        said = self.refused(ONE + b"\nsesame\n")
        self.assertIn("line 2", said)
        self.assertIn("openssl rand -hex 32", said)
        self.assertNotIn("sesame", said)

    def test_how_many(self) -> None:
        """None, or a file that is another one."""
        self.assertIn("has 0 secrets", self.refused(b"# none yet\n"))
        self.assertIn(f"at most {SECRETS_MAX}", self.refused((ONE + b"\n") * (SECRETS_MAX + 1)))
        self.assertIn("is it another file?", self.refused(b"x" * (FILE_BYTES_MAX + 1)))

    def test_no_file(self) -> None:
        """The path is in the line, so that it can be mended."""
        said = str(self.assertRaises(PeerSecretError, load_peer_secrets, self.path))
        self.assertIn(f"cannot read peer_secret_file {self.path}: No such file", said)

    def test_others(self) -> None:
        """A secret that every user of the machine may read is told of."""
        self.load(ONE)
        for mode, seen in ((0o600, False), (0o640, False), (0o644, True)):
            os.chmod(self.path, mode)
            self.assertEqual(others_may_read(self.path), seen)
        self.assertFalse(others_may_read(self.path + ".none"))
