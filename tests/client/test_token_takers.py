"""Which requests may carry a token, as the client knows it and as the nodes have it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.outcome import READS, TOKEN_TAKERS, bound_to_connection, takes_token
from dkv.kv.codes import WRITES
from dkv.kv.commands import COMMANDS


class TokenTakersTests(SynchronousTestCase):
    def test_all_writes(self) -> None:
        """A write without a token may be executed twice; with one that it must not have, it is refused."""
        writes = {name.upper() for name, command in COMMANDS.items() if WRITES & set(command.codes)}
        self.assertEqual(TOKEN_TAKERS, (writes | {b"EXEC"}) - READS)
        self.assertEqual(TOKEN_TAKERS & READS, set())

    def test_getex(self) -> None:
        """It is a write only with an option."""
        self.assertTrue(takes_token((b"getex", b"k", b"EX", b"5")))
        self.assertFalse(takes_token((b"GETEX", b"k")))

    def test_bound(self) -> None:
        """What changes its connection is known also behind a token, and in any case."""
        for words in ("multi", "Watch k", "IDMP p 1 exec", "client REPLY off", "subscribe c", "auth p"):
            self.assertTrue(bound_to_connection(words.encode().split()), words)
        for words in ("GET k", "IDMP NEW", "IDMP p 1 SET k v", "CLIENT ID", "CLIENT"):
            self.assertFalse(bound_to_connection(words.encode().split()), words)
