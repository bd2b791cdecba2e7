"""Messages from and to lives that are over: they come up again in the next life, which must not believe them.

The first and the last message of each kind between two nodes are kept. When the process at either end has died, and its
next life says or hears something of the kind, or asks for it, a kept message arrives before or after that. No TCP
connection outlives a process, but a message of an actor may answer, or come from, a life that is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from dkv.messages import (
    Accept,
    Accepted,
    AcceptedSlot,
    AcceptSlot,
    Barrier,
    BarrierRequest,
    Confirm,
    Confirmed,
    Heartbeat,
    Poll,
    PollAnswer,
    Prepare,
    PrepareSlot,
    Promise,
    PromiseSlot,
    Submit,
    Want,
)
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_connection import Life
from dkv.state_messages import ChosenSlots, ReadChosen

ANSWER: dict[type, type] = {
    Accept: Accepted,
    AcceptSlot: AcceptedSlot,
    BarrierRequest: Barrier,
    Confirm: Confirmed,
    Poll: PollAnswer,
    Prepare: Promise,
    PrepareSlot: PromiseSlot,
    ReadChosen: ChosenSlots,
    Submit: Want,
}
"""For each kind of message, the kind of its answer."""

STAYS = frozenset((Heartbeat,))
"""A heartbeat says what its receiver has answered. Only that very process can get it, over its own connection."""

TIMES = 6
"""How many times one message comes up again at most, at any moment of the next life."""
RECALL_CHANCE = 0.5


@dataclass(slots=True)
class _Kept:
    """The first and the last message of a kind, as bytes; ``over`` is the life, of either end, that has ended since."""

    bodies: list[bytes]
    over: Life
    times: int = TIMES


class PastLives:
    """Keeps messages by (sender, receiver) and kind; ``say(sender, receiver, body)`` lets one arrive."""

    def __init__(self, schedule: Schedule, random: Random, say: Callable[[int, int, bytes], None]) -> None:
        self.chance = 0.0
        """The probability that a kept message of a kind comes up again."""
        self._schedule = schedule
        self._random = random
        self._say = say
        self._said: dict[tuple[int, int], dict[type, list[bytes]]] = {}
        self._kept: dict[tuple[int, int, type], _Kept] = {}

    def said(self, sender: int, to: int, lives: tuple[Life, Life], message: Any, body: bytes, delay: float) -> None:
        """A message is on its way between these lives; it takes about ``delay`` seconds."""
        if not self.chance:
            return
        kind = type(message)
        held = self._said.setdefault((sender, to), {}).setdefault(kind, [body])
        if held[-1] is not body:
            held[1:] = [body]
        if self._kept:
            self._recall((sender, to, kind), lives, delay)
            answer = ANSWER.get(kind)
            if answer is not None:
                self._recall((to, sender, answer), lives, delay)

    def died(self, number: int, life: Life) -> None:
        """A process has ended."""
        for pair in [pair for pair in self._said if number in pair]:
            for kind, bodies in self._said.pop(pair).items():
                if self._random.random() < self.chance and kind not in STAYS:
                    self._kept[(*pair, kind)] = _Kept(bodies, life)

    def _recall(self, what: tuple[int, int, type], lives: tuple[Life, Life], delay: float) -> None:
        kept = self._kept.get(what)
        if kept is None or kept.over in lives or self._random.random() >= RECALL_CHANCE:
            return  # The sender has not noticed yet that the life is over; or not now.
        kept.times -= 1
        if not kept.times:
            del self._kept[what]
        for body in kept.bodies:
            wait = self._random.choice((0.0, 1.0, 3.0)) * delay
            self._schedule.after(wait, self._say, *what[:2], body)
