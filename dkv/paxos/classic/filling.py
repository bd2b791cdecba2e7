"""Slots without batches in classic mode, which are wanted though nobody writes.

They fill the slots before the one from which a change of members takes force; without them the change would wait for
writes. And they bring the time to a deadline, or let more be erased. Each voter of the set in force sees to it that the
log moves, but not all at once. Each waits for a time of its own, which is longer the more voters have lower ids: one
heartbeat, two, three. So usually one node proposes such a slot, and if it is gone, the next one does.
"""

from __future__ import annotations

from sys import maxsize

from dkv.actor import Turn
from dkv.events import Due
from dkv.paxos.due_slots import NOTHING_DUE
from dkv.paxos.known_members import KnownMembers


class Filling:
    """Whether the proposer of node ``node`` is to propose a slot if it has no batches."""

    def __init__(self, node: int, heartbeat_seconds: float) -> None:
        self._node = node
        self._heartbeat_seconds = heartbeat_seconds
        self._fills = False
        self._wait_seconds = 0.0
        self._votes = False  # when it was told last what is due
        self._due = NOTHING_DUE
        self._is_due = False
        self._moved = False
        self._won = False

    @property
    def wanted(self) -> bool:
        """Whether it is to."""
        return self._fills or self._is_due

    def update(self, turn: Turn, members: KnownMembers) -> None:
        """The log has come to another set, or one has taken force."""
        if members.configurations.pending(members.applied) is not None and self._node in members.in_force.voters:
            self._wait_seconds = self._turn_seconds(members)
            turn.set_timer("fill", self._wait_seconds)
        else:
            self._fills = False
            turn.cancel_timer("fill")
        if self._votes != (self._node in members.in_force.voters):
            self.due(turn, members, self._due)

    def due(self, turn: Turn, members: KnownMembers, due: Due) -> None:
        """The learner says when the time is to move. By how much it has moved since its last slot nobody knows here.

        Whoever proposed that one goes on at once while something is left to be done.
        """
        self._due, self._is_due = due, False
        self._votes = self._node in members.in_force.voters
        if due.at == maxsize or not self._votes:
            turn.cancel_timer("due")
            return
        overdue = due.at <= due.time
        wait = 0.0 if overdue else (due.at - due.time) / 1000
        turn.set_timer("due", wait if overdue and self._won else wait + self._turn_seconds(members))

    def applied(self, turn: Turn, members: KnownMembers, time: int) -> None:
        """It is ``time`` at the last slot. If a slot that was due came too early, there is a while left to wait.

        The time goes slower than this node's clock while clocks are put right.
        """
        if self._is_due and self._moved and time < self._due.at:
            self.due(turn, members, Due(self._due.at, self._due.through, time))

    def _turn_seconds(self, members: KnownMembers) -> float:
        """How long this node leaves it to those with lower ids."""
        return (sorted(members.in_force.voters).index(self._node) + 1) * self._heartbeat_seconds

    def look(self, turn: Turn, timer: str, idle: bool) -> None:
        """The timer ``fill`` or ``due`` has fired: an idle proposer is to try the next slot.

        It is settled if the log moves.
        """
        if timer == "due":
            self._is_due, self._moved = True, False
        else:
            self._fills = self._fills or idle
            turn.set_timer("fill", self._wait_seconds)

    def settled(self, won: bool) -> None:
        """A slot is settled. Whoever got it goes on; for all others the log has moved, and they wait again."""
        self._won, self._moved = won, True
        self._fills = self._fills and won
