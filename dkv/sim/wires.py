"""The wires of the simulated network: bytes are late, lost or repeated, directions are cut, dials are blocked.

While a connection lasts, the bytes of one end arrive in order at the other. A cut direction holds bytes back, as TCP
does, and delivers them in a burst if the connection lives until the direction is open again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

from dkv.sim.schedule import Schedule
from dkv.sim.simulated_connection import SimulatedConnection

Read = Callable[..., None]
"""Called with the connection, the node at whose end bytes came in, and the other arguments of ``carry``."""

LOST = inf
"""The lateness of a message that never arrives, in seconds."""

Lateness = Callable[[int, Any], float]
"""How many seconds longer than usual a message to a node travels, or ``LOST``."""


@dataclass(slots=True)
class Weather:
    """The fate of messages on every connection: delays in seconds, the rest are probabilities."""

    delay: float = 0.0005
    spike_chance: float = 0.0
    spike: float = 0.0
    loss: float = 0.0
    repeat: float = 0.0


class Wires:
    """Carries bytes between nodes. ``weather``, cuts and blocks may change at any time; ``note`` hears of these."""

    def __init__(
        self, schedule: Schedule, random: Random, weather: Weather, note: Callable[[int, str, str], None]
    ) -> None:
        self.weather = weather
        self.hindrance: Lateness | None = None
        """The fate of single messages, which depends on their contents."""
        self._schedule = schedule
        self._random = random
        self._note = note
        self._cut: set[tuple[int, int]] = set()
        self._blocked: set[tuple[int, int]] = set()
        self._lossy: dict[tuple[int, int], float] = {}
        self._holding: dict[SimulatedConnection, None] = {}  # in order, so that a run can be repeated
        """The connections that hold something back for a cut direction."""

    # --- faults ---

    def cut(self, one: int, other: int) -> None:
        """Let nothing pass from ``one`` to ``other``."""
        if (one, other) not in self._cut:
            self._cut.add((one, other))
            self._note(one, "cut", f"to node {other}")

    def mend(self, one: int, other: int) -> None:
        """Let everything pass again, first the bytes that were held back."""
        if (one, other) in self._cut:
            self._cut.discard((one, other))
            self._note(one, "mend", f"to node {other}")
            self._release()

    def block(self, dialler: int, acceptor: int) -> None:
        """Block connections from ``dialler`` to ``acceptor``: a packet filter, a wrong address."""
        if (dialler, acceptor) not in self._blocked:
            self._blocked.add((dialler, acceptor))
            self._note(dialler, "block", f"cannot dial node {acceptor}")

    def unblock(self, dialler: int, acceptor: int) -> None:
        """Allow such connections again."""
        if (dialler, acceptor) in self._blocked:
            self._blocked.discard((dialler, acceptor))
            self._note(dialler, "unblock", f"can dial node {acceptor}")
            self._release()

    def lose(self, one: int, other: int, chance: float) -> None:
        """Lose messages from ``one`` to ``other`` with this probability, until it is set to 0."""
        self._lossy[one, other] = chance
        self._note(one, "lossy", f"to node {other}, {chance:.0%}")

    def mend_all(self) -> None:
        """Open every direction, and let everybody dial everybody."""
        for one, other in sorted(self._cut):
            self.mend(one, other)
        for dialler, acceptor in sorted(self._blocked):
            self.unblock(dialler, acceptor)

    def calm(self) -> None:
        """Lose, repeat and delay nothing any more."""
        self.weather.loss = self.weather.repeat = self.weather.spike_chance = 0.0
        self._lossy.clear()
        self.hindrance = None

    # --- bytes on their way ---

    def loses(self, one: int, other: int) -> bool:
        """Whether the next message from ``one`` to ``other`` is lost."""
        return self._random.random() < max(self.weather.loss, self._lossy.get((one, other), 0.0))

    def lateness(self, to: int, message: Any) -> float:
        """How many seconds longer than usual this message travels, or ``LOST``."""
        return 0.0 if self.hindrance is None else self.hindrance(to, message)

    def stall(self, connection: SimulatedConnection, to: int, seconds: float) -> None:
        """Let nothing that is sent to ``to`` from now on arrive before so many seconds have passed."""
        end = connection.ends[to]
        end.last_arrival = max(end.last_arrival, self._schedule.now + seconds)

    def repeats(self) -> bool:
        """Whether the next message comes twice."""
        return self._random.random() < self.weather.repeat

    def delay(self) -> float:
        """How long something sent now travels, in seconds."""
        weather = self.weather
        spike = weather.spike if self._random.random() < weather.spike_chance else 0.0
        return self._random.uniform(0.2, 1.8) * weather.delay + self._random.random() * spike

    def passes(self, connection: SimulatedConnection, to: int) -> bool:
        """Whether bytes get to the end of ``to``."""
        if self._cut and (connection.beyond(to), to) in self._cut:
            return False
        return not self._blocked or (connection.dialler, connection.acceptor) not in self._blocked

    def carry(self, connection: SimulatedConnection, to: int, reach: Read, *arguments: Any) -> None:
        """Call ``reach(connection, to, *arguments)`` when the thing that is sent to ``to`` now has arrived."""
        end = connection.ends[to]
        if not self.passes(connection, to):
            end.held.append((reach, arguments))
            self._holding[connection] = None
            return
        end.last_arrival = max(end.last_arrival, self._schedule.now + self.delay())
        self._schedule.after(end.last_arrival - self._schedule.now, reach, connection, to, *arguments)

    def _release(self) -> None:
        """Deliver everything that was held back and may pass now."""
        for connection in list(self._holding):
            for number, end in connection.ends.items():
                if end.held and self.passes(connection, number):
                    held, end.held = end.held, []
                    for reach, arguments in held:
                        self.carry(connection, number, reach, *arguments)
            if not any(end.held for end in connection.ends.values()):
                del self._holding[connection]
