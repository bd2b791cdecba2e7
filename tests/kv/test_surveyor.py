"""A survey answers as KEYS would have, after one slot, and works for those alone who still wait."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, LEARNER, Address
from dkv.client_events import Survey, Surveyed, SurveyOver
from dkv.events import Captured, CaptureMissed, CaptureNow, Installed, TimerFired
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv import surveyor
from dkv.kv.appliers.iteration import keys
from dkv.kv.asks import Ask
from dkv.kv.codes import KEYS
from dkv.kv.keyspace import Keyspace
from dkv.kv.surveyor import RETRY_SECONDS, TOO_LARGE, Surveyor
from dkv.replies import EncodedList, Local
from dkv.wire.reply_encoder import ReplyEncoder, encode_items
from tests.turns import FakeTurn, FakeView, inject

NODE = 1
TO_GATEWAY, TO_LEARNER = Address(NODE, GATEWAY), Address(NODE, LEARNER)
ASK = (TO_LEARNER, CaptureNow())


class SurveyorTests(SynchronousTestCase):
    """The surveyor of a node, and a keyspace whose time is 1,000."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        """No keys."""
        self.turn, self.keyspace = FakeTurn(), Keyspace()
        self.keyspace.start(self.turn)
        self.keyspace.begin_slot(self.turn, 1, 1_000)
        self.surveyor = Surveyor(NODE, encode_items)
        self.surveyor.start(self.turn)

    def give(self, message: Any) -> list[tuple[Address, Any]]:
        """Let it handle a message; what it sends."""
        return inject(self.surveyor, self.turn, TO_GATEWAY, message)

    def survey(self, number: int, pattern: bytes = b"*", through: int = 5, db: int = 0) -> list[tuple[Address, Any]]:
        """The gateway wants an answer."""
        return self.give(Survey(number, [KEYS, db, 0, pattern], through))

    def captured(self, slot: int = 5) -> tuple[FakeView, list[tuple[Address, Any]]]:
        """The learner had the state captured, as it is now, which is said to be after ``slot``."""
        self.keyspace.settle(self.turn)
        self.turn.stage(APPLIED_THROUGH, pack_number(slot))
        view = self.turn.states.view()
        return view, self.give(Captured(view))

    def go_on(self) -> list[tuple[Address, Any]]:
        """Let its timer fire until it sends something."""
        while self.turn.timers:
            name, _ = self.turn.timers.popitem()
            if sent := self.give(TimerFired(name)):
                return sent
        return []

    def answer(self, pattern: bytes, db: int = 0) -> tuple[int, bytes]:
        """The whole of a survey: how many keys, and the reply in bytes."""
        self.assertEqual(self.survey(1, pattern, db=db), [ASK])
        view, sent = self.captured()
        [(to, message)] = sent or self.go_on()
        self.assertEqual((to, message.number, view.closed), (TO_GATEWAY, 1, True))
        self.assertIsInstance(message.reply.reply, EncodedList)
        return message.reply.reply.count, ReplyEncoder().encode([message.reply])

    @given(
        st.sets(st.text("ab", max_size=3).map(str.encode), max_size=12),
        st.sampled_from([b"*", b"a*", b"*a", b"[ab]?", b"", b"b"]),
        st.integers(1, 60),
    )
    def test_as_keys(self, names: set[bytes], pattern: bytes, piece: int) -> None:
        """The same keys as at once, in pieces of any size; of this database, and alive."""
        self.patch(surveyor, "PIECE_BYTES", piece)
        for db in (0, 3):
            self.begin()
            self.keyspace.store(self.turn, 2, b"another", b"v")
            for number, name in enumerate(sorted(names)):
                self.keyspace.store(self.turn, db, name, b"v", number % 3 * 1_500)
            self.keyspace.begin_slot(self.turn, 2, 2_000)
            expected: Any = keys(self.keyspace, self.turn, Ask(KEYS, db, 0, [pattern]))
            self.assertEqual(self.answer(pattern, db), (len(expected), ReplyEncoder().encode([expected])))

    def test_after_a_flush(self) -> None:
        """What a flushed database held is not found, though it is stored still."""
        self.keyspace.store(self.turn, 0, b"before", b"v")
        self.keyspace.flush(range(1))
        self.keyspace.store(self.turn, 0, b"behind", b"v")
        self.assertEqual(self.answer(b"*"), (1, b"*1\r\n$6\r\nbehind\r\n"))

    def test_piece_by_piece(self) -> None:
        """Others have their turns between the pieces; what they write meanwhile changes nothing."""
        self.patch(surveyor, "PIECE_BYTES", 1)
        for name in (b"a", b"b", b"c"):
            self.keyspace.store(self.turn, 0, name, b"v")
        self.survey(1)
        view, sent = self.captured()
        self.assertEqual((sent, list(self.turn.timers)), ([], ["read"]))
        self.keyspace.store(self.turn, 0, b"d", b"v")
        self.keyspace.erase(self.turn, 0, b"c")
        [(_, message)] = self.go_on()
        self.assertEqual(ReplyEncoder().encode([message.reply]), b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")
        self.assertTrue(view.closed)

    def test_a_view_that_is_too_old(self) -> None:
        """A view that was asked for before the read came could be stale: it is closed, and another one asked for."""
        self.survey(1, through=5)
        self.give(SurveyOver(1))
        self.survey(2, through=9)
        view, sent = self.captured(8)
        self.assertEqual((sent, view.closed), ([ASK], True))
        _, sent = self.captured(9)
        self.assertEqual(sent or self.go_on(), [(TO_GATEWAY, Surveyed(2, Local(EncodedList(0, ()))))])
        late, sent = self.captured(10)
        self.assertEqual((sent, late.closed), ([], True))

    def test_no_view(self) -> None:
        """Too much waits for the disk: it asks again a little later, unless nobody waits by then."""
        self.survey(1)
        self.assertEqual(self.give(CaptureMissed(5)), [])
        self.assertEqual(self.turn.timers, {"ask": self.turn.now + RETRY_SECONDS})
        self.assertEqual(self.go_on(), [ASK])
        self.give(CaptureMissed(5))
        self.give(SurveyOver(1))
        self.assertEqual(self.go_on(), [])

    def test_nobody_waits(self) -> None:
        """It stops at once, and the view costs no room any more. Word about an earlier survey is for no other one."""
        self.patch(surveyor, "PIECE_BYTES", 1)
        self.keyspace.store(self.turn, 0, b"a", b"v")
        self.survey(2)
        view, _ = self.captured()
        self.give(SurveyOver(1))
        self.assertFalse(view.closed)
        self.give(SurveyOver(2))
        self.assertTrue(view.closed)
        self.assertEqual(self.turn.timers, {})

    def test_another_state(self) -> None:
        """A snapshot was put in force, and the old state is erased: it begins anew with the new one."""
        self.patch(surveyor, "PIECE_BYTES", 1)
        self.keyspace.store(self.turn, 0, b"a", b"v")
        self.assertEqual(self.give(Installed(4)), [])
        self.survey(1)
        view, _ = self.captured()
        self.assertEqual((self.give(Installed(7)), view.closed, self.turn.timers), ([ASK], True, {}))
        self.captured(7)
        [(_, message)] = self.go_on()
        self.assertEqual(message.reply.reply.count, 1)

    def test_too_large(self) -> None:
        """The memory that an answer takes is bounded, and the error says what to do."""
        self.patch(surveyor, "ANSWER_BYTES_MAX", 100)
        self.patch(surveyor, "PIECE_BYTES", 60)
        for number in range(40):
            self.keyspace.store(self.turn, 0, b"%09d" % number, b"v")
        self.survey(1)
        view, sent = self.captured()
        self.assertEqual(sent or self.go_on(), [(TO_GATEWAY, Surveyed(1, Local(TOO_LARGE)))])
        self.assertTrue(view.closed)

    def test_what_it_notes(self) -> None:
        """The simulator judges every answer by the slot that it is of."""
        self.survey(1, b"x")
        _, sent = self.captured(6)
        [(_, message)] = sent or self.go_on()
        self.assertEqual(
            self.turn.measures, [("surveyed", {"entry": [KEYS, 0, 0, b"x"], "through": 6, "reply": message.reply})]
        )
