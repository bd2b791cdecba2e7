"""What the machines of a run take for the time of day: many are wrong, by up to half a day, and a few jump both ways.

The error of a clock that does not jump must do nothing, on however many machines: only the time that passes counts. And
those that jump are fewer than half of the first members, so that the others can overrule them. All is drawn from a
generator of its own: with these faults the plan of a seed is the same as without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from dkv.sim.schedule import Schedule

EPOCH_MS = 1_795_000_000_000
"""What a right clock shows when a run begins, in milliseconds since 1970."""

HALF_DAY_MS = 12 * 3_600_000


class MachineClock:
    """The time of day as one machine has it, for all lives of its node. It is wrong by ``wrong_ms``."""

    def __init__(self, schedule: Schedule) -> None:
        self.wrong_ms = 0
        self._schedule = schedule

    def __call__(self) -> int:
        """What it shows, in milliseconds since 1970."""
        return EPOCH_MS + self.wrong_ms + round(self._schedule.now * 1000)


class WallClocks:
    """The clocks of all machines. They are right unless ``faulty``. ``note`` hears of each jump."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        members: Collection[int],
        faulty: bool,
        note: Callable[[int, str, str], None],
    ) -> None:
        self._schedule = schedule
        self._random = random
        self._faulty = faulty and random.random() < 0.7
        self._note = note
        self._clocks: dict[int, MachineClock] = {}
        few = random.randint(0, (len(members) - 1) // 2) if self._faulty else 0
        self.jumping = frozenset(random.sample(sorted(members), few))
        """The machines whose clocks jump, fewer than half."""
        self._wait_seconds = random.choice((0.2, 1.0, 5.0))
        self._stopped = False

    def of(self, number: int) -> MachineClock:
        """The clock of the machine of node ``number``."""
        if number not in self._clocks:
            self._clocks[number] = clock = MachineClock(self._schedule)
            if self._faulty:
                clock.wrong_ms = round(self._random.choice((0, 10_000, HALF_DAY_MS)) * self._random.uniform(-1, 1))
        return self._clocks[number]

    def latest_steady_ms(self) -> int:
        """What the latest of the clocks shows that do not jump."""
        return max(clock() for number, clock in self._clocks.items() if number not in self.jumping)

    def begin(self) -> None:
        """Let some clocks jump now and then."""
        if self.jumping:
            self._schedule.after(self._random.expovariate(1 / self._wait_seconds), self._jump)

    def stop(self) -> None:
        """No clock jumps any more; they stay as wrong as they are."""
        self._stopped = True

    def _jump(self) -> None:
        if self._stopped:
            return
        number = self._random.choice(sorted(self.jumping))
        seconds = self._random.choice((0.5, 5.0, 3600.0)) * self._random.uniform(-1, 1)
        clock = self.of(number)
        clock.wrong_ms = max(-HALF_DAY_MS, min(HALF_DAY_MS, clock.wrong_ms + round(seconds * 1000)))
        self._note(number, "jump", f"the time of day jumps by {seconds:.1f} s, and is {clock.wrong_ms} ms wrong")
        self.begin()
