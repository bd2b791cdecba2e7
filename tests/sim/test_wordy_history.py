"""The history of the clients that speak all words: what each request becomes, and that a wrong answer is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf
from random import Random
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import codes
from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.replies import ABORTED, OK, Error
from dkv.settings import Limits
from dkv.sim import run as module
from dkv.sim.fields import ERROR
from dkv.sim.run import run
from dkv.sim.wordy_history import Asked, early_seconds, history_of, judge_words

SECONDS = 10.0
SEED = 4
"""A run of many requests, without an answer that did not come."""


def asked(line: str, reply: Any, called: float = 0.0, db: int = 0, client: int = 1) -> Asked:
    """A request that was answered a moment later."""
    entry = interpret([word.encode() for word in line.split()], Context(Limits(), db))
    return Asked(client, entry, called, (), called + 0.5, reply)


def exec_of(*lines: str, watched: list[Any] | None = None) -> Any:
    """The entry of a transaction."""
    return [codes.EXEC, 0, 100, watched or [], [asked(line, None).entry for line in lines]]


class WordyHistoryTests(SynchronousTestCase):
    """One request, and a few of them."""

    def acts(self, each: Asked) -> list[tuple[Any, Any]]:
        """What becomes of it."""
        return [(operation.arguments, operation.result) for operation in history_of([each])]

    def test_words(self) -> None:
        """A request that is read as another would accuse a right server, or miss what a wrong one did."""
        cases: list[tuple[str, Any, Any, Any]] = [
            ("SET k v", OK, [("put", b"0/k", b"v")], [None]),
            ("SET k v NX PX 300", None, [("set", b"0/k", b"v", "absent", 0.3, False)], [False]),
            ("SET k v IFEQ w KEEPTTL", OK, [("set", b"0/k", b"v", ("equals", b"w"), "keep", False)], [True]),
            ("SET k v XX GET", b"w", [("set", b"0/k", b"v", "present", None, True)], [b"w"]),
            ("SETNX k v", 0, [("set", b"0/k", b"v", "absent", None, False)], [False]),
            ("GETDEL k", b"v", [("get", b"0/k"), ("delete", b"0/k")], [b"v", 1]),
            ("GETEX k PX 500", b"v", [("get", b"0/k"), ("expire", b"0/k", 0.5, None)], [b"v", None]),
            ("MGET a b", [b"1", None], [("get", b"0/a"), ("get", b"0/b")], [b"1", None]),
            ("MSET a 1 b 2", OK, [("put", b"0/a", b"1"), ("put", b"0/b", b"2")], [None, None]),
            ("DECRBY k 2", 5, [("incr", b"0/k", -2)], [5]),
            ("INCRBYFLOAT k 1.5", b"2", [("add", b"0/k", b"1.5")], [b"2"]),
            ("PEXPIRE k 700 XX", 1, [("expire", b"0/k", 0.7, "some")], [True]),
            ("PEXPIRE k 700 GT", 1, [("expire", b"0/k", 0.7, None)], [True]),
            ("PERSIST k", 0, [("expire", b"0/k", None, None)], [False]),
            ("PTTL k", 250, [("ttl", b"0/k")], [0.25]),
            ("PTTL k", -2, [("ttl", b"0/k")], [False]),
            ("RENAME a b", Error("ERR no such key"), [("rename", b"0/a", b"0/b", True)], [False]),
            ("COPY a b DB 1", 1, [("copy", b"0/a", b"1/b", False)], [True]),
            ("DEL a b", 1, [("delete", b"0/a", b"0/b")], [1]),
            ("SETRANGE k 3 x", 4, [("setrange", b"0/k", 3, b"x")], [4]),
        ]
        for line, reply, acts, results in cases:
            self.assertEqual(self.acts(asked(line, reply)), [(tuple(acts), tuple(results))], line)
        self.assertEqual(self.acts(asked("GET k", None, db=3)), [((("get", b"3/k"),), (None,))])
        self.assertEqual(self.acts(asked("FLUSHDB", OK, db=3)), [((("flush", b"3/"),), (None,))])

    def test_fates(self) -> None:
        """What was refused is left out; what may have been done is in, whatever it may have done."""
        self.assertEqual(self.acts(asked("INCR k", Error("ERR value is not an integer"))), [])
        self.assertEqual(self.acts(asked("PEXPIRE k 700 GT", 0)), [])
        lost = replace(asked("SET k v", None), returned=None)
        self.assertEqual(self.acts(lost), [((("put", b"0/k", b"v"),), None)])
        self.assertEqual(self.acts(asked("SET k v", Error("UNCERTAIN"))), [((("put", b"0/k", b"v"),), None)])
        executed = asked("SET k v", Error("ERR this write was executed, and its answer was too large to be kept"))
        self.assertEqual(self.acts(executed), [((("put", b"0/k", b"v"),), None)])
        both = replace(lost, entry=exec_of("MSETNX a 1", "GET b"))
        sets = ("set", b"0/a", b"1", "absent", None, False)
        self.assertEqual(self.acts(both), [((sets, ("get", b"0/b")), None), ((("get", b"0/b"),), None)])

    def test_transaction(self) -> None:
        """It is one operation, with the times of its WATCH; errors inside undo nothing; an aborted one is none."""
        entry = exec_of("SET a x", "INCR a", watched=[[0, b"w", 0, 0, 5]])
        done = Asked(1, entry, 3.0, [(1.0, 2.0)], 4.0, [OK, Error("ERR value is not an integer")])
        acts = (("unchanged", b"0/w", 1.0, 2.0), ("put", b"0/a", b"x"), ("incr", b"0/a", 1))
        self.assertEqual(self.acts(done), [(acts, (None, ERROR))])
        self.assertEqual(self.acts(replace(done, reply=ABORTED)), [])

    def test_token_that_was_used_twice(self) -> None:
        """Nobody knows which of two equal requests was executed, nor whose answer it was."""
        once = asked("SET k v", OK)
        twice = [replace(once, entry=[codes.IDMP, b"p", 1, once.entry]) for _ in range(2)]
        self.assertEqual([each.returned for each in history_of(twice)], [None, None])
        self.assertEqual([each.returned for each in history_of(twice[:1])], [0.5])

    def test_early_seconds(self) -> None:
        """As much as the replicated time gained between two slots, with a stamp that falls, and with none."""
        for stamps, moments, gained in (
            ((1000, 2000, 4500), (1.0, 2.0, 3.0), 1.5),
            ((1000, 500, 3000), (1.0, 2.0, 3.0), 1.0),
            ((0, 900_000, 901_000), (1.0, 2.0, 3.0), 0.0),
        ):
            self.assertAlmostEqual(early_seconds(stamps, moments), gained, places=2)

    def test_lock_lost_early(self) -> None:
        """A lock that two hold at a time is found, if the replicated time did not pass as fast."""
        locks = [asked("SET k a NX PX 5000", OK, at) for at in (0.0, 3.0)]
        self.assertIn("the history of all words is not linearizable", str(judge_words(locks, 0.1)))
        self.assertIsNone(judge_words(locks, 2.0))


class WrongAnswerTests(SynchronousTestCase):
    """A whole run, and the same with one answer changed."""

    def test_run(self) -> None:
        """The answers of a run are judged when it ends; most wrong ones would be found."""
        seen: list[tuple[list[Asked], float]] = []

        def judged(all_asked: Iterable[Asked], early: float) -> str | None:
            seen.append(([*all_asked], early))
            return judge_words(*seen[-1])

        with patch.object(module, "judge_words", judged):
            self.assertIsNone(run(SEED, 3, SECONDS).violation)
        ((requests, early),) = seen
        self.assertLess(early, inf)
        random, found = Random(1), 0
        told = [each for each in requests if type(each.reply) in (int, bytes) and each.entry[0] in codes.READS]
        judgeable = [each for each in told if each.entry[0] in (codes.GET, codes.READ, codes.STRLEN, codes.EXISTS)]
        changed = random.sample(judgeable, 4)
        for each in changed:
            right, each.reply = each.reply, b"never" if isinstance(each.reply, bytes) else each.reply + 7
            found += judge_words(requests, early) is not None
            each.reply = right
        self.assertGreaterEqual(found, 3)

    def test_complaint_ends_the_run(self) -> None:
        """A run in which it complains has failed."""
        with patch.object(module, "judge_words", lambda *_: "wrong"):
            self.assertEqual(run(SEED, 3, 2.0).violation, "wrong")
