"""Operators who change the members: nodes join, are promoted, replaced and removed, one at a time or all at once.

A change is an entry of the log. It is proposed at some node, as a client's write, and again at another one until the
log has taken it or another change. Operators do what ``dkv member`` checks: new voters run and have nearly caught up,
and a quorum of them is well. What they do not wait for is a quiet moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv import configurations
from dkv.client_events import Requests
from dkv.kv.codes import MEMBERS
from dkv.records import Entry
from dkv.sim.aim import Aim
from dkv.sim.chosen import Chosen
from dkv.sim.crowd import Crowd
from dkv.sim.member_rules import ADD, NAME, PROMOTE, REMOVE
from dkv.sim.simulated_node import SimulatedNode

NODES_MAX = 10
"""So many nodes there are in a run at most, those that have left among them."""

TRIES_MAX = 8
RETRY_SECONDS = (0.2, 1.0, 2.5)

ENTRY_BYTES = 90
"""The size of the request on the wire, as far as a gateway's limits go by it."""


_WORDS: dict[Any, str] = {ADD: "add", PROMOTE: "promote", REMOVE: "remove"}


def in_words(operations: list[Entry]) -> str:
    """What a change does, such as "remove 1, promote 4"."""
    return ", ".join(f"{_WORDS[kind]} {node!r}" for kind, node, *_ in operations)


class Operators:
    """Change the members that ``chosen`` counts by. ``join()`` makes a node that is no member yet, if it may."""

    def __init__(
        self,
        aim: Aim,
        chosen: Chosen,
        crowd: Crowd,
        join: Callable[[], SimulatedNode],
        may_join: Callable[[], bool],
        note: Callable[[int, str, str], None],
    ) -> None:
        self.strikes: dict[str, Callable[[SimulatedNode], None]] = {
            "join": self._join,
            "leave": self._leave,
            "promote": self._promote,
            "replace": self._replace,
            "replace-all": self._replace_all,
            "same-id": self._use_id_again,
            "rivals": self._rivals,
        }
        self.busy = False
        """Whether a change is under way that the log has neither taken nor passed by."""
        self.acted = False
        """Whether there was ever a change, or an attempt."""
        self._aim = aim
        self._random = aim.random
        self._chosen = chosen
        self._crowd = crowd
        self._make_node = join
        self._may_join = may_join
        self._note = note
        self._first = {node.number: node.incarnation for node in aim.nodes}

    # --- strikes ---

    def _join(self, node: SimulatedNode) -> None:
        """One new node or a few become standbys."""
        self._join_with(self._random.choice((1, 1, 2, 3)))

    def _join_with(self, count_max: int) -> None:
        count = min(count_max, NODES_MAX - len(self._aim.nodes))
        if self.busy or count < 1 or not self._may_join():
            return
        joiners = [self._make_node() for _ in range(count)]
        self._change([[ADD, each.number, each.incarnation, b"", b""] for each in joiners])

    def _promote(self, node: SimulatedNode) -> None:
        """A standby becomes a voter."""
        ready = self.ready()
        if ready:
            self._change([[PROMOTE, self._random.choice(ready)]])

    def _leave(self, node: SimulatedNode) -> None:
        """A member leaves, whatever its state."""
        members = self._chosen.members.sets[-1].members
        if len(members) > 1:
            self._change([[REMOVE, node.number if node.number in members else self._random.choice(sorted(members))]])

    def _replace(self, node: SimulatedNode) -> None:
        """A standby takes the place of a voter, by one entry."""
        ready, voters = self.ready(), self._chosen.members.sets[-1].voters
        if ready:
            old = node.number if node.number in voters else self._random.choice(sorted(voters))
            self._change([[REMOVE, old], [PROMOTE, self._random.choice(ready)]])

    def _replace_all(self, node: SimulatedNode) -> None:
        """All standbys that are near take the place of all voters: no node is in both sets."""
        ready, voters = self.ready(), self._chosen.members.sets[-1].voters
        if ready:
            leaving: list[Entry] = [[REMOVE, each] for each in sorted(voters)]
            coming: list[Entry] = [[PROMOTE, each] for each in ready]
            self._change(leaving + coming)

    def _use_id_again(self, node: SimulatedNode) -> None:
        """An operator who knows no better wants a node, best one with a new disk, back under its id: it is refused."""
        newest = self._chosen.members.sets[-1]
        members = [each for each in self._aim.nodes if each.number in newest.members]
        if not self.busy and len(members) > 1:
            node = self._random.choice([each for each in members if each.damaged] or members)
            self.busy = self.acted = True
            again: list[Entry] = [[REMOVE, node.number], [ADD, node.number, node.incarnation, b"", b""]]
            self._propose(again, newest.slot, 1)

    def overturn(self, leader: int) -> None:
        """Several standbys become voters, by one entry, and few of before stay: one of these, with them, is a quorum.

        The ``leader`` stays. If there are no such standbys, nodes join.
        """
        newest, ready = self._chosen.members.sets[-1], self.ready()
        if len(newest.standbys) < 2:
            self._join_with(self._random.choice((2, 2, 3)))
        elif len(ready) >= 2:
            others = sorted(newest.voters - {leader})
            staying = self._random.sample(others, self._random.randint(0, min(len(others), len(ready))))
            leaving: list[Entry] = [[REMOVE, each] for each in others if each not in staying]
            self._change(leaving + [[PROMOTE, each] for each in ready])

    def _rivals(self, node: SimulatedNode) -> None:
        """Two operators ask two nodes for two changes at the same moment: both rest on the same set."""
        newest, others = self._chosen.members.sets[-1], [each for each in self._askable() if each != node]
        possible: list[list[Entry]] = [[[REMOVE, each]] for each in sorted(newest.members)]
        possible += [[[PROMOTE, each]] for each in self.ready()]
        possible = [each for each in possible if self._is_well(each)]
        if others and len(possible) > 1 and not self.busy:
            mine, other = self._random.sample(possible, 2)
            self._ask(self._random.choice(others), other, newest.slot)
            self._change(mine)

    def ready(self) -> list[int]:
        """The standbys that run and have nearly caught up. One that has not learned of itself could not even vote."""
        sets = self._chosen.members.sets
        added = {id_: each.slot for each in reversed(sets) for id_ in each.members}
        standbys = [each for each in self._aim.nodes if each.number in sets[-1].standbys]
        near = self._chosen.through - configurations.ALPHA
        return [
            each.number
            for each in standbys
            if each.up and not each.damaged and each.chosen_through >= max(near, added[each.number])
        ]

    # --- changes ---

    def _change(self, operations: list[Entry]) -> None:
        """Have the log changed so, unless a change is under way or the voters that it leads to would be too few."""
        if not self.busy and self._is_well(operations):
            self.busy = self.acted = True
            self._propose(operations, self._chosen.members.sets[-1].slot, TRIES_MAX)

    def _is_well(self, operations: list[Entry]) -> bool:
        """Whether a quorum of the voters that there would be has whole disks and runs."""
        leaving = {each[1] for each in operations if each[0] == REMOVE}
        coming = {each[1] for each in operations if each[0] == PROMOTE}
        voters = (self._chosen.members.sets[-1].voters | coming) - leaving
        well = [each for each in self._aim.nodes if each.number in voters and each.up and not each.damaged]
        return len(well) > len(voters) // 2

    def _propose(self, operations: list[Entry], base: int, tries: int) -> None:
        """Ask some node, and another one later, as long as no change has taken the place of this one."""
        if self._chosen.members.sets[-1].slot != base or not tries:
            self.busy = False
            return
        nodes = self._askable()
        if nodes:
            node = self._aim.victim(0.5)
            self._ask(node if node in nodes else self._random.choice(nodes), operations, base)
        self._aim.later(self._random.choice(RETRY_SECONDS), self._propose, operations, base, tries - 1)

    def _askable(self) -> list[SimulatedNode]:
        """The members that run."""
        members = self._chosen.members.sets[-1].members
        return [each for each in self._aim.nodes if each.up and each.number in members]

    def _ask(self, node: SimulatedNode, operations: list[Entry], base: int) -> None:
        """Have a node propose a change of the set that the entry at ``base`` made, as a client's write."""
        unnamed = self._chosen.members.sets[-1].members - self._chosen.members.records.keys()
        names: list[Entry] = [[NAME, each, self._first[each]] for each in sorted(unnamed)]
        entry: Entry = [MEMBERS, base, *names, *operations]
        self._note(node.number, "change", in_words(operations))
        self._crowd.made += 1
        node.run(node.port.take, Requests(self._crowd.made, [entry], 1, 0, ENTRY_BYTES))
