"""Simulated time: the calls to come, and the clock that one node sees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from dkv.host.calls import PlannedCall


class Schedule:
    """All calls to come, in the order of time, then of scheduling. ``now`` is in simulated seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, PlannedCall]] = []
        self._count = 0

    def after(self, seconds: float, call: Callable[..., Any], *arguments: Any) -> PlannedCall:
        """Make the call ``seconds`` from now."""
        return self.at(self.now + max(seconds, 0.0), call, *arguments)

    def at(self, time: float, call: Callable[..., Any], *arguments: Any) -> PlannedCall:
        """Make the call at ``time``, which is not past, behind all calls already scheduled for that time."""
        planned = PlannedCall(call, arguments)
        self._count += 1
        heappush(self._heap, (time, self._count, planned))
        return planned

    def step(self, until: float) -> bool:
        """Make the next call that is due by ``until``. If there is none, go on to ``until`` and return False."""
        while self._heap and self._heap[0][0] <= until:
            time, _, planned = heappop(self._heap)
            if planned.active():
                self.now = time
                planned.make()
                return True
        self.now = max(self.now, until)
        return False


class _Timer(PlannedCall):
    """A call at a time of a node's clock; ``armed`` is the call of the schedule that will make it."""

    __slots__ = ("armed", "clock", "time")

    def __init__(self, clock: NodeClock, time: float, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        super().__init__(call, arguments)
        self.clock = clock
        self.time = time
        self.armed: PlannedCall | None = None

    def cancel(self) -> None:
        """Cancel the call."""
        super().cancel()
        if self.armed is not None:
            self.armed.cancel()
        self.clock.forget(self)


class NodeClock:
    """The monotonic clock of one life of a node. It may run fast or slow and leap ahead; the node may be paused.

    A paused node handles nothing. Calls that fall due meanwhile are made in order when it goes on, as after SIGSTOP
    and SIGCONT. Its clock runs on.
    """

    def __init__(self, schedule: Schedule, rate: float) -> None:
        self.paused = False
        self._schedule = schedule
        self._rate = rate
        self._reading = 1000.0
        self._read_at = schedule.now
        self._timers: dict[_Timer, None] = {}
        self._held: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._stopped = False

    def seconds(self) -> float:
        """The time that the clock shows."""
        return self._reading + (self._schedule.now - self._read_at) * self._rate

    def callLater(self, delay: float, call: Callable[..., Any], /, *args: Any) -> _Timer:  # noqa: N802 - Twisted's name
        """Make the call when the clock shows ``delay`` seconds more."""
        timer = _Timer(self, self.seconds() + delay, call, args)
        self._timers[timer] = None
        self._arm(timer)
        return timer

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Let the node handle something now, or when it goes on; nothing if its life is over."""
        if self._stopped:
            return
        if self.paused:
            self._held.append((call, arguments))
        else:
            call(*arguments)

    def leap(self, seconds: float) -> None:
        """Leap ahead by ``seconds``."""
        self._reading, self._read_at = self.seconds() + seconds, self._schedule.now
        for timer in list(self._timers):
            if timer.armed is not None:
                timer.armed.cancel()
            self._arm(timer)

    def pause(self) -> None:
        """Handle nothing."""
        self.paused = True

    def resume(self) -> None:
        """Handle all that fell due meanwhile, then go on."""
        self.paused = False
        held, self._held = self._held, deque()
        for call, arguments in held:
            self.run(call, *arguments)

    def stop(self) -> None:
        """The life is over: nothing happens any more."""
        self._stopped = True
        self._held.clear()
        for timer in list(self._timers):
            timer.cancel()

    def forget(self, timer: _Timer) -> None:
        """The call was cancelled, or was made."""
        self._timers.pop(timer, None)

    def _arm(self, timer: _Timer) -> None:
        wait = (timer.time - self.seconds()) / self._rate
        timer.armed = self._schedule.after(wait, self._due, timer)

    def _due(self, timer: _Timer) -> None:
        self.forget(timer)
        self.run(timer.make)
