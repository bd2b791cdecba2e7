"""Changes of members: what each makes of the sets before it, and what is refused, on every node alike."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import (
    ALPHA,
    SETS_KEPT,
    STANDBYS_MAX,
    VOTERS_MAX,
    Configuration,
    Configurations,
    MemberRecord,
    first_configurations,
    pack_configurations,
    unpack_configurations,
)
from dkv.kv.codes import MEMBERS
from dkv.kv.membership import ADD, ID_MAX, INCARNATION_MAX, MOVE, NAME, PROMOTE, REMOVE, changed, describe_change
from dkv.replies import Error

FIRST = first_configurations((1, 2, 3))
NAMED: list[Any] = [[NAME, id_, 0xA0 + id_] for id_ in (1, 2, 3)]
RECORDS = tuple(MemberRecord(id_, 0xA0 + id_) for id_ in (1, 2, 3))
ADDED: list[Any] = [ADD, 4, 0xA4, b"four:1", b"four:2"]
FOUR = MemberRecord(4, 0xA4, "four:1", "four:2")

FIELDS = st.one_of(
    st.integers(),
    st.integers(0, 9),
    st.sampled_from([ALPHA, ID_MAX, ID_MAX + 1, INCARNATION_MAX, INCARNATION_MAX + 1, 2**70]),
    st.binary(max_size=3),
    st.sampled_from([b"a" * 255, b"a" * 256, "text", None, True, 1.0, float("nan")]),
)
OPERATIONS = st.one_of(
    st.builds(lambda number, fields: [number, *fields], st.integers(0, 6), st.lists(FIELDS, max_size=5)),
    st.builds(lambda number, id_: [number, id_], st.sampled_from([PROMOTE, REMOVE]), st.integers(0, 9)),
    st.builds(lambda id_: [ADD, id_, id_, b"peer:1", b"client:1"], st.integers(1, 30)),
    st.builds(lambda id_: [NAME, id_, id_], st.integers(1, 9)),
    st.dictionaries(FIELDS, FIELDS, max_size=2),
    st.lists(st.lists(FIELDS, max_size=2), max_size=3),
    FIELDS,
)
ENTRIES = st.lists(OPERATIONS, max_size=6).map(lambda operations: [MEMBERS, *operations])
LOGS = st.lists(st.tuples(st.integers(1, 2 * ALPHA), st.lists(OPERATIONS, max_size=4)), max_size=30)


def after(held: Configurations, slot: int, *operations: Any) -> Configurations:
    """The sets after a change in ``slot`` that rests on the newest set, and must take effect."""
    made = changed(held, slot, [MEMBERS, held.newest.slot, *operations])
    assert type(made) is Configurations, made
    return made


class ChangeTests(SynchronousTestCase):
    """Changes that take effect."""

    def test_a_standby_at_first(self) -> None:
        """A new member counts nowhere until it is promoted; it takes force ALPHA slots behind its entry."""
        made = after(FIRST, 10, *NAMED, ADDED)
        self.assertEqual(made.newest, Configuration(10, 10 + ALPHA, frozenset({1, 2, 3}), frozenset({4})))
        self.assertEqual(made.sets[0], FIRST.newest)
        self.assertEqual((made.records, made.ids_through), ((*RECORDS, FOUR), 4))

    def test_replace_in_one_entry(self) -> None:
        """Operations see what those before them did: a lost disk is replaced in one change."""
        held = after(FIRST, 10, *NAMED, ADDED)
        made = after(held, 74, [REMOVE, 3], [PROMOTE, 4])
        self.assertEqual(made.newest, Configuration(74, 74 + ALPHA, frozenset({1, 2, 4})))
        self.assertEqual(made.record(3), RECORDS[2])  # a set that is remembered still has it
        at_once = after(FIRST, 10, *NAMED, ADDED, [PROMOTE, 4], [REMOVE, 3])
        self.assertEqual(at_once.newest.voters, {1, 2, 4})

    def test_a_standby_leaves(self) -> None:
        """One that never arrives is given up without a vote in it."""
        made = after(after(FIRST, 10, *NAMED, ADDED), 74, [REMOVE, 4])
        self.assertEqual((made.newest.members, made.ids_through), ({1, 2, 3}, 4))

    def test_move(self) -> None:
        """A machine gets another address: the same member, the same incarnation."""
        made = after(FIRST, 10, *NAMED, [MOVE, 2, b"two:1", b"two:2"])
        self.assertEqual(made.record(2), MemberRecord(2, 0xA2, "two:1", "two:2"))
        self.assertEqual(made.newest.voters, {1, 2, 3})

    def test_name_again(self) -> None:
        """A change that is sent again names the same incarnations."""
        held = after(FIRST, 10, *NAMED)
        self.assertEqual(after(held, 74, *NAMED).records, RECORDS)

    def test_old_sets_are_forgotten_by_count(self) -> None:
        """What is remembered depends on the log alone; a record stays as long as a set that has its member."""
        held = after(FIRST, 1, *NAMED, ADDED, [REMOVE, 3])
        for times in range(1, SETS_KEPT):
            self.assertEqual(held.record(3), RECORDS[2])
            held = after(held, 1 + times * ALPHA, [MOVE, 1, b"", b""])
        self.assertEqual(len(held.sets), SETS_KEPT)
        self.assertEqual(held.sets[0].slot, 1)
        self.assertIsNone(held.record(3))
        self.assertTrue(held.was_removed(3, 10_000))


class RefusalTests(SynchronousTestCase):
    """Changes that change nothing: each would break the cluster, or rests on what is not so."""

    def setUp(self) -> None:
        self.held = after(FIRST, 10, *NAMED, ADDED)

    def refused(self, *operations: Any, held: Configurations | None = None, slot: int = 74) -> str:
        """The reason why a change that rests on the newest set has no effect."""
        sets = held or self.held
        refusal = changed(sets, slot, [MEMBERS, sets.newest.slot, *operations])
        assert type(refusal) is Error, refusal
        self.assertTrue(refusal.text.startswith("ERR ") and refusal.text.endswith("; no member was changed"))
        return refusal.text[4 : -len("; no member was changed")]

    def test_another_base(self) -> None:
        """Of two operators who ask at the same time one must look again, or together they remove a majority."""
        for base in (0, 11):
            refusal = changed(self.held, 74, [MEMBERS, base, [REMOVE, 3]])
            newest = "the newest are of slot 10: look at these first"
            text = f"ERR the request rests on the members of slot {base}, and {newest}"
            self.assertEqual(refusal, Error(f"{text}; no member was changed"))

    def test_two_equal_changes(self) -> None:
        """A change that is repeated, for its answer was lost, is refused: its sender looks whether it is done."""
        entry = [MEMBERS, 10, [REMOVE, 3]]
        made = changed(self.held, 74, entry)
        assert type(made) is Configurations
        self.assertIs(type(changed(made, 74, entry)), Error)

    def test_one_at_a_time(self) -> None:
        """The slot at which a set takes force is the first one that may have the next change."""
        text = "the change of slot 10 is under way until slot 74"
        self.assertEqual(self.refused([REMOVE, 3], slot=73), text)
        self.assertIs(type(changed(self.held, 74, [MEMBERS, 10, [REMOVE, 3]])), Configurations)

    def test_an_id_that_was_used(self) -> None:
        """An old id for a new member would give two meanings to a ballot (B3)."""
        text = "node {} cannot be added: no id is used twice, and those up to 4 were"
        for used in (-1, 0, 3, 4):
            self.assertEqual(self.refused([ADD, used, 1, b"", b""]), text.format(used))
        gone = after(self.held, 74, [REMOVE, 4])
        self.assertEqual(self.refused(ADDED, held=gone, slot=138), text.format(4))
        self.assertEqual(
            self.refused([ADD, 5, 1, b"", b""], [ADD, 5, 1, b"", b""]), text.format(5).replace("to 4", "to 5")
        )

    def test_no_id_or_incarnation(self) -> None:
        """They must fit where they are stored, and into a Hello."""
        self.assertEqual(
            self.refused([ADD, 2**32, 1, b"", b""]), "node 4294967296 cannot be added: ids end at 4294967295"
        )
        for incarnation in (-1, 2**64):
            self.assertEqual(self.refused([ADD, 5, incarnation, b"", b""]), f"{incarnation} is no incarnation")
            self.assertEqual(self.refused([NAME, 1, incarnation], held=FIRST), f"{incarnation} is no incarnation")

    def test_no_standby(self) -> None:
        """Only a standby is promoted: a node that nobody feeds would take the quorum with it."""
        for other in (1, 5):
            self.assertEqual(self.refused([PROMOTE, other]), f"node {other} cannot be promoted: it is no standby")
        self.assertEqual(self.refused([PROMOTE, 4], [PROMOTE, 4]), "node 4 cannot be promoted: it is no standby")

    def test_no_member(self) -> None:
        """Who was to leave, to move or to be named has left already, or was never there."""
        for operation in ([REMOVE, 5], [MOVE, 5, b"", b""], [NAME, 5, 1]):
            self.assertEqual(self.refused(operation), "node 5 is no member")
        self.assertEqual(self.refused([REMOVE, 3], [REMOVE, 3]), "node 3 is no member")
        self.assertEqual(self.refused([REMOVE, 3], [MOVE, 3, b"", b""]), "node 3 is no member")

    def test_no_voter(self) -> None:
        """Nothing would ever be chosen again, and no entry could undo that."""
        self.assertEqual(self.refused([REMOVE, 1], [REMOVE, 2], [REMOVE, 3]), "no voter would be left")

    def test_too_many(self) -> None:
        """Each member costs its leader a message for every slot."""
        added = [[ADD, 5 + count, 1, b"", b""] for count in range(STANDBYS_MAX)]
        promoted = [[PROMOTE, 5 + count] for count in range(VOTERS_MAX - 2)]
        text = "there would be {} {}, and at most {} are allowed"
        self.assertEqual(self.refused(*added), text.format(STANDBYS_MAX + 1, "standbys", STANDBYS_MAX))
        refusal = self.refused(*added[: VOTERS_MAX - 2], *promoted)
        self.assertEqual(refusal, text.format(VOTERS_MAX + 1, "voters", VOTERS_MAX))
        self.assertEqual(len(after(self.held, 74, *added[:-1]).newest.standbys), STANDBYS_MAX)

    def test_addresses(self) -> None:
        """An address goes into messages and lines of logs: it is short, and of characters that can be seen."""
        for address in (b"a" * 256, b"a b", b"a\n", b"\xff", b"\x7f"):
            text = f"the address {address!r:.80} is not one of at most 255 visible ASCII characters"
            self.assertEqual(self.refused([ADD, 5, 1, address, b""]), text)
            self.assertEqual(self.refused([MOVE, 4, b"", address]), text)
        self.assertEqual(
            after(self.held, 74, [MOVE, 4, b"a" * 255, b"b:1"]).record(4), MemberRecord(4, 0xA4, "a" * 255, "b:1")
        )

    def test_b12_an_incarnation_that_nobody_named(self) -> None:
        """Members that never met a first member would take its wiped directory for it: the first change names it."""
        self.assertEqual(self.refused(ADDED, held=FIRST), "the incarnation of node 1 is not named")
        self.assertEqual(self.refused([MOVE, 2, b"", b""], held=FIRST), "the incarnation of node 2 is not named")
        self.assertEqual(after(FIRST, 1, *NAMED[:2], [REMOVE, 3]).newest.voters, {1, 2})  # it may leave without

    def test_b12_another_incarnation(self) -> None:
        """A wiped directory does not become the member by naming it again."""
        text = "node 4 has incarnation 00000000000000a4 and cannot get another one"
        self.assertEqual(self.refused([NAME, 4, 0xA5]), text)

    def test_all_or_nothing(self) -> None:
        """A change that is half carried out is another change than the one that an operator has checked."""
        before = pack_configurations(self.held)
        self.assertEqual(self.refused([REMOVE, 3], [PROMOTE, 4], [REMOVE, 7]), "node 7 is no member")
        self.assertEqual(pack_configurations(self.held), before)

    def test_other_forms(self) -> None:
        """Entries of a later version, and bytes that are none, change nothing."""
        text = "the log holds a change that this cluster does not know"
        for entry in ([MEMBERS], [MEMBERS, 10], [MEMBERS, b"10", [REMOVE, 3]], [MEMBERS, True, [REMOVE, 3]]):
            self.assertEqual(changed(self.held, 74, entry), Error(f"ERR {text}; no member was changed"))
        no_number: list[Any] = [7, {1: 2}, [], [[]], [True, 5, 1, b"", b""]]
        for operation in [*no_number, [6, 3], [REMOVE], [REMOVE, 3, 3], [REMOVE, b"3"]]:
            self.assertEqual(self.refused(operation), text)


class TotalTests(SynchronousTestCase):
    @given(LOGS)
    def test_any_log(self, log: list[tuple[int, list[Any]]]) -> None:
        """Whatever is in the log, no node stops on it, and what it leads to is a set that works and can be stored."""
        held, slot = FIRST, 0
        for distance, operations in log:
            slot += distance
            made = changed(held, slot, [MEMBERS, held.newest.slot, *operations])
            if type(made) is Error:
                self.assertTrue(made.text.startswith("ERR "))
                continue
            newest = made.newest
            self.assertEqual((newest.slot, newest.from_slot), (slot, slot + ALPHA))
            self.assertTrue(1 <= len(newest.voters) <= VOTERS_MAX and len(newest.standbys) <= STANDBYS_MAX)
            self.assertFalse(newest.voters & newest.standbys)
            self.assertTrue(all(made.record(id_) for id_ in newest.members))
            self.assertGreaterEqual(made.ids_through, held.ids_through)
            new = newest.members - held.newest.members
            self.assertTrue(all(held.ids_through < id_ <= made.ids_through for id_ in new))
            self.assertEqual(unpack_configurations(pack_configurations(made)), made)
            held = made

    @given(ENTRIES)
    def test_any_entry(self, entry: list[Any]) -> None:
        """An entry of any form is judged and described."""
        self.assertIn(type(changed(FIRST, 1, entry)), (Error, Configurations))
        self.assertTrue(all(type(word) is bytes for word in describe_change(entry)))

    def test_in_words(self) -> None:
        """`dkv log` shows a change as an operator thinks of it."""
        entry = [MEMBERS, 10, [REMOVE, 3], [PROMOTE, 4], [9], "junk"]
        self.assertEqual(describe_change(entry), [b"10", b"REMOVE", b"3", b"PROMOTE", b"4", b"?", b"?"])
        self.assertEqual(describe_change([MEMBERS, 0, ADDED]), [b"0", b"ADD", b"4", b"164", b"four:1", b"four:2"])
