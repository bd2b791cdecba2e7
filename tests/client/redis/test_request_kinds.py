"""Which requests carry a token: a write without one may happen twice, and a read with one is refused."""

from __future__ import annotations

from typing import Any

from redis import Redis
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.request_kinds import Kind, kind_of
from dkv.kv.codes import WRITES
from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.replies import LogRequest
from dkv.settings import Limits
from tests.kv.words.samples import SAMPLES


class KindTests(SynchronousTestCase):
    def kind(self, *arguments: Any) -> Kind:
        """As of a request that a program gives to redis-py."""
        return kind_of(arguments, Redis().get_encoder().encode)

    def test_every_command_of_the_log(self) -> None:
        """A node executes with a token what is said to be a write, and nothing else."""
        for words in SAMPLES:
            if words[0] == b"idmp":
                continue
            entry = interpret(words, Context(Limits()))
            if isinstance(entry, LogRequest):
                entry = entry.entry
            assert isinstance(entry, list), words
            expected = Kind.WRITE if entry[0] in WRITES else Kind.READ
            self.assertEqual(self.kind(*words), expected, words)

    def test_forms(self) -> None:
        """Programs write a word as text or bytes, in any case, and two words as one."""
        self.assertEqual(self.kind("incrby", b"a", 1), Kind.WRITE)
        self.assertEqual(self.kind(b"Set", "a", 1.5), Kind.WRITE)
        self.assertEqual(self.kind("GETEX", "a"), Kind.READ)
        self.assertEqual(self.kind("GETEX", "a", "EX", 5), Kind.WRITE)
        self.assertEqual(self.kind("CLIENT SETNAME", "x"), Kind.READ)
        self.assertEqual(self.kind("SCRIPT", "LOAD", "return 1"), Kind.READ)
        self.assertEqual(self.kind("", "x"), Kind.OTHER)

    def test_what_may_not_be_sent_twice(self) -> None:
        """A message is received twice; and nobody knows what a word does that dkv does not have."""
        for words in (
            ("PUBLISH", "c", "m"),
            ("LPUSH", "l", 1),
            ("DKV.MEMBER", "CHANGE"),
            ("IDMP", "p", 1, "INCR", "a"),
        ):
            self.assertEqual(self.kind(*words), Kind.OTHER, words)
