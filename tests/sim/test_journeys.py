"""Every way in which members change is gone, under faults, and a crash at every step of it breaks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.settings import CLASSIC, LEADER
from dkv.sim.modes import MIXED
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World
from tests.sim.journeys import (
    Steps,
    Traveller,
    all_at_once,
    beside_a_lame_standby,
    beside_one_that_is_down,
    go,
    in_force,
    one_by_one,
    rivals,
    sizes,
)

MILD = frozenset(("crash", "delay", "loss", "slow-disk"))
"""Nobody is cut off for long: an operator gets to an aim."""
SEED = 3
QUICK_SEED = 14
"""One with few clients."""


class JourneyTests(SynchronousTestCase):
    """A step that no test takes is one that fails in the hands of an operator."""

    timeout = 600

    def go(self, steps: Steps, nodes: int, mode: str, seeds: Iterable[int]) -> Counter[str]:
        """Operators arrive, no rule is broken on the way, and then everything serves; what was gone through."""
        traveller = Traveller()
        for seed in seeds:
            self.assertIsNone(go(traveller, steps, seed, nodes, MILD, mode).violation, f"seed {seed}, {mode}")
        return traveller.counts

    def go_in_all_modes(self, steps: Steps, nodes: int) -> Counter[str]:
        """The seed is one with crashes: else nobody would ever come back from another mode."""
        return sum((self.go(steps, nodes, mode, (SEED,)) for mode in (LEADER, CLASSIC, MIXED)), Counter())

    def test_one_by_one(self) -> None:
        """From three nodes to three others, and those that lead go first."""
        counts = self.go_in_all_modes(one_by_one, 3)
        self.assertGreaterEqual(counts["one replaced"], 9)
        self.assertGreater(counts["leader removed"], 1)

    def test_all_at_once(self) -> None:
        """From three nodes to three others, or more, by one entry: no node is in both sets."""
        self.assertEqual(self.go_in_all_modes(all_at_once, 3)["all replaced"], 3)

    def test_sizes(self) -> None:
        """From one voter to seven and back."""
        for mode in (LEADER, CLASSIC):
            counts = self.go(sizes(3, 5, 7, 5, 3, 1), 1, mode, (SEED,))
            self.assertEqual([counts[f"{size} voters"] for size in (3, 5, 7, 1)], [2, 2, 1, 1])

    def test_beside_one_that_is_down(self) -> None:
        """Of five voters one is down for good, another one is replaced, and then that one."""
        self.assertGreaterEqual(self.go_in_all_modes(beside_one_that_is_down, 5)["replaced while another is down"], 3)

    def test_beside_a_lame_standby(self) -> None:
        """A standby that never catches up keeps nobody from anything."""
        self.assertGreaterEqual(self.go_in_all_modes(beside_a_lame_standby, 3)["one replaced"], 9)

    def test_rivals(self) -> None:
        """Of two changes that two nodes are asked for at the same moment, the log refuses one."""
        self.assertGreater(self.go_in_all_modes(rivals, 5)["refused"], 5)


class CrashTests(SynchronousTestCase):
    """A change of all members survives a crash of any node, whatever it was about to send or to write."""

    timeout = 600

    def steps_of(self, place: int, crash_at: int, mode: str) -> int:
        """How many steps the node at this place takes while changes are under way; it crashes at one of them.

        The first three are replaced by the others.
        """
        steps = 0

        def step(world: World, node: SimulatedNode) -> None:
            nonlocal steps
            if node.up and not in_force(world) and world.nodes.index(node) == place:
                steps += 1
                if steps == crash_at:
                    node.crash(keep=bool(crash_at % 2))
                    world.faults.restart_later(node)

        def before(name: str) -> Any:
            method = getattr(World, name)

            def stepped(world: World, node: SimulatedNode, *arguments: Any) -> None:
                step(world, node)
                method(world, node, *arguments)

            return patch.object(World, name, stepped)

        with ExitStack() as stack:
            for name in ("sending", "committing", "durable", "state_durable"):
                stack.enter_context(before(name))
            result = go(Traveller(), all_at_once, QUICK_SEED, 3, frozenset(), mode)
        self.assertIsNone(result.violation, f"{mode}: the node at place {place} crashed at step {crash_at}")
        return steps

    def check(self, mode: str, crashes: int) -> None:
        """So many steps of each node, evenly spread."""
        for place in range(6):
            steps = self.steps_of(place, 0, mode)
            self.assertGreater(steps, 2 * crashes)
            for number in range(crashes):
                self.steps_of(place, 1 + number * steps // crashes, mode)

    def test_leader_mode(self) -> None:
        """The leader, one of the others that leave, or one that comes."""
        self.check(LEADER, 12)

    def test_classic_mode(self) -> None:
        """Where nobody leads, one of those that leave, or one that comes."""
        self.check(CLASSIC, 8)
