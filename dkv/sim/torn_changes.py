"""Connections that break at the very moment in which a change of members takes force.

A strike ``torn-change`` asks the operators for a change of voters, and waits until the last slot before the new set is
chosen. From then on the members of before do not hear the leader any more, which still hears them: it alone learns that
others decide from now on. It and the newcomers are a quorum of these, and have new slots chosen, until it is cut off
from the newcomers, too, perhaps before it has told them so. The others elect a leader of their own, which knows of no
change. Later the newcomers hear it: their promises come late, and tell of slots that it has not proposed, or that they
know such slots to be chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from sys import maxsize

from dkv.configurations import Configuration
from dkv.messages import Prepare
from dkv.sim.aim import Aim
from dkv.sim.chosen import Chosen
from dkv.sim.operators import Operators
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wires import Wires

APART_SECONDS = 5.0
"""For how long the two sides do not hear each other, if the new leader does not learn of the change before."""

SLOTS_TOGETHER = (0, 0, 1, 3, maxsize)
"""How many slots the leader and the newcomers have chosen behind the first one, until it is cut off."""

Direction = tuple[int, int]
"""From which node to which."""


class _Tear:
    """One change that is torn: ``leader`` and ``coming``, the newcomers, are on one side, ``rest`` on the other.

    ``from_slot`` is the first slot that the new set decides.
    """

    def __init__(self, from_slot: int, leader: int, coming: list[int], rest: list[int], together_through: int) -> None:
        self.from_slot = from_slot
        self.leader = leader
        self.coming = coming
        self.rest = rest
        self.together_through = together_through
        """The slot with which the leader and the newcomers are parted, too."""

    @property
    def first(self) -> list[Direction]:
        """What is cut at first: the leader still hears the rest."""
        return [*self.between(self.coming, self.rest), *product([self.leader], self.rest)]

    def between(self, one: list[int], other: list[int]) -> list[Direction]:
        """Both directions of each pair."""
        return [*product(one, other), *product(other, one)]


class TornChanges:
    """Cuts ``wires`` as a set takes force that ``chosen`` knows of; ``note`` adds a line to the trace."""

    def __init__(
        self, aim: Aim, wires: Wires, chosen: Chosen, operators: Operators, note: Callable[[int, str, str], None]
    ) -> None:
        self.strikes = {"torn-change": self._begin}
        self._aim = aim
        self._wires = wires
        self._chosen = chosen
        self._operators = operators
        self._note = note
        self._waiting = False
        self._seen = 0
        """The slot of the newest set, as it was looked at last."""
        self._tear: _Tear | None = None

    def _begin(self, _: SimulatedNode) -> None:
        if self._tear is None:
            self._waiting = True
            self._seen = self._chosen.members.sets[-1].slot
            self._operators.overturn(self._aim.victim(1.0).number)

    def sending(self, node: SimulatedNode, message: object) -> None:
        """``node`` is about to send ``message``: perhaps a vote by which the last slot before a set is chosen."""
        tear = self._tear
        if self._aim.stopped:
            return
        if tear is not None:
            if self._chosen.through >= tear.together_through:
                self._change([], tear.between([tear.leader], tear.coming))
            if isinstance(message, Prepare) and message.from_slot >= tear.from_slot and node.number in tear.rest:
                self._end(tear)  # The new leader has learned of the change, and asks newcomers for their promise.
        elif self._waiting:
            newest = self._chosen.members.sets[-1]
            if newest.slot > self._seen and self._chosen.through >= newest.from_slot - 1:
                self._seen = newest.slot
                self._part(self._chosen.members.sets[-2], newest)

    def _part(self, old: Configuration, new: Configuration) -> None:
        """Let the members of before hear neither the leader nor newcomers, if each side can go on by itself."""
        leader, coming = self._aim.victim(1.0).number, sorted(new.voters - old.voters)
        rest = [each.number for each in self._aim.nodes if each.number not in (leader, *coming)]
        if new.decides([leader, *coming]) and old.decides(rest):
            self._waiting = False
            self._note(leader, "torn-change", f"{rest} hear neither it nor {coming}")
            together_through = new.from_slot + self._aim.random.choice(SLOTS_TOGETHER)
            self._tear = tear = _Tear(new.from_slot, leader, coming, rest, together_through)
            self._change([], tear.first)
            self._aim.later(APART_SECONDS, self._end, tear)

    def _end(self, tear: _Tear) -> None:
        """Those who were parted hear each other again, and for a while nobody hears the old leader."""
        if self._tear is tear:
            self._tear = None
            silent = [(tear.leader, each.number) for each in self._aim.nodes if each.number != tear.leader]
            self._change([*tear.first, *tear.between([tear.leader], tear.coming)], silent)
            self._aim.later(self._aim.lasting(), self._change, silent, [])

    def _change(self, ended: list[Direction], begun: list[Direction]) -> None:
        """End some cuts and begin others."""
        for one, other in ended:
            self._wires.mend(one, other)
        for one, other in begun:
            self._wires.cut(one, other)
