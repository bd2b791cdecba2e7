"""The clients that ask a node about itself can read its answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import TABLE
from dkv.console.introspection import command_docs, command_info, config_get
from dkv.replies import Simple
from dkv.settings import Limits


class IntrospectionTests(SynchronousTestCase):
    """COMMAND and CONFIG GET."""

    def test_command_info(self) -> None:
        """Cluster-aware libraries find the keys of a command by it."""
        put, delete, idmp, ping = command_info(TABLE, [b"PUT", b"del", b"idmp", b"ping"])
        self.assertEqual(put, [b"put", -3, [Simple("write"), Simple("denyoom")], 1, 1, 1, [], [], [], []])
        self.assertEqual(idmp, [b"idmp", -2, [Simple("write"), Simple("movablekeys")], 0, 0, 0, [], [], [], []])
        self.assertEqual(delete, [b"del", -2, [Simple("write")], 1, -1, 1, [], [], [], []])
        self.assertEqual(ping, [b"ping", -1, [Simple("fast")], 0, 0, 0, [], [], [], []])

    def test_command_docs(self) -> None:
        """redis-cli shows the arguments while one types."""
        docs, text = command_docs(TABLE, [b"append", b"quit"]), b"key value"
        append, quit = docs[b"append"], docs[b"quit"]
        assert isinstance(append, dict) and isinstance(quit, dict)
        self.assertEqual(append[b"arguments"], [{b"name": text, b"type": b"string", b"display_text": text}])
        self.assertNotIn(b"arguments", quit)

    def test_config_patterns(self) -> None:
        """Patterns find what they find in Redis; one made to be slow finds nothing."""
        limits = Limits()
        self.assertEqual(config_get(limits, 12, [b"MAX*"]), {b"maxclients": b"12"})
        self.assertEqual(list(config_get(limits, 12, [b"append*", b"s?ve"])), [b"appendfsync", b"appendonly", b"save"])
        self.assertEqual(config_get(limits, 12, [b"*a" * 1_000]), {})
