"""A data directory is guarded: from a second process, whatever became of LevelDB's LOCK, and from other users."""

from __future__ import annotations

import signal
import stat
from functools import partial
from pathlib import Path

from tests.integration.processes import HOST, free_ports, wait_until
from tests.integration.test_startup import OneNodeTest

ANY_UMASK = ("sh", "-c", 'umask 0; exec "$@"', "sh")


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes of every file, and when they were last written."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class SecondStartTest(OneNodeTest):
    """A node that is started twice, by two supervisors or on a copied unit, must do no harm to itself."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster.start()
        self.assertEqual(self.node.call("PUT", "before", "1"), "OK")
        self.node.signal(signal.SIGSTOP)  # so that nothing but the second start can change a file
        (self.node.directory / "LOCK").unlink()
        self.before = contents(self.node.directory)

    def assert_unharmed(self) -> None:
        """No byte was touched, and what the first one acknowledges afterwards is there after a crash."""
        self.assertEqual(contents(self.node.directory), self.before)
        self.node.signal(signal.SIGCONT)
        self.assertEqual(self.node.call("PUT", "after", "2"), "OK")
        self.node.kill()
        self.cluster.start()
        self.assertEqual([self.node.call("GET", key) for key in ("before", "after")], [b"1", b"2"])

    def test_on_the_same_ports(self) -> None:
        """It fails at the ports, before it has opened anything."""
        self.assert_refused("cannot listen", "in use")
        self.assert_unharmed()

    def test_on_other_ports(self) -> None:
        """Nothing but the lock on the directory itself can stop it: the file LOCK is gone."""
        config = self.node.config_path
        text = config.read_text()
        ports = (self.node.port, self.node.peer_port, self.node.admin_port)
        for port, other in zip(ports, free_ports(3), strict=True):
            text = text.replace(f"{HOST}:{port}", f"{HOST}:{other}")
        self.node.config_path = self.cluster.directory / "second.toml"
        self.node.config_path.write_text(text)
        self.assert_refused("is locked: is another dkvnode using it?", str(self.node.directory))
        self.node.config_path = config
        self.assert_unharmed()


class PrivacyTest(OneNodeTest):
    def has_started(self, life: int) -> bool:
        return len(self.node.logged("started")) == life

    def test_whatever_the_umask(self) -> None:
        """Other users of the machine would read the data, write into it, or connect as a client."""
        client = self.cluster.directory / "client.sock"
        text = self.node.config_path.read_text().replace(f"{HOST}:{self.node.port}", f"unix:{client}")
        self.node.config_path.write_text(text)
        self.node.directory.chmod(0o755)
        (self.node.directory / "LOCK").chmod(0o644)
        for life in (1, 2):
            self.node.start(*ANY_UMASK)
            wait_until(partial(self.has_started, life), 20.0, "the node has started")
            self.assertEqual(mode(client), 0o600)
            self.assertEqual(mode(self.node.directory), 0o700)
            self.assertEqual({mode(path) for path in self.node.directory.rglob("*") if path.is_file()}, {0o600})
            self.node.kill()
        (opened,) = self.node.logged("directory_was_open")
        self.assertIn("node1 (0755) and 1 more was open to other users; closed now", opened["reason"])
