"""What the client takes for a read is what the nodes take for one: it may be sent twice."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.outcome import READS, changes, repeatable
from dkv.console.client_session import TABLE
from dkv.kv.commands import COMMANDS


class ReadTests(SynchronousTestCase):
    def test_the_commands_of_the_nodes(self) -> None:
        """A write that is taken for a read would be sent to two nodes at once, and a read that is not, to one only."""
        for name, command in COMMANDS.items():
            self.assertEqual(name.upper() in READS, "readonly" in command.flags, command.name)
        self.assertEqual([name for name in READS if name.lower() not in TABLE], [])

    def test_cursors(self) -> None:
        """A cursor means something to the node that gave it, and only to that one."""
        self.assertTrue(repeatable([b"scan", b"0"]))
        self.assertFalse(repeatable([b"scan", b"7"]))
        self.assertFalse(changes([b"scan", b"7"]))

    def test_settings(self) -> None:
        """One can be set, and a client that was not answered must not say that it was not."""
        self.assertFalse(changes([b"config", b"get", b"*"]))
        self.assertTrue(changes([b"config", b"set", b"notify-keyspace-events", b"KEA"]))
        self.assertFalse(repeatable([b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA"]))
