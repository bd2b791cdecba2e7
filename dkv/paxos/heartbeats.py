"""What a leader says again and again: that it is there, and which answers it got."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.actor import ELECTOR, PROPOSER, Address, Turn
from dkv.events import ClocksAre
from dkv.messages import Barrier, BarrierRequest, Heartbeat, HeartbeatAck
from dkv.paxos.standing import Leader
from dkv.records import ShortDisk

NO_BOOT = 0
"""In the barrier requests of electors, for which nobody waits: gateways name their boot, which counts from 1."""

PROMPT_SECONDS = 0.5
"""How soon an answer must come for the clock in it to count."""


class Heartbeats:
    """The heartbeats of node ``node``; their numbers count on from one lead of this life to the next.

    Each one asks the node's own proposer for a barrier of the same number. The Confirms behind it leave in the same
    write as the heartbeats, so that the proof of being able to serve costs no messages of its own (B41).
    """

    def __init__(self, node: int) -> None:
        self._node = node
        self._barrier = Barrier(NO_BOOT, 0, 0)
        self._short: tuple[ShortDisk, ...] = ()
        self.number = 0
        self._sent_at = 0.0
        self._clocks: dict[int, float] = {}

    def barrier_came(self, barrier: Barrier) -> None:
        """A quorum has confirmed the ballot since heartbeat ``barrier.number``: the next heartbeats say so."""
        self._barrier = barrier

    def send_all(self, turn: Turn, leader: Leader, others: Iterable[int], short: tuple[ShortDisk, ...]) -> None:
        """The next heartbeat, to all ``others``; it names the disks that are ``short`` of space."""
        self._tell_clocks(turn)
        self.number += 1
        self._sent_at = turn.now
        self._short = short
        for node in others:
            self.send(turn, leader, node)
        turn.send(Address(self._node, PROPOSER), BarrierRequest(NO_BOOT, self.number))

    def send(self, turn: Turn, leader: Leader, node: int) -> None:
        """The last heartbeat, to ``node``, with what that node needs to prove that its answers arrive."""
        answered = leader.answered.get(node, 0)
        barrier = self._barrier
        beat = Heartbeat(leader.ballot, self.number, answered, barrier.number, barrier.through, self._short)
        turn.send(Address(node, ELECTOR), beat)

    def answered(self, turn: Turn, node: int, message: HeartbeatAck) -> None:
        """Take the clock of a node that has answered. Of an answer that took long nobody knows when it was made."""
        if message.beat == self.number and turn.now - self._sent_at < PROMPT_SECONDS:
            self._clocks[node] = message.wall_ms - turn.now * 1000

    def _tell_clocks(self, turn: Turn) -> None:
        """Tell the node's proposer, which gives the stamps, what the clocks of those that have answered show."""
        self._clocks[self._node] = turn.wall_ms - turn.now * 1000
        turn.send(Address(self._node, PROPOSER), ClocksAre(tuple(sorted(self._clocks.items()))))
        self._clocks = {}
