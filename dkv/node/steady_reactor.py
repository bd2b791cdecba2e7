"""The reactor of a program, as a node needs it: with time that no step of the wall clock can move.

Twisted's own reactors tell the time of day, and make their delayed calls by it: when the clock is set forward all of
them are made at once, and when it is set back none is made until it has caught up. A node in a process of its own
replaces the reactor's clock (``own_process.py``). In a program that is not its own it may not, so its timers are kept
here: they are made when a timer of the kernel expires, which knows nothing of the time of day.

Names of hosts are looked up in threads of the node's own (``dkv.net.lookups``), not in the program's pool. All else is
left to the reactor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Protocol

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IReactorPluggableNameResolver, IReactorTime
from twisted.logger import Logger
from zope.interface import alsoProvides, directlyProvides, providedBy

from dkv.host.calls import PlannedCall
from dkv.net.lookups import Lookups
from dkv.node.timer_descriptor import TimerDescriptor

SOON_SECONDS = 0.05
"""The longest delay of a call that is to be made at once. The reactor's own clock may have been set back just then."""

CANCELLED_MANY = 64
"""Cancelled calls are taken out when there are more than that, and more than others."""


class Timer(Protocol):
    """What ``TimerDescriptor`` is, for tests to replace."""

    def set(self, seconds: float) -> None: ...

    def close(self) -> None: ...


class SteadyReactor:
    """Stands for ``reactor`` from ``open`` to ``close``. What is called later after that is never called."""

    _log = Logger(namespace="dkv.node")

    def __init__(
        self,
        reactor: Any,
        timer_of: Callable[[Callable[[], None]], Timer] = TimerDescriptor,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._timer_of = timer_of
        self._timer: Timer | None = None
        self._armed_for = inf
        self._calls: list[DelayedCall] = []  # a heap
        self._cancelled = 0
        self._soon: list[PlannedCall] = []
        self._soon_call: Any = None
        self.seconds = seconds
        self.nameResolver = Lookups(self)
        directlyProvides(self, providedBy(reactor))
        alsoProvides(self, IReactorTime, IReactorPluggableNameResolver)

    def __getattr__(self, name: str) -> Any:
        """Ports, connections, threads and all else are the reactor's."""
        return getattr(self.__dict__["_reactor"], name)

    def open(self) -> None:
        """Make calls from now on; ``OSError`` if the process has no descriptor left."""
        self._timer = self._timer_of(self._run)
        self._armed_for = inf
        self._reactor.addReader(self._timer)

    def close(self) -> None:
        """Make no calls any more, and forget those that were to come; a second call does nothing."""
        timer, self._timer = self._timer, None
        if timer is None:
            return
        self._reactor.removeReader(timer)
        timer.close()
        if self._soon_call is not None:
            self._soon_call.cancel()
            self._soon_call = None
        for call in [call for call in self._calls if call.active()]:
            call.cancel()
        self._calls, self._soon, self._cancelled = [], [], 0

    # --- IReactorTime ---

    def callLater(  # noqa: N802 - Twisted's name
        self, delay: float, call: Callable[..., Any], /, *args: Any, **words: Any
    ) -> Any:
        """Call after ``delay`` seconds; if that is 0, behind the events at hand."""
        if delay <= 0 and not words:
            return self._call_soon(PlannedCall(call, args))
        later = DelayedCall(self.seconds() + delay, call, args, words, self._on_cancel, self._on_reset, self.seconds)
        if self._timer is not None:
            heappush(self._calls, later)
            self._arm(later.time)
        return later

    def getDelayedCalls(self) -> list[DelayedCall]:  # noqa: N802 - as above
        """The calls that are still to be made after some time."""
        return [call for call in self._calls if call.active()]

    # --- what is due ---

    def _call_soon(self, call: PlannedCall) -> PlannedCall:
        if self._timer is not None:
            if not self._soon:
                self._soon_call = self._reactor.callLater(0, self._run_soon)
                self._arm(self.seconds() + SOON_SECONDS)
            self._soon.append(call)
        return call

    def _arm(self, due: float) -> None:
        if due < self._armed_for and self._timer is not None:
            self._armed_for = due
            self._timer.set(due)

    def _run(self) -> None:
        """The timer has expired: make the calls whose time has come."""
        self._armed_for = inf
        now = self.seconds()
        while self._calls and self._calls[0].time <= now:
            call = heappop(self._calls)
            if call.cancelled:
                self._cancelled -= 1
            elif call.delayed_time > 0:  # put off since it was planned
                call.activate_delay()
                heappush(self._calls, call)
            else:
                call.called = 1
                self._make(partial(call.func, *call.args, **call.kw))
        if self._calls:
            self._arm(self._calls[0].time)
        if self._soon_call is not None:
            self._soon_call.cancel()
            self._run_soon()

    def _run_soon(self) -> None:
        self._soon_call = None
        soon, self._soon = self._soon, []
        for call in soon:
            if self._timer is not None:  # one of them may close this
                self._make(call.make)

    def _make(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception:  # As in a reactor: the other calls are made all the same.
            self._log.failure("a call that was due has failed")

    # --- what becomes of calls ---

    def _on_cancel(self, _: DelayedCall) -> None:
        self._cancelled += 1
        if self._cancelled > max(CANCELLED_MANY, len(self._calls) // 2):
            # This one is not marked as cancelled yet: it stays until the next time.
            self._calls = [call for call in self._calls if not call.cancelled]
            heapify(self._calls)
            self._cancelled = 1

    def _on_reset(self, call: DelayedCall) -> None:
        """It is to be made earlier than it was planned."""
        heapify(self._calls)
        self._arm(call.time)
