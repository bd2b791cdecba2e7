"""The readiness of nodes while one reaches another in only one direction, also with planted bugs."""

from __future__ import annotations

from itertools import permutations
from random import Random
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.catchup import Catchup
from dkv.paxos.quorum import is_quorum
from dkv.settings import CLASSIC, LEADER
from dkv.sim.simulated_client import SimulatedClient
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World
from tests.sim import planted_readiness  # noqa: F401 - importing it registers its plants
from tests.sim.planted import PLANTS
from tests.sim.planted_classic import CLASSIC_PLANTS

SOON = 2.0
LONG = 8.0


class ReadyTestCase(SynchronousTestCase):
    """Three nodes in perfect weather, which nobody asks for anything."""

    def begin(self, mode: str = LEADER, size: int = 3) -> World:
        """A cluster all of whose nodes are ready."""
        self.world = World(1, size, 20.0, frozenset(), mode=mode)
        for node in self.world.nodes:
            node.start()
        self.assertTrue(self.world.run_until(lambda: not self.unready(), 10.0), self.world.violation)
        return self.world

    def unready(self) -> set[int]:
        """The nodes that do not say that they are ready."""
        return {node.number for node in self.world.nodes if not node.readiness.ready}

    def leader_and_others(self) -> tuple[SimulatedNode, list[SimulatedNode]]:
        """The leader, and the other nodes."""
        (leader,) = self.world.leading
        others = [node for node in self.world.nodes if node.number != leader]
        return self.world.nodes[leader - 1], others

    def lose(self, pairs: list[tuple[SimulatedNode, SimulatedNode]], chance: float) -> None:
        """Lose what the first of each pair sends to the second; signs of life pass, as through a connection."""
        for one, other in pairs:
            self.world.network.wires.lose(one.number, other.number, chance)

    def close(self, what: str, one: int, other: int) -> None:
        """Let nothing of this kind pass from ``one`` to ``other``: messages, any bytes, or what it dials."""
        wires = self.world.network.wires
        if what == "messages":
            wires.lose(one, other, 1.0)
        elif what == "bytes":
            wires.cut(one, other)
        else:
            wires.block(one, other)

    def after(self, seconds: float) -> set[int]:
        """The nodes that are not ready after ``seconds``, in which no rule was broken."""
        self.assertTrue(self.world.run(seconds), self.world.violation)
        return self.unready()


class OneWayTests(ReadyTestCase):
    def test_soon_after_the_start_and_for_ever(self) -> None:
        """An idle cluster stays ready."""
        for mode in (LEADER, CLASSIC):
            self.begin(mode)
            self.assertLess(self.world.schedule.now, 5.0)
            self.assertEqual([self.after(1.0) for _ in range(20)], [set()] * 20)

    def test_b41_a_follower_that_only_hears(self) -> None:
        """Not ready once requests would time out, ready again soon after its messages arrive; nobody else suffers."""
        self.begin()
        leader, (follower, _) = self.leader_and_others()
        self.lose([(follower, leader)], 1.0)
        self.assertEqual(self.after(follower.request_seconds + 0.5), {follower.number})
        self.assertEqual(self.world.elected, [leader.number])
        self.lose([(follower, leader)], 0.0)
        self.assertEqual(self.after(SOON), set())

    def test_b41_a_node_whose_messages_reach_nobody(self) -> None:
        """In classic mode it decides nothing, however well it hears the others."""
        world = self.begin(CLASSIC)
        first, *others = world.nodes
        self.lose([(first, other) for other in others], 1.0)
        self.assertEqual(self.after(first.request_seconds + 0.5), {first.number})
        self.lose([(first, other) for other in others], 0.0)
        self.assertEqual(self.after(SOON), set())

    def test_b19_leadership_moves(self) -> None:
        """A leader that nobody reaches, or that reaches nobody, gives way to one with a quorum both ways, for good."""
        for towards_leader in (True, False):
            world = self.begin(size=5)
            leader, others = self.leader_and_others()
            self.lose([(other, leader) if towards_leader else (leader, other) for other in others], 1.0)
            self.assertEqual(self.after(LONG), {leader.number})
            elected = len(world.elected)
            self.assertIn(elected, (2, 3), "two may have asked for votes at once")
            self.assertEqual(self.after(60.0), {leader.number})
            self.assertEqual(len(world.elected), elected, "nobody disturbs the new leader")

    def test_b19_whoever_reaches_whom(self) -> None:
        """Any ways, for days: elections come to an end, and leadership is where a quorum is reached both ways.

        Whoever exchanges messages with the leader is ready, and nobody else is.
        """
        for seed in range(12):
            random = Random(seed)
            world = self.begin(size=random.choice((3, 5)))
            numbers = [node.number for node in world.nodes]
            closed = [pair for pair in permutations(numbers, 2) if random.random() < 0.3]
            for one, other in closed:
                self.close(("messages", "bytes", "dials")[seed % 3], one, other)
            if seed % 3 == 1:  # No connection lives without an answer.
                closed += [(other, one) for one, other in closed]
            self.after(20.0)
            elected = len(world.elected)
            unready = self.after(20.0)
            self.assertEqual(len(world.elected), elected, f"{seed}: elections without end")
            reached = {one: {one} | {b for b in numbers if not {(one, b), (b, one)} & set(closed)} for one in numbers}
            able = [number for number in numbers if is_quorum(reached[number], numbers)]
            leading = [number for number in world.leading if number in able]
            self.assertEqual(len(leading), min(len(able), 1), f"{seed}: {able} could lead")
            ready = reached[leading[0]] if leading else set()
            self.assertEqual(set(numbers) - unready, ready, f"{seed}: {closed}")

    def test_b41_stuck_in_catch_up(self) -> None:
        """A node that has missed a slot and does not get it can serve no read."""
        world = self.begin()
        leader, (behind, _) = self.leader_and_others()
        behind.crash()
        client = SimulatedClient(world.crowd, -1)
        request = client.ask(leader, [b"append", b"k", b"v"])
        self.assertTrue(world.run_until(lambda: request.returned is not None, 10.0))
        with patch.object(Catchup, "_ask", lambda self, turn: None):
            behind.start()
            self.assertEqual(self.after(behind.request_seconds + 1.0), {behind.number})
        failing = [condition.failure for condition in behind.readiness.conditions() if not condition.holds]
        self.assertEqual(len(failing), 1)
        self.assertRegex(failing[0], "it has applied slot 0 of 1 and is behind for ")
        behind.crash()
        behind.start()
        self.assertEqual(self.after(SOON + 2.0), set())


class PlantedTests(ReadyTestCase):
    """The simulator's rule sees who says it is ready and is not; seeds find it too (``test_planted``)."""

    def check(self, number: str, mode: str = LEADER) -> None:
        """A follower, or in classic mode any node, reaches nobody any more, and the rule complains."""
        with (CLASSIC_PLANTS if mode == CLASSIC else PLANTS)[number]():
            world = self.begin(mode)
            one = world.nodes[0] if mode == CLASSIC else self.leader_and_others()[1][0]
            self.lose([(one, other) for other in world.nodes if other is not one], 1.0)
            self.assertFalse(world.run(LONG + SOON))
            self.assertIn(f"B41: node {one.number} says that it is ready", world.violation or "")

    def test_b41_ready_by_having_heard(self) -> None:
        """The bug that dkv had."""
        self.check("B41")

    def test_b41_answers_of_anybody(self) -> None:
        """The planted bug: a node counts as ready because others reach the leader."""
        self.check("B41b")

    def test_b41_classic(self) -> None:
        """The same where nobody leads."""
        self.check("B41", CLASSIC)
