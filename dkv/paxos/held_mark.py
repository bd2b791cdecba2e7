"""How far the log of a node is whole on its own disk, and known there to be chosen.

A change of members is complete when a quorum of the new voters holds all slots of the old set like that: only then may
nodes that left be switched off. The slots lie on the disks of the old quorum, and if the mark were lost with a crash,
nobody but that quorum could say again what is chosen. ``chosen`` comes earlier: it rests on the disks of others.
"""

from __future__ import annotations

from dkv import noted
from dkv.actor import ACCEPTOR, Address, Turn
from dkv.events import LogHeld
from dkv.paxos.slot_log import SlotLog

HELD_SECONDS = 0.5
"""How long after a slot is known to be chosen its mark is written, if no vote has taken it to the disk before."""


class HeldMark:
    """The mark of ``log``, the log of node ``node``, while somebody may wait for it."""

    def __init__(self, node: int, log: SlotLog) -> None:
        self._acceptor = Address(node, ACCEPTOR)
        self._log = log
        self._asking = False
        self._through = 0

    def follow(self, turn: Turn) -> None:
        """The log may reach further than the mark: timer ``held`` is set, unless it is already."""
        if not self._asking and self._log.chosen_through > self._through:
            self._asking = True
            turn.set_timer("held", HELD_SECONDS)

    def write(self, turn: Turn) -> None:
        """Write the mark. The acceptor hears ``LogHeld`` of itself, behind the commit of all that it has written."""
        self._log.save_mark(turn)
        turn.send(self._acceptor, LogHeld(self._log.chosen_through))

    def reached(self, turn: Turn, message: LogHeld) -> None:
        """That is on disk."""
        self._asking = False
        self._through = message.through
        turn.note(noted.held, through=message.through)
        self.follow(turn)
