"""Operators who want another node to lead, and requests to take over that come when they should not.

A strike ``hand-over`` asks a leader to give its lead to some node: to the one with the most slots, to one that does not
answer or is no voter, or to itself. A strike ``late-take-over`` lets a ``TakeOver`` arrive that was sent some time ago,
perhaps for the second time: its sender may lead no more, and the receiver may have been restarted. Lost ones need no
strike of their own: the network loses them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from dkv import noted
from dkv.actor import ELECTOR, HOST, Address, Note
from dkv.ballot import ZERO, Ballot
from dkv.events import HandOver
from dkv.messages import TakeOver
from dkv.sim.aim import Aim
from dkv.sim.simulated_node import SimulatedNode

KEPT = 16
"""How many of the newest TakeOvers may come once more."""


class TakeOvers:
    """Lets nodes hand over, and repeats what they sent; ``note`` adds a line to the trace."""

    def __init__(self, aim: Aim, note: Callable[[int, str, str], None]) -> None:
        self.strikes = {"hand-over": self._hand_over, "late-take-over": self._repeat}
        self._aim = aim
        self._note = note
        self._sent: deque[tuple[int, int, TakeOver]] = deque(maxlen=KEPT)

    def sending(self, node: SimulatedNode, to: Address, message: object) -> None:
        """``node`` is about to send ``message``."""
        if isinstance(message, TakeOver):
            self._sent.append((node.number, to.node, message))

    def _hand_over(self, _: SimulatedNode) -> None:
        """An operator, or the end of the process, asks a node that leads; or one that led a moment ago."""
        node = self._aim.victim(0.9)
        if node.up and not node.classic:
            to = self._aim.random.choice((None, *(each.number for each in self._aim.nodes)))
            self._note(node.number, "hand-over", f"asked to hand over to {to or 'any node'}")
            node.deliver(ELECTOR, Address(node.number, HOST), HandOver(to))

    def _repeat(self, _: SimulatedNode) -> None:
        """A TakeOver that was under way for long arrives."""
        if self._sent:
            sender, to, message = self._aim.random.choice(self._sent)
            for node in self._aim.nodes:
                if node.number == to and node.up and not node.classic:
                    self._note(to, "late-take-over", f"from {sender}: {message.ballot}")
                    node.deliver(ELECTOR, Address(sender, ELECTOR), message)


class TakeOverRule:
    """A node campaigns at a leader's wish only while it knows of no later leader: else late words depose good leaders.

    ``violated`` is told the first sentence that says what is broken.
    """

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated
        self._known: dict[int, Ballot] = {}

    def started(self, node: SimulatedNode) -> None:
        """A life begins, which knows nothing of earlier leaders."""
        self._known.pop(node.number, None)

    def noted(self, node: SimulatedNode, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""
        known = self._known.get(node.number, ZERO)
        if event is noted.leader_elected:
            self._known[node.number] = fields["ballot"]
        elif event is noted.taking_over and fields["ballot"] != known:
            self._violated(f"node {node.number} takes over from ballot {fields['ballot']}, and knows ballot {known}")
