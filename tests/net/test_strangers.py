"""Who has to go when too many come that do not say who they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.strangers import Strangers


class Caller:
    def __init__(self, host: str) -> None:
        self.host = host
        self.ended = False

    def crowded_out(self) -> None:
        self.ended = True


class StrangersTest(SynchronousTestCase):
    """A crowd locks nodes out of their cluster, or uses up a node's descriptors, if one of these fails."""

    def test_a_crowd_of_one_address(self) -> None:
        """It crowds out itself, oldest first, and nobody from elsewhere."""
        strangers = Strangers(4)
        lone = Caller("10.0.0.9")
        strangers.add(lone)
        crowd = [Caller("10.0.0.1") for _ in range(10)]
        for each in crowd:
            strangers.add(each)
        self.assertEqual([each.ended for each in crowd], 7 * [True] + 3 * [False])
        self.assertFalse(lone.ended)
        self.assertEqual(len(strangers), 4)

    def test_no_stranger_any_more(self) -> None:
        """Whoever has said who it is takes nobody's place, and does not go for others."""
        strangers = Strangers(2)
        known, first, second, third = (Caller("a") for _ in range(4))
        strangers.add(known)
        strangers.remove(known)
        for each in (first, second, third):
            strangers.add(each)
        strangers.remove(known)
        self.assertEqual([each.ended for each in (known, first, second, third)], [False, True, False, False])

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())), st.integers(1, 5))
    def test_counts(self, steps: list[tuple[str, bool]], most: int) -> None:
        """However they come and go, at most so many are there, and none goes while there is room."""
        strangers = Strangers(most)
        there: list[Caller] = []
        for host, comes in steps:
            if comes:
                there.append(Caller(host))
                full = len(there) > most
                strangers.add(there[-1])
                self.assertEqual(sum(each.ended for each in there), full)
            elif there:
                strangers.remove(there.pop(0))
            there = [each for each in there if not each.ended]
            self.assertEqual(len(strangers), len(there))
