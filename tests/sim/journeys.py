"""Operators with an aim: they go on until the members are those that a test wants, whatever strikes meanwhile.

A journey is a generator of steps, looked at after every event: each ``yield`` is a moment at which it may act. It acts
through the strikes of ``dkv.sim.operators``, so a change is refused, lost and asked for again as it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

from dkv.kv.codes import MEMBERS
from dkv.sim.constants import draw_constants
from dkv.sim.plan import CHANGES
from dkv.sim.run import Outcome, run
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.world import World
from dkv.wire.codec import decode_entries

LOOK_SECONDS = 0.25
"""How often operators look whether there is something to do."""
MOST_SECONDS = 300.0
"""So long a journey takes at most, in simulated seconds."""
NODES_MAX = 40
"""Operators may give up, and try with another new node."""
ALPHAS = (1, 2, 3, 8)
"""ALPHA, by the seed."""

Steps = Callable[[World], Iterator[None]]
"""A journey: acts, and yields until it is at its end."""


class Traveller:
    """Watches what a cluster goes through; ``counts`` are the changes of each kind, and what was down at the time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sets = 1

    def look(self, world: World) -> None:
        """Count the sets that the log has made since the last look."""
        sets = world.invariants.chosen.members.sets
        for before, after in pairwise(sets[self._sets - 1 :]):
            gone, come = before.voters - after.voters, after.voters - before.voters
            down = [node for node in world.nodes if node.number in before.voters & after.voters and not node.up]
            self.counts["changes"] += 1
            self.counts[f"{len(after.voters)} voters"] += len(gone) != len(come)
            self.counts["one replaced"] += len(gone) == len(come) == 1
            self.counts["replaced while another is down"] += bool(gone and come and down and len(before.voters) >= 5)
            self.counts["all replaced"] += not before.voters & after.voters and len(before.voters) >= 3
            self.counts["leader removed"] += not world.leading.keys().isdisjoint(gone)
        self._sets = len(sets)

    def died(self, world: World, node: SimulatedNode) -> None:
        """Count a crash while a change is under way, by what becomes of the node."""
        sets = world.invariants.chosen.members.sets
        if len(sets) > 1 and sets[-1].from_slot > world.invariants.chosen.through + 1:
            before, after = node.number in sets[-2].voters, node.number in sets[-1].voters
            kind = {(True, True): "stays", (True, False): "leaves", (False, True): "comes"}.get(
                (before, after), "other"
            )
            self.counts[f"crash of one who {kind}"] += 1
            self.counts["crash of the leader"] += node.number in world.leading

    def ended(self, world: World) -> None:
        """Count the changes that the log refused because another one had been faster."""
        bases = Counter[int]()
        for value in world.invariants.chosen.values.values():
            for batch in value.batches:
                entries = decode_entries(batch.blob) or []
                bases.update(entry[1] for entry in entries if entry[0] == MEMBERS and isinstance(entry[1], int))
        self.counts["refused"] += sum(count - 1 for count in bases.values())


def travel(traveller: Traveller, seed: int, nodes: int, seconds: float, faults: frozenset[str], mode: str) -> Outcome:
    """Run a seed as ``dkv sim`` does, and watch what its operators do."""

    def meanwhile(world: World) -> bool:
        return _watched(world, traveller, seconds, lambda: False) or world.violation is None

    return run(seed, nodes, seconds, faults, mode=mode, meanwhile=meanwhile)


def go(traveller: Traveller, steps: Steps, seed: int, nodes: int, faults: frozenset[str], mode: str) -> Outcome:
    """Run a seed in which operators follow ``steps`` to their end, and nobody else changes the members."""
    assert faults.isdisjoint(CHANGES)

    def meanwhile(world: World) -> bool:
        journey, looked_at = steps(world), world.schedule.now

        def arrived() -> bool:
            nonlocal looked_at
            if world.schedule.now < looked_at + LOOK_SECONDS:
                return False
            looked_at = world.schedule.now
            return next(journey, "arrived") == "arrived"

        if not _watched(world, traveller, MOST_SECONDS, arrived):
            if world.violation is None:
                world.violated(f"the operators did not get to their aim within {MOST_SECONDS:g} s")
            return False
        return True

    def small_alpha(random: Random) -> dict[str, Any]:
        return draw_constants(random) | {"dkv.configurations.ALPHA": ALPHAS[seed % len(ALPHAS)]}

    patch_alpha = patch("dkv.sim.plan.draw_constants", small_alpha)
    with patch("dkv.sim.operators.NODES_MAX", NODES_MAX), patch_alpha:
        return run(seed, nodes, MOST_SECONDS, faults, mode=mode, meanwhile=meanwhile)


def _watched(world: World, traveller: Traveller, seconds: float, condition: Callable[[], bool]) -> bool:
    """Let time pass until ``condition()``, and let the traveller look after each event."""

    def look() -> bool:
        traveller.look(world)
        return condition()

    died = world.died

    def died_and_seen(node: SimulatedNode) -> None:
        traveller.died(world, node)
        died(node)

    with patch.object(world, "died", died_and_seen):
        reached = world.run_until(look, seconds)
    traveller.ended(world)
    return reached


# --- journeys ---


def voters(world: World) -> frozenset[int]:
    """The voters of the newest set."""
    return world.invariants.chosen.members.sets[-1].voters


def strike(world: World, kind: str, node: int | None = None) -> None:
    """Let operators do something, with a voter if a strike needs one."""
    world.operators.strikes[kind](world.node(min(voters(world)) if node is None else node))


def in_force(world: World) -> bool:
    """Whether no change is under way."""
    chosen = world.invariants.chosen
    return not world.operators.busy and chosen.members.sets[-1].from_slot <= chosen.through + 1


def sizes(*counts: int) -> Steps:
    """So many voters, then so many: standbys join and are promoted, or voters leave."""

    def steps(world: World) -> Iterator[None]:
        for count in counts:
            while len(voters(world)) != count or not in_force(world):
                if len(voters(world)) > count:
                    strike(world, "leave", world.random.choice(sorted(voters(world))))
                elif len(voters(world)) < count:
                    _promote(world)
                yield

    return steps


def _promote(world: World) -> None:
    """Promote a standby; if there is none, one joins."""
    if world.invariants.chosen.members.sets[-1].standbys:
        strike(world, "promote")
    else:
        strike(world, "join")


def one_by_one(world: World) -> Iterator[None]:
    """Each of the first voters is replaced, the leader first."""
    first = voters(world)
    while voters(world) & first or not in_force(world):
        if not world.invariants.chosen.members.sets[-1].standbys:
            strike(world, "join")
        leading = [node for node in world.leading if node in voters(world) & first]
        strike(world, "replace", next(iter(leading), min(voters(world) & first, default=None)))
        yield


def all_at_once(world: World) -> Iterator[None]:
    """As many standbys as there are voters take the place of all of them, by one entry."""
    first = voters(world)
    while voters(world) & first or not in_force(world):
        standbys = world.invariants.chosen.members.sets[-1].standbys
        if len(standbys) < len(first):
            strike(world, "join")
        elif standbys <= {*world.operators.ready()}:
            strike(world, "replace-all")
        yield


def beside_one_that_is_down(world: World) -> Iterator[None]:
    """One voter goes down for good; another one is replaced, and then that one."""
    while not all(map(world.invariants.may_vote, world.nodes)):
        yield
    down, other = world.random.sample(sorted(voters(world)), 2)
    world.node(down).crash()
    for leaving in (other, down):
        while leaving in voters(world) or not in_force(world):
            if not world.invariants.chosen.members.sets[-1].standbys:
                strike(world, "join")
            strike(world, "replace", leaving)
            yield


def beside_a_lame_standby(world: World) -> Iterator[None]:
    """The first standbys hear nothing for ever, and are never more than that; all voters are replaced one by one."""
    first, before = voters(world), len(world.nodes)
    while not (lame := {node.number for node in world.nodes[before:]}):
        strike(world, "join")
        yield
    while voters(world) & first or not in_force(world):
        for node in world.nodes:
            for each in lame - {node.number}:
                world.network.wires.cut(node.number, each)
        if world.invariants.chosen.members.sets[-1].standbys <= lame:
            strike(world, "join")
        strike(world, "replace", min(voters(world) & first, default=None))
        yield
    assert not voters(world) & lame, "operators promote those who have caught up"


def rivals(world: World) -> Iterator[None]:
    """Three times two operators want different things, as long as more than one voter is left."""
    for _ in range(3):
        while world.operators.busy or not in_force(world):
            yield
        while not world.operators.busy and len(voters(world)) > 1:
            strike(world, "rivals")
            yield
    while not in_force(world):
        yield
