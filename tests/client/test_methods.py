"""The methods of the two clients: what they are, what they send, and what they make of a reply."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from dkv.client import Client, Pipeline, words
from dkv.client.answers import Reply
from dkv.client.failures import Rejected, Unknown
from dkv.client.instruction import Instruction, all_encoded
from dkv.client.recorder import Recorder
from dkv.client.twisted import Client as TwistedClient
from dkv.client.twisted import Pipeline as TwistedPipeline


def signatures(owner: type) -> dict[str, list[tuple[str, object, object]]]:
    """The public methods of a class, with their parameters, without the types."""
    return {
        name: [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


class SameNamesTests(SynchronousTestCase):
    def test_both_clients(self) -> None:
        """Who knows one of them knows the other."""
        self.assertEqual(signatures(Client), signatures(TwistedClient))
        self.assertEqual(signatures(Pipeline), signatures(TwistedPipeline))
        self.assertGreater(len(signatures(Client)), 15)

    def test_their_pipelines(self) -> None:
        """Each request may be in a pipeline or a transaction."""
        own = {"pipeline", "transaction", "scan", "close"}
        self.assertEqual(signatures(Recorder), {k: v for k, v in signatures(Client).items() if k not in own})

    def test_each_says_what_it_does(self) -> None:
        """``help`` shows it, with the parameters."""
        for owner in (Client, TwistedClient, Pipeline, TwistedPipeline):
            for name, method in inspect.getmembers(owner, inspect.isfunction):
                self.assertTrue(name.startswith("_") or method.__doc__, f"{owner}.{name}")
        self.assertEqual([*inspect.signature(Client("node:1").incr).parameters], ["key", "amount"])


class WordsTests(SynchronousTestCase):
    def test_what_may_be_a_word(self) -> None:
        """None or a list as a value is a mistake of the program, and is not stored as text."""
        self.assertEqual(words.set("ü", 5).words, (b"SET", "ü".encode(), b"5"))
        self.assertEqual(words.append(b"\xff", -1).words, (b"APPEND", b"\xff", b"-1"))
        for wrong in (None, 1.5, True, [b"x"]):
            self.assertRaises(TypeError, words.set, "k", wrong)
        self.assertRaises(TypeError, all_encoded, "abc")

    def test_options(self) -> None:
        """Each becomes a word of SET; half a second is not lost."""
        self.assertEqual(words.set("k", "v", ex=1.5, nx=True).words[3:], (b"NX", b"PX", b"1500"))
        self.assertEqual(words.set("k", "v", xx=True, keepttl=True).words[3:], (b"XX", b"KEEPTTL"))
        self.assertEqual(words.set("k", "v", ifeq="w").words[3:], (b"IFEQ", b"w"))

    def test_a_reply_that_makes_no_sense(self) -> None:
        """The write was sent to something that is no node of dkv: who knows what it did."""
        cases: list[tuple[Instruction[object], Reply]] = [
            (Instruction(words.get("k").words, words.get("k").read), 5),
            (Instruction(words.set("k", "v").words, words.set("k", "v").read), b"OK?"),
            (Instruction(words.incr("k").words, words.incr("k").read), b"1"),
            (Instruction(words.mget("k").words, words.mget("k").read), b"1"),
            (Instruction(words.mset({"k": 1}).words, words.mset({"k": 1}).read), None),
        ]
        for instruction, reply in cases:
            failure = self.assertRaises(Unknown, instruction.result, reply)
            self.assertEqual(failure.word, "PROTOCOL")

    def test_failures_are_raised(self) -> None:
        """A program sees the failure, and not its absence of a value."""
        self.assertRaises(Rejected, words.get("k").result, Rejected("ERR no", "ERR"))
