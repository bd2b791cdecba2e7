"""What an observer of all nodes knows: what is chosen, what it amounts to, and which promises are broken."""

from __future__ import annotations

from tests.models.members import Batch, Forgotten, State, Value, is_quorum
from tests.models.nodes import Ballot, Node


class Violated(Exception):
    """The protocol broke a promise; the text says which."""


class Truth:
    """The log as the votes on all disks decide it. Each method raises ``Violated``."""

    def __init__(self, alpha: int, left_out: str) -> None:
        self.alpha = alpha
        self.left_out = left_out
        self.states = [State()]
        self.acknowledged = 0
        self._votes: dict[tuple[int, Ballot], tuple[Value, set[int]]] = {}
        self._chosen: dict[int, Value] = {}
        self._executed: set[Batch] = set()
        self._refused: set[Batch] = set()

    def voted(self, slot: int, ballot: Ballot, value: Value, node: int) -> None:
        """A vote is on disk: which slots are chosen now?"""
        first, voters = self._votes.setdefault((slot, ballot), (value, set()))
        if first != value:
            raise Violated(f"ballot {ballot} has two values in slot {slot}")
        voters.add(node)
        try:
            while self._choose_more():
                pass
        except Forgotten as error:
            raise Violated(str(error)) from error

    def applied(self, node: Node, value: Value) -> None:
        """A node has applied a value: it must have the state that is true after the same slot."""
        slot = node.state.applied
        if slot >= len(self.states) or node.state != self.states[slot]:
            true = self._chosen.get(slot)
            raise Violated(f"node {node.id} applies {value} at slot {slot}, and {true} is chosen there")

    def refused(self, batch: Batch) -> None:
        """A client was told that its write did not and will not take effect."""
        self._refused.add(batch)
        self._check_refused()

    def read(self, through: int, acknowledged: int) -> None:
        """A read is served at ``through``; before it was asked for, ``acknowledged`` slots were acknowledged."""
        if through < acknowledged:
            raise Violated(f"a read at slot {through}: slot {acknowledged} was acknowledged before it")

    def _choose_more(self) -> bool:
        """Look for slots that are chosen and not known to be; those behind a gap wait, as their members do."""
        more = False
        while len(self.states) in self._chosen:
            value = self._chosen[len(self.states)]
            state, executed = self.states[-1].next(value, self.alpha, self.left_out)
            self.states.append(state)
            if executed:
                assert isinstance(value, Batch)
                if value in self._executed:
                    raise Violated(f"{value} took effect twice")
                self._executed.add(value)
                self._check_refused()
        for (slot, ballot), (value, voters) in self._votes.items():
            base = max(slot - self.alpha, 0)
            if base < len(self.states) and is_quorum(voters, self.states[base].config(slot)):
                if self._chosen.setdefault(slot, value) != value:
                    raise Violated(f"slot {slot}: {self._chosen[slot]} and {value} (ballot {ballot}) are chosen")
                more = more or slot == len(self.states)
        return more

    def _check_refused(self) -> None:
        if both := self._executed & self._refused:
            raise Violated(f"{min(both)} took effect, and its client was told that it would not")
