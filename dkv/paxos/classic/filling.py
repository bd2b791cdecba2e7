"""No-ops of classic mode: they fill the slots before the one from which a change of members takes force.

Without them the change would wait for writes. Each voter of the set in force sees to it that the log moves, but not all
at once. Each waits for a time of its own, which is longer the more voters have lower ids: one heartbeat, two, three. So
usually one node fills, and if it is gone, the next one does.
"""

from __future__ import annotations

from dkv.actor import Turn
from dkv.paxos.known_members import KnownMembers


class Filling:
    """Whether the proposer of node ``node`` is to propose a no-op if it has nothing else."""

    def __init__(self, node: int, heartbeat_seconds: float) -> None:
        self.wanted = False
        self._node = node
        self._heartbeat_seconds = heartbeat_seconds
        self._wait_seconds = 0.0

    def update(self, turn: Turn, members: KnownMembers) -> None:
        """The log has come to another set, or one has taken force."""
        voters = sorted(members.in_force.voters)
        if members.configurations.pending(members.applied) is not None and self._node in voters:
            self._wait_seconds = (voters.index(self._node) + 1) * self._heartbeat_seconds
            self._wait(turn)
        else:
            self.wanted = False
            turn.cancel_timer("fill")

    def look(self, turn: Turn, idle: bool) -> None:
        """The timer ``fill`` is due: an idle proposer is to try the next slot, which is settled if the log moves."""
        self.wanted = self.wanted or idle
        self._wait(turn)

    def settled(self, won: bool) -> None:
        """A slot is settled. Whoever got it goes on; for all others the log has moved, and they wait again."""
        self.wanted = self.wanted and won

    def _wait(self, turn: Turn) -> None:
        turn.set_timer("fill", self._wait_seconds)
