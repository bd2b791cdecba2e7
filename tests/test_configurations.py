"""Sets of members: who decides a slot, who is known, and the stored form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import (
    ADDRESS_BYTES_MAX,
    STANDBYS_MAX,
    VOTERS_MAX,
    Configuration,
    ConfigurationForgotten,
    Configurations,
    MemberRecord,
    first_configurations,
    pack_configurations,
    unpack_configurations,
)

IDS = st.integers(1, 12)
ADDRESSES = st.one_of(st.just(""), st.text(st.characters(codec="ascii"), max_size=ADDRESS_BYTES_MAX))
RECORDS = st.builds(MemberRecord, st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1), ADDRESSES, ADDRESSES)
SETS = st.builds(
    Configuration,
    st.integers(0, 2**64 - 1),
    st.integers(1, 2**64 - 1),
    st.frozensets(IDS, min_size=1, max_size=VOTERS_MAX),
    st.frozensets(st.integers(13, 2**32 - 1), max_size=STANDBYS_MAX),
)
HELD = st.builds(
    Configurations,
    st.lists(SETS, min_size=1, max_size=4).map(tuple),
    st.lists(RECORDS, max_size=4).map(tuple),
    st.integers(1, 2**32 - 1),
)


def plainly_decides(nodes: list[int], voters: frozenset[int]) -> bool:
    """Counted by hand: more voters are among the nodes than are missing."""
    there = [voter for voter in voters if voter in nodes]
    return len(there) > len(voters) - len(there)


class QuorumTests(SynchronousTestCase):
    @given(st.frozensets(IDS, min_size=1, max_size=VOTERS_MAX), st.lists(IDS))
    def test_a_majority_of_the_voters(self, voters: frozenset[int], nodes: list[int]) -> None:
        made = Configuration(0, 1, voters, frozenset(range(13, 20)))
        self.assertEqual(made.decides(nodes), plainly_decides(nodes, voters))
        self.assertEqual(made.decides([*nodes, *range(13, 30)]), plainly_decides(nodes, voters))

    @given(st.frozensets(IDS, min_size=1), st.frozensets(IDS), st.frozensets(IDS))
    def test_two_quorums_share_a_voter(self, voters: frozenset[int], one: frozenset[int], two: frozenset[int]) -> None:
        made = Configuration(0, 1, voters)
        if made.decides(one) and made.decides(two):
            self.assertTrue(one & two & voters)


class SlotTests(SynchronousTestCase):
    def setUp(self) -> None:
        """1, 2 and 3 from the start; 4 a standby from slot 70; 2, 3 and 4 vote from slot 150."""
        first = Configuration(0, 1, frozenset((1, 2, 3)))
        joined = Configuration(6, 70, first.voters, frozenset((4,)))
        replaced = Configuration(86, 150, frozenset((2, 3, 4)))
        self.sets = (first, joined, replaced)
        self.held = Configurations(self.sets, (MemberRecord(4, 44, "h:1", "h:2"),), 4)

    def test_which_set_decides(self) -> None:
        for slot, expected in ((1, 0), (69, 0), (70, 1), (149, 1), (150, 2), (2**60, 2)):
            self.assertEqual(self.held.of(slot), self.sets[expected])
        self.assertEqual(self.held.in_force(69), self.sets[1])
        self.assertEqual(self.held.newest, self.sets[2])

    def test_what_is_pending(self) -> None:
        self.assertEqual(self.held.pending(100), self.sets[2])
        self.assertEqual(self.held.pending(148), self.sets[2])
        self.assertIsNone(self.held.pending(149))

    def test_each_set_that_is_still_to_decide(self) -> None:
        self.assertEqual(self.held.each(68), self.sets)
        self.assertEqual(self.held.each(100), self.sets[1:])
        self.assertEqual(self.held.each(149), self.sets[2:])

    def test_a_quorum_of_each(self) -> None:
        self.assertTrue(self.held.decide({2, 3}, 100))
        self.assertFalse(self.held.decide({1, 2}, 100))  # a quorum of the one in force only
        self.assertFalse(self.held.decide({3, 4}, 100))  # a quorum of the one to come only
        self.assertTrue(self.held.decide({3, 4}, 149))

    def test_who_is_known_and_who_was_removed(self) -> None:
        self.assertEqual(self.held.known(100), {1, 2, 3, 4})
        self.assertEqual(self.held.known(149), {2, 3, 4})
        self.assertFalse(self.held.was_removed(1, 148))
        self.assertTrue(self.held.was_removed(1, 149))
        self.assertFalse(self.held.was_removed(5, 149))

    def test_when_a_member_left(self) -> None:
        self.assertEqual(self.held.left_at(1), 86)
        later = Configuration(300, 364, frozenset((2, 3)))
        held = Configurations((*self.sets, later), (), 4)
        self.assertEqual([held.left_at(node) for node in (1, 4)], [86, 300])
        forgotten = Configurations((self.sets[2], later), (), 4)
        self.assertEqual(forgotten.left_at(1), 86)  # the oldest set that is remembered has it no more

    def test_what_is_forgotten(self) -> None:
        held = Configurations(self.sets[1:], (), 4)
        self.assertEqual(held.of(70), self.sets[1])
        with self.assertRaises(ConfigurationForgotten):
            held.of(69)

    def test_records(self) -> None:
        self.assertEqual(self.held.record(4), MemberRecord(4, 44, "h:1", "h:2"))
        self.assertIsNone(self.held.record(1))

    def test_the_first(self) -> None:
        held = first_configurations((3, 1, 2))
        self.assertEqual(held.of(1), self.sets[0])
        self.assertEqual(held.ids_through, 3)
        self.assertIsNone(held.pending(0))
        self.assertEqual(held.known(0), {1, 2, 3})


class StoredTests(SynchronousTestCase):
    @given(HELD)
    def test_there_and_back(self, held: Configurations) -> None:
        self.assertEqual(unpack_configurations(pack_configurations(held)), held)

    @given(HELD, st.data())
    def test_what_is_cut_or_longer_is_refused(self, held: Configurations, data: st.DataObject) -> None:
        stored = pack_configurations(held)
        cut = stored[: data.draw(st.integers(0, len(stored) - 1))]
        for damaged in (cut, stored + b"\0", b"\x02" + stored[1:]):
            with self.assertRaises(ValueError):
                unpack_configurations(damaged)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, stored: bytes) -> None:
        """They are read or refused, never anything else."""
        try:
            unpack_configurations(stored)
        except ValueError:
            return
