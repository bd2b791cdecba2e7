"""The history of the clients that speak all words: what each request becomes, and that a wrong answer is found."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import codes
from dkv.kv.appliers import expiring, one_string
from dkv.kv.commands import interpret
from dkv.kv.effort import TOO_MUCH
from dkv.kv.registry import Context
from dkv.replies import ABORTED, OK, Error, LogRequest
from dkv.settings import Limits
from dkv.sim import run as module
from dkv.sim import second_commands
from dkv.sim.fields import ERROR
from dkv.sim.run import run
from dkv.sim.second_keys import SecondKeys, StoredKey
from dkv.sim.wordy_history import Asked, Clock, history_of, judge_words, replicated_clock

SECONDS = 2.0


def asked(line: str, reply: Any, called: float = 0.0, db: int = 0, client: int = 1) -> Asked:
    """A request that was answered a moment later."""
    made = interpret([word.encode() for word in line.split()], Context(Limits(), db))
    entry = made.entry if isinstance(made, LogRequest) else made
    return Asked(client, entry, called, (), called + 0.5, reply)


def exec_of(*lines: str, watched: list[Any] | None = None) -> Any:
    """The entry of a transaction."""
    return [codes.EXEC, 0, 100, watched or [], [asked(line, None).entry for line in lines]]


class WordyHistoryTests(SynchronousTestCase):
    """One request, and a few of them."""

    def acts(self, each: Asked) -> list[tuple[Any, Any]]:
        """What becomes of it."""
        return [(operation.arguments, operation.result) for operation in history_of([each])]

    def test_fates(self) -> None:
        """What was refused is left out; what may have been done is in, whatever it may have done."""
        self.assertEqual(self.acts(asked("INCR k", Error("ERR value is not an integer"))), [])
        lost = replace(asked("SET k v", None), returned=None)
        self.assertEqual(self.acts(lost), [((("put", b"0/k", b"v"),), None)])
        self.assertEqual(self.acts(asked("SET k v", Error("UNCERTAIN"))), [((("put", b"0/k", b"v"),), None)])
        executed = asked("SET k v", Error("ERR this write was executed, and its answer was too large to be kept"))
        self.assertEqual(self.acts(executed), [((("put", b"0/k", b"v"),), None)])
        self.assertEqual(self.acts(asked("SET k v", TOO_MUCH)), [])
        for error, told in (("UNCERTAIN", None), ("ERR no such key", (False,))):
            self.assertEqual([each for _, each in self.acts(asked("RENAME a b", Error(error)))], [told])

    def test_transaction(self) -> None:
        """It is one operation, with the times of its WATCH; errors inside undo nothing; an aborted one is none."""
        entry = exec_of("SET a x", "INCR a", watched=[[0, b"w", 0, 0, 5]])
        done = Asked(1, entry, 3.0, [(1.0, 2.0)], 4.0, [OK, Error("ERR value is not an integer")])
        acts = (("unchanged", b"0/w", 1.0, 2.0), ("put", b"0/a", b"x"), ("incr", b"0/a", 1))
        self.assertEqual(self.acts(done), [(acts, (None, ERROR))])
        self.assertEqual(self.acts(replace(done, reply=ABORTED)), [])

    def test_watch_is_timed_alike(self) -> None:
        """The times of a WATCH are of the same clock as those of all else: a change before it is no change since."""
        entry = exec_of("INCR b", watched=[[0, b"a", 0, 0, 5]])
        for watch, right in (((3.3, 3.8), True), ((0.3, 0.8), False)):
            done = Asked(1, entry, 4.0, [watch], 4.5, [1])
            clock = replicated_clock((1000, 101_000, 102_000), (0.2, 1.2, 3.2))
            self.assertEqual(judge_words([asked("SET a y", OK, 1.3), done], clock) is None, right, watch)

    def test_effect_that_is_not_known(self) -> None:
        """Of a transaction without an answer, with an MSETNX or a GT, there are several operations, and one is done."""
        lost = replace(asked("PING", None), returned=None, entry=exec_of("MSETNX a 1", "PEXPIRE b 9000 GT", "INCR c"))
        made = [[act[:2] for act in acts] for acts, _ in self.acts(lost)]
        once = ("absent", b"once 0"), ("put", b"once 0")
        sets, lives, counts = ("set", b"0/a"), ("expire", b"0/b"), ("incr", b"0/c")
        middles = ([sets, lives, counts], [sets, counts], [lives, counts], [counts])
        self.assertEqual(made, [[once[0], *middle, once[1]] for middle in middles])
        for count, right in ((b"1", True), (None, True), (b"2", False)):
            told = judge_words([lost, asked("GET c", count, 5.0), asked("GET a", None, 5.0)], float)
            self.assertEqual(told is None, right, count)

    def test_tries_of_a_write(self) -> None:
        """A write with a token that was sent again is one operation; of a forgotten producer each try may be one."""
        sent = replace(asked("SET k v", None), entry=[codes.IDMP, b"p", 1, asked("SET k v", None).entry])
        lost, again = replace(sent, returned=None), replace(sent, called=3.0, returned=4.0)
        refused, stored = Error("TRYAGAIN"), Error("ERR value is not an integer")
        for tries, expected in (
            ([lost, replace(again, reply=OK)], [(0.0, 4.0, (None,))]),
            ([replace(sent, returned=8.0, reply=OK), replace(again, reply=OK)], [(0.0, 4.0, (None,))]),
            ([lost, replace(again, reply=refused)], [(0.0, None, None)]),
            ([lost, replace(again, reply=Error("UNCERTAIN"))], [(0.0, None, None)]),
            ([lost, lost], [(0.0, None, None)]),
            ([replace(sent, reply=refused), replace(again, returned=None)], [(0.0, None, None)]),
            ([replace(sent, reply=refused), replace(again, reply=refused)], []),
            ([replace(sent, reply=refused), replace(again, reply=OK)], [(0.0, 4.0, (None,))]),
            ([lost, replace(again, reply=stored)], []),
        ):
            made = [(each.called, each.returned, each.result) for each in history_of(tries)]
            self.assertEqual(made, expected, tries)
        twice = [lost, replace(again, reply=OK)]
        self.assertEqual([each.returned for each in history_of(twice, {b"p"})], [None, None])
        self.assertEqual([each.returned for each in history_of(twice[1:], {b"p"})], [4.0])

    def test_lifetime_of_a_retried_write(self) -> None:
        """A SET with PX that was sent twice gives one lifetime, which began between its first call and its answer."""
        entry = [codes.IDMP, b"p", 1, asked("SET k v PX 2000", None).entry]
        tries = [Asked(1, entry, 0.0), Asked(1, entry, 5.0, (), 6.0, OK)]
        for reads, right in (
            ([("GET k", b"v", 0.5), ("GET k", None, 1.5)], True),
            ([("GET k", b"v", 0.5), ("GET k", None, 1.4)], False),
            ([("GET k", b"v", 1.0), ("GET k", None, 3.0), ("GET k", b"v", 6.5)], False),
            ([("GET k", None, 4.0), ("GET k", b"v", 6.5)], True),
            ([("GET k", b"v", 1.0), ("PTTL k", 1500, 1.0)], True),
            ([("GET k", b"v", 1.0), ("PTTL k", -1, 1.0)], False),
        ):
            told = judge_words([*tries, *(asked(line, reply, at) for line, reply, at in reads)], float)
            self.assertEqual(told is None, right, reads)
            self.assertIsNone(judge_words([*tries, asked("GET k", b"v", 6.5)], float, {b"p"}))

    def test_clock(self) -> None:
        """It goes with the slots, never back, and tells moments between two slots apart."""
        clock = replicated_clock((0, 5000, 4000, 7500, 7000), (1.0, 2.0, 3.0, 4.0, 5.0))
        for moment, time in ((0.0, 0.0), (1.5, 0.0), (2.0, 0.0), (3.5, 0.0), (4.0, 2.5), (9.0, 2.5)):
            self.assertAlmostEqual(clock(moment), time, places=4)
        moments = [number / 1000 for number in range(9000)]
        self.assertEqual(len({clock(moment) for moment in moments}), 9000)
        self.assertEqual(sorted(map(clock, moments)), [*map(clock, moments)])

    def test_a_millisecond_early(self) -> None:
        """A lock that two hold at a time is found, however fast or slow the clocks of the nodes are."""
        locks = [asked("SET k a NX PX 5000", OK, at) for at in (0.0, 1.0)]
        for stamp, right in ((5998, False), (5999, False), (6000, True)):
            clock = replicated_clock((1000, stamp), (0.4, 1.4))
            self.assertEqual(judge_words(locks, clock) is None, right, stamp)


class WrongAnswerTests(SynchronousTestCase):
    """Whole runs."""

    def test_wrong_answers(self) -> None:
        """The answers of a run are judged when it ends; most wrong ones are found.

        The checker gives up on the others, for they take too many steps. The second state machine finds those.
        """
        reading, requests = (codes.GET, codes.READ, codes.STRLEN, codes.EXISTS), list[Asked]()
        clock: Clock = float

        def judged(all_asked: Iterable[Asked], by: Clock, evicted: Collection[bytes]) -> str | None:
            nonlocal requests, clock
            requests, clock = [*all_asked], by
            return judge_words(requests, clock, evicted)

        found: list[bool] = []
        for seed in range(1, 32):
            requests = []
            with patch.object(module, "judge_words", judged):
                self.assertIsNone(run(seed, 3, SECONDS, frozenset()).violation)
            told = [each for each in requests if type(each.reply) in (int, bytes) and each.entry[0] in reading]
            for each in told[:3]:
                right, each.reply = each.reply, b"never" if isinstance(each.reply, bytes) else each.reply + 7
                found.append(judge_words(requests, clock) is not None)
                each.reply = right
        self.assertGreater(len(found), 4)
        self.assertGreater(sum(found), len(found) / 2, found)

    def test_mistake_of_both_machines(self) -> None:
        """A rule that the second state machine has wrong as well is found by nothing else: keys that go too early."""

        def shorter(life: int, milliseconds: int) -> int:
            return max(milliseconds - 250, 1) if life == codes.RELATIVE else milliseconds

        def first(life: int, milliseconds: int, *rest: Any) -> int:
            return deadline(life, shorter(life, milliseconds), *rest)

        def second(keys: SecondKeys, life: int, milliseconds: int, held: StoredKey | None) -> int:
            return second_deadline(keys, life, shorter(life, milliseconds), held)

        deadline, second_deadline = expiring.deadline, second_commands._deadline
        with (
            patch.object(expiring, "deadline", first),
            patch.object(one_string, "deadline", first),
            patch.object(second_commands, "_deadline", second),
        ):
            found = next(filter(None, (run(seed, 3, 6.0, frozenset()).violation for seed in range(1, 30))), None)
        self.assertIn("the history of all words is not linearizable", str(found))

    def test_complaint_ends_the_run(self) -> None:
        """A run in which it complains has failed."""
        with patch.object(module, "judge_words", lambda *_: "wrong"):
            self.assertEqual(run(1, 3, 0.1, frozenset()).violation, "wrong")
