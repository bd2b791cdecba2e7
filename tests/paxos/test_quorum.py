"""Quorums: any two share a member."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.quorum import is_quorum, quorum_size


class QuorumTests(SynchronousTestCase):
    def test_any_two_share_a_member(self) -> None:
        """Two majorities that do not meet choose two values; a size one larger than needed serves less often."""
        for members in range(1, 8):
            size = quorum_size(members)
            groups = [set(group) for group in combinations(range(members), size)]
            self.assertTrue(all(one & two for one in groups for two in groups))
            smaller = [set(group) for group in combinations(range(members), size - 1)]
            self.assertTrue(members == 1 or any(not one & two for one in smaller for two in smaller))

    @given(some.lists(some.integers(0, 9)), some.sets(some.integers(0, 6), min_size=1))
    def test_as_a_dumb_second_version_says(self, nodes: list[int], members: set[int]) -> None:
        """Strangers and repeats do not count."""
        there = [member for member in members if member in nodes]
        self.assertEqual(is_quorum(nodes, members), len(there) > len(members) / 2)
