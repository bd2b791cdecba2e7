"""The simulator finds bugs in how nodes compare their states; and a state that went wrong is found by the nodes."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any
from unittest.mock import patch

from dkv.actor import Fenced
from dkv.keys import STATE
from dkv.paxos.learner import Learner
from dkv.paxos.state_checker import StateChecker
from dkv.records import Value
from dkv.settings import CLASSIC, LEADER
from dkv.sim.run import Outcome, run
from dkv.sim.simulated_node import SimulatedNode
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_states import STATES

SURVEY = "the survey of node"
UNTRUE = ("of its state after slot", "have two states after slot")
WRONG = STATE + b"\xff a key in a space that no database has"


class PlantedStateTests(HuntTestCase):
    def check(self, name: str, *words: str, mode: str = LEADER) -> None:
        """The bug is found, and its sentence names what was promised."""
        self.check_found(name, STATES[name], words, mode=mode)

    def test_forgets_erased_keys(self) -> None:
        """A key comes back that was deleted."""
        self.check("forgets_erased_keys", "I9")

    def test_a_view_for_each_piece(self) -> None:
        """Good nodes would find that they differ, and one of them would leave."""
        self.check("a_view_for_each_piece", *UNTRUE)

    def test_a_view_before_its_slot(self) -> None:
        """As above: the state of an earlier slot is compared with that of a later one."""
        self.check("a_view_before_its_slot", *UNTRUE, SURVEY)

    def test_a_view_before_its_slot_in_classic_mode(self) -> None:
        """The same actor plays the role in both modes."""
        self.check("a_view_before_its_slot", *UNTRUE, SURVEY, mode=CLASSIC)

    def test_b38_nobody_compares(self) -> None:
        """What changed at rest stays, and everything says "ready"."""
        with patch.object(StateChecker, "_tell", lambda self, turn, message: None):
            found = [run(seed, 3, 6.0, frozenset(("altered-state",))).violation for seed in range(12)]
        self.assertTrue(any("has gone on with another state" in violation for violation in found if violation), found)


class WrongApplyTests(HuntTestCase):
    """One node applies a slot wrongly, as a bug or bad memory would have it: its log is that of the others."""

    SLOT = 4

    def run_with(self, seed: int, mode: str) -> tuple[Outcome, str]:
        """A calm run in which node 1 does so; its trace."""
        apply, trace = Learner._apply, StringIO()

        def apply_wrongly(learner: Learner, turn: Any, value: Value) -> None:
            if learner._identity.node == 1 and learner._applied_through + 1 == self.SLOT:
                turn.stage(WRONG, b"")
            apply(learner, turn, value)

        damaged = property(lambda node: node.number == 1, lambda node, value: None)
        with (
            patch.object(Learner, "_apply", apply_wrongly),
            patch.object(SimulatedNode, "damaged", damaged, create=True),
        ):
            outcome = run(seed, 3 + seed % 2 * 2, 10.0, frozenset(), trace, mode)
        return outcome, trace.getvalue()

    def check(self, mode: str) -> None:
        """Each run ends with the fence of that node, and of no other; the others serve."""
        for seed in range(1, 4):
            outcome, trace = self.run_with(seed, mode)
            self.assertIsNone(outcome.violation, f"seed {seed}")
            fences = set(re.findall("node ([0-9]) +ended .*the state here after slot [0-9]+ is not that of", trace))
            self.assertEqual(fences, {"1"}, f"seed {seed}")

    def test_b38_found(self) -> None:
        """By the next check: the log of that node is right, so that nothing else shows it."""
        self.check(LEADER)

    def test_b38_found_in_classic_mode(self) -> None:
        """The same without a leader."""
        self.check(CLASSIC)

    def test_b38_one_is_enough(self) -> None:
        """Planted: a node that differs from any other gives up. The good ones do, and that is found."""
        compare = StateChecker._compare

        def compare_alone(checker: StateChecker, turn: Any, node: int, slot: int) -> None:
            compare(checker, turn, node, slot)
            if node in checker._differing:
                raise Fenced(f"the state here after slot {slot} is not that of node {node}")

        with patch.object(StateChecker, "_compare", compare_alone):
            found = [self.run_with(seed, LEADER)[0].violation for seed in range(1, 5)]
        self.assertTrue(any("Fenced" in violation for violation in found if violation), found)
