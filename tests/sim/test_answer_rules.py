"""The rule of surveys: what KEYS is told is true after the slot that the surveyor names."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Survey
from dkv.kv.codes import KEYS, PUT
from dkv.kv.sessions import Bounds
from dkv.kv.surveyor import TOO_LARGE
from dkv.records import Batch, Value
from dkv.replies import EncodedList, Local
from dkv.sim.answer_rules import AnswerRules
from dkv.sim.chosen import Chosen
from dkv.wire.codec import encode_entries
from dkv.wire.reply_encoder import encode_items

ALL: list[Any] = [KEYS, 0, 0, b"*"]
A, BOTH = [b"a"], [b"a", b"b"]


class SurveyTests(SynchronousTestCase):
    def setUp(self) -> None:
        """One key after slot 1, two after slot 2."""
        chosen = Chosen((1,), Bounds())
        for slot, key in enumerate(BOTH, 1):
            batch = Batch(1, 2, 3, slot, encode_entries([[PUT, key, b"1"]]))
            chosen.reference.apply(slot, Value((batch,), 1_000))
        self.node = Mock(life=(1, 2), number=1)
        self.violations: list[str] = []
        self.rules = AnswerRules(chosen, self.violations.append)

    def survey(self, reply: Any, through: int, entry: list[Any] = ALL) -> int:
        """How many violations there are, once a survey that shows slot 1 or a later one is answered."""
        self.rules.survey_begins(self.node, Survey(1, ALL, 1))
        self.rules.surveyed(self.node, entry, through, Local(reply))
        return len(self.violations)

    def found(self, *pieces: list[bytes]) -> EncodedList:
        """An answer in pieces."""
        return EncodedList(sum(map(len, pieces)), tuple(map(encode_items, pieces)))

    def test_true(self) -> None:
        """Whatever the pieces are; an answer that is too large is not looked at."""
        self.assertEqual(self.survey(self.found(A), 1), 0)
        self.assertEqual(self.survey(self.found(A, [b"b"]), 2), 0)
        self.assertEqual(self.survey(TOO_LARGE, 2), 0)

    def test_of_another_slot(self) -> None:
        """A key that is not there yet, or one that is missing."""
        self.assertEqual(self.survey(self.found(BOTH), 1), 1)
        self.assertEqual(self.survey(self.found(A), 2), 2)

    def test_of_an_earlier_slot(self) -> None:
        """The client has seen more before."""
        self.assertEqual(self.survey(self.found(), 0), 1)

    def test_of_something_else(self) -> None:
        """An answer for another client."""
        self.assertEqual(self.survey(self.found(A), 2, [KEYS, 0, 0, b"a"]), 1)
