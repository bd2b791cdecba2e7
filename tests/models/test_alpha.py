"""The model of members that change: it holds with all its rules, and each rule is needed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.models.alpha import violations
from tests.models.members import FIRST, Batch, Change, Forgotten, Members, State, is_quorum
from tests.models.nodes import Node, Queue
from tests.models.rules import RULES

FOUND_BY = {
    "newest": 27,
    "phase1_once": 1,
    "beyond": 1,
    "unmerged": 1656,
    "behind": 21,
    "old_confirm": 2946,
    "unpromised_read": 1826,
    "same_id": 43,
    "met_only": 8613,
    "standby_votes": 3,
    "pending_lost": 22,
    "many_changes": 6,
    "marks_early": 727,
    "late_batch": 0,
    "id_again": 3,
    "refused_early": 0,
    "refused_unseen": 1089,
    "numbered_early": 151,
    "reported_unseen": 915,
    "waits_for_ever": 235,
    "nacks_applied": 2275,
    "polls_newest": 7386,
    "polls_in_force": 1431,
}
"""A seed whose schedule breaks the protocol when the rule is left out: some need many runs to be found."""


def change(*members: int) -> Change:
    """A change that names whomever it can."""
    return Change(Members(members), tuple((node, 1) for node in range(1, 8)))


class AlphaTests(SynchronousTestCase):
    """Whatever is built must do as the model does."""

    def test_all_rules(self) -> None:
        """Nothing breaks it."""
        self.assertEqual([*violations("", range(600))], [])

    def test_each_rule_is_needed(self) -> None:
        """A rule whose absence nobody notices would be a rule that the model does not test."""
        self.assertEqual([*FOUND_BY], [*RULES])
        for rule, seed in FOUND_BY.items():
            self.assertEqual([*violations("", (seed,))], [], rule)
            self.assertEqual([found for found, _ in violations(rule, (seed,))], [seed], rule)


class StateTests(SynchronousTestCase):
    """What the log amounts to."""

    def test_a_change_takes_force_later(self) -> None:
        """The slots that may be under way already are decided by those who decided them before."""
        state, _ = State().next(change(3, 4), 2, "")
        self.assertEqual([sorted(state.config(slot)) for slot in (1, 2, 3, 4)], [[1, 2, 3], [1, 2, 3], [3, 4], [3, 4]])
        self.assertEqual([sorted(members) for _, members in state.each()], [[1, 2, 3], [3, 4]])
        self.assertEqual(state.known(), Members((1, 2, 3, 4)))

    def test_one_change_at_a_time(self) -> None:
        """So that a few sets are enough, for snapshots and for whoever decides the next slot."""
        state, _ = State().next(change(1, 2), 2, "")
        state, _ = state.next(change(1), 2, "")
        self.assertEqual(state.sets[-1], (3, Members((1, 2))))
        state, _ = state.next(change(1), 2, "")
        self.assertEqual(state.sets[-1], (5, Members((1,))))

    def test_sets_are_forgotten(self) -> None:
        """Nobody may guess who decided a slot of long ago."""
        state = State()
        for members in ((1, 2), (1, 2, 4)):
            state, _ = state.next(change(*members), 1, "")
        self.assertEqual(sorted(state.config(2)), [1, 2])
        self.assertRaises(Forgotten, state.config, 1)

    def test_a_removed_id_never_comes_back(self) -> None:
        """Its mark is gone, so its first batch would take effect once more."""
        state, _ = State().next(change(2, 3), 1, "")
        state, _ = state.next(change(*FIRST), 1, "")
        self.assertEqual(state.config(9), frozenset((2, 3)))

    def test_members_are_named(self) -> None:
        """A change that leaves a member's directory unknown has no effect; a name that is given stays."""
        state, _ = State().next(Change(Members((2, 3)), ((2, 1),)), 1, "")
        self.assertEqual(state.config(9), FIRST)
        state, _ = state.next(Change(Members((2, 3)), ((2, 1), (3, 1))), 1, "")
        state, _ = state.next(Change(Members((2, 3)), ((3, 2),)), 1, "")
        self.assertEqual(dict(state.incarnations), {2: 1, 3: 1})

    def test_batches(self) -> None:
        """In order and once, of members alone; numbers begin anew with each life of a node."""
        took_effect = []
        state = State()
        for batch in ((1, 1, 1), (1, 1, 1), (1, 1, 3), (1, 1, 2), (4, 1, 1), (1, 2, 2), (1, 2, 1), (1, 1, 3)):
            state, executed = state.next(Batch(*batch), 1, "")
            took_effect.append(executed)
        self.assertEqual(took_effect, [True, False, False, True, False, False, True, False])

    def test_quorums(self) -> None:
        """Only votes of members count."""
        self.assertTrue(is_quorum((1, 2), FIRST))
        self.assertFalse(is_quorum((1, 4, 5, 6), FIRST))


class NodeTests(SynchronousTestCase):
    """Whom a node believes, and what a leader takes."""

    def test_votes_once_it_has_met_all(self) -> None:
        """A first member without a name in the log may have forgotten a life; a node that comes later needs a name."""
        node = Node(3)
        self.assertFalse(node.may_vote(""))
        node.met = {1: 1, 2: 1}
        self.assertTrue(node.may_vote(""))
        self.assertFalse(Node(4).may_vote(""))

    def test_goes_by_the_log(self) -> None:
        """The log names a directory, and so no other one gets in, or votes."""
        state, _ = State().next(change(3, 4), 1, "")
        new = Node(3, incarnation=2, state=state, met={1: 1, 2: 1})
        self.assertFalse(new.may_vote(""))
        self.assertFalse(Node(4, state=state).admits(new, ""))
        self.assertTrue(Node(4).admits(new, ""))

    def test_queue(self) -> None:
        """A batch that is proposed again counts, but only behind those that are proposed, not behind queued ones."""
        queue = Queue(())
        queue.propose(Batch(2, 1, 1))
        queue.take(Batch(2, 1, 1))
        queue.take(Batch(2, 1, 2))
        self.assertEqual(queue.batches, [Batch(2, 1, 2)])
        queue.propose(Batch(2, 1, 3))
        queue.take(Batch(2, 1, 3))
        self.assertEqual(queue.batches, [Batch(2, 1, 2), Batch(2, 1, 3)])
