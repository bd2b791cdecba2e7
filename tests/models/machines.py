"""Machines of the model of time: their clocks, their disks, and what sleeping and restarting does to both."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random

from dkv.paxos.held_time import HeldTime

MS_PER_HOUR = 3_600_000
RIGHT_MS = 200
"""How far a right clock may be from the true time."""


class Machine:
    """One node. The true time is milliseconds since 1970, and no machine knows it."""

    def __init__(self, number: int, random: Random, true: float, wrong: bool, held: Callable[[], HeldTime]) -> None:
        self.id = number
        self.wrong = wrong
        self.up = True
        self.record = (0, 0, 0)
        """The slot that it has accepted last, the ballot and the stamp."""
        self.held = held()
        self.now = random.uniform(1, 10**6)
        self.woke_at = -inf
        self.wall_ms = 0
        self._make_held = held
        self._random = random
        self._disk: dict[bytes, bytes] = {}
        self._rate = 1 + random.uniform(-1, 1) / 50_000
        self._drift = random.uniform(-0.2, 0.2) if wrong and random.random() < 0.3 else 0.0
        self._offset = random.uniform(-RIGHT_MS, RIGHT_MS)
        if wrong:
            self.jump()
        self.pass_time(true, 0.0, asleep=False)

    def pass_time(self, true: float, passed_ms: float, *, asleep: bool) -> None:
        """The true time is ``true`` now: the wall clock has gone on, and the monotonic one unless the machine slept."""
        self._offset += passed_ms * self._drift
        self.wall_ms = int(true + self._offset)
        if not asleep:
            self.now += passed_ms * self._rate / 1000

    def jump(self) -> None:
        """The wall clock is set to something else: often right again, as by somebody who puts it right."""
        self._offset = self._random.choice((0.0, self._random.uniform(-9, 9) * MS_PER_HOUR))

    def restart(self) -> None:
        """A new life, which begins with what is on the disk; its monotonic clock counts from anywhere."""
        self.up = True
        self.now = self._random.uniform(1, 10**6)
        self.held = self._make_held()
        self.held.start(self)

    def accept(self, record: tuple[int, int, int], time: int) -> None:
        """A slot is accepted, and on disk; it was sent when it was ``time``."""
        self.record = max(self.record, record)
        self.held.follow(self, record[1], time)

    def load(self, key: bytes) -> bytes | None:
        """From the disk."""
        return self._disk.get(key)

    def persist(self, key: bytes, value: bytes) -> None:
        """To the disk."""
        self._disk[key] = value
