"""Nothing in the place of a small file holds up a node that reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.peer_secret_file import PeerSecretError, load_peer_secrets
from dkv.config.plain_file import FILE_BYTES_MAX, open_plain
from dkv.config.tls_settings import TlsSettings
from dkv.console.admin_token import TokenError
from dkv.node.admin_access import read_tokens
from dkv.node.node_users import load_users
from dkv.security.users import UsersError
from dkv.tls.credentials import CredentialsError, load_credentials


class PlainFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.file, self.pipe, self.link = (str(directory / name) for name in ("file", "pipe", "link"))
        Path(self.file).write_bytes(b"content")
        os.mkfifo(self.pipe)
        os.symlink("file", self.link)
        self.directory = str(directory)

    def test_a_file(self) -> None:
        """Also through a link, as Kubernetes mounts secrets."""
        for path in (self.file, self.link):
            with open_plain(path) as file:
                self.assertEqual(file.read(), b"content")

    def test_others(self) -> None:
        """Reading a pipe waits for a writer, and a device may have no end; a disk image takes all memory."""
        large = self.file + ".large"
        Path(large).touch()
        os.truncate(large, FILE_BYTES_MAX + 1)
        for path, told in (
            (self.pipe, "it is not a regular file"),
            ("/dev/zero", "it is not a regular file"),
            (self.directory, "it is a directory"),
            (large, f"it has more than {FILE_BYTES_MAX} bytes: is it another file?"),
            (self.file + "x", "No such file or directory"),
        ):
            before = len(os.listdir("/proc/self/fd"))
            self.assertEqual(self.assertRaises(OSError, open_plain, path).strerror, told)
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_all_files_of_a_node(self) -> None:
        """A start that waits for a pipe says nothing, and nobody knows why."""

        def credentials(path: str) -> object:
            settings = TlsSettings(ca=path, certificate=path, key=path)
            return load_credentials(settings, 1, "shop")

        loaders: list[tuple[Callable[[str], object], type[Exception]]] = [
            (load_peer_secrets, PeerSecretError),
            (load_users, UsersError),
            (read_tokens, TokenError),
            (credentials, CredentialsError),
        ]
        for load, error in loaders:
            told = str(self.assertRaises(error, load, self.pipe))
            self.assertIn(f"{self.pipe}: it is not a regular file", told)
