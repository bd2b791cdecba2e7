"""The roster: tells what is no actor, the mesh above all, who the members are, and notes how that changes."""

from __future__ import annotations

from collections.abc import Callable

from dkv import noted
from dkv.actor import Address, Turn
from dkv.configurations import Configuration, Configurations
from dkv.events import MembersAre, RemovalTold

RosterMessage = MembersAre | RemovalTold

TellMembers = Callable[[Configurations, int], None]
"""Takes the sets of members and the slot up to which the log that says so is applied."""


class Roster:
    """Hands ``tell`` all that the learner of ``node`` says of the members."""

    def __init__(self, node: int, tell: TellMembers) -> None:
        self._node = node
        self._in_force: Configuration | None = None  # unknown until the learner speaks
        self._removed = False
        self._tell = tell

    def receive(self, turn: Turn, sender: Address, message: RosterMessage) -> None:
        """React to one message."""
        match message:
            case MembersAre():
                self._on_members_are(turn, message)
            case RemovalTold():
                self._leave(turn, message.slot, list(message.addresses))

    def start(self, turn: Turn) -> None:
        """Nothing is on disk here: the learner speaks first."""

    def _on_members_are(self, turn: Turn, message: MembersAre) -> None:
        held, applied = message.configurations, message.applied
        in_force = held.in_force(applied)
        if in_force != self._in_force:
            if self._in_force is not None:
                turn.note(noted.members_in_force, slot=in_force.slot, from_slot=in_force.from_slot)
            self._in_force = in_force
        turn.note(noted.members_are, configurations=held, applied=applied)
        self._tell(held, applied)
        if held.was_removed(self._node, applied):
            self._leave(turn, held.left_at(self._node), [])

    def _leave(self, turn: Turn, slot: int, addresses: list[str]) -> None:
        """This node is no member any more: its own log says so, or a member."""
        if not self._removed:
            self._removed = True
            turn.note(noted.removed, slot=slot, addresses=addresses)
