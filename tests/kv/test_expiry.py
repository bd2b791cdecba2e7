"""The index of deadlines: the nearest come first, however little of it is in memory."""

from __future__ import annotations

from sys import maxsize
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.expiry import DeadlineIndex, deadline_key, split_deadline_key
from tests.turns import FakeTurn

ENTRIES = st.tuples(st.integers(1, 6), st.sampled_from([b"\0", b"\0a", b"\1", b"\xff\xff"]))
STEPS = st.lists(st.tuples(st.sampled_from(["turn", "restart", "nearest", "passed"]), ENTRIES, st.integers(1, 4)))


class IndexTests(SynchronousTestCase):
    @given(STEPS, st.integers(1, 3))
    def test_against_a_set(self, steps: list[tuple[str, tuple[int, bytes], int]], front_max: int) -> None:
        """It agrees with a set that is sorted each time, whatever is in memory."""
        turn, index, model = FakeTurn(), DeadlineIndex(), set[tuple[int, bytes]]()
        with patch("dkv.kv.expiry.FRONT_MAX", front_max):
            for step, entry, number in steps:
                if step == "turn" and entry in model:
                    index.remove(turn, *entry)
                    model.remove(entry)
                elif step == "turn":
                    index.add(turn, *entry)
                    model.add(entry)
                elif step == "restart":
                    index.start()
                elif step == "nearest":
                    self.assertEqual(index.nearest(turn), min(model, default=(maxsize, b""))[0])
                else:
                    passed = sorted(each for each in model if each[0] <= entry[0])
                    self.assertEqual(index.passed(turn, entry[0], number), passed[:number])
                self.assertLessEqual(len(index._front), max(2 * front_max, 4 + front_max))
        self.assertEqual({split_deadline_key(key) for key in turn.stored}, model)

    def test_the_bytes_are_fixed(self) -> None:
        """They are compared between nodes."""
        self.assertEqual(deadline_key(0x0102, b"\7k"), b"E\0\0\0\0\0\0\1\2\7k")

    def test_it_is_read_once(self) -> None:
        """A slot looks at the nearest deadline: that must not search the disk each time."""
        turn, index = FakeTurn(), DeadlineIndex()
        index.nearest(turn)
        with patch.object(turn, "scan_page") as scan_page:
            index.nearest(turn)
            index.add(turn, 5, b"\0k")
            self.assertEqual(index.nearest(turn), 5)
        scan_page.assert_not_called()
