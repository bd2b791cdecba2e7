"""A faster loop for Twisted's epoll reactor, and a faster way to send over TCP.

Both do what Twisted does, with fewer steps. Both use names that the next version of Twisted may not have: they are in
``LOOP_NAMES`` and ``TRANSPORT_NAMES``, which a test tries. No other file of dkv uses anything private to Twisted.
A node whose config says ``fast_reactor = false`` uses Twisted's public interfaces alone.

**The loop.** For each event of a socket, Twisted sets up a context for log lines, which nothing here reads, and looks
the descriptor up several times; each ``callLater(0)`` goes through a heap. Nearly all events say only "there is
something to read", and for these one call remains. Calls that are due at once are a list, which is worked off when the
events have been handled. Everything else is left to the reactor.

**Sending.** ``transport.write`` asks the kernel to tell when the socket is writable, which it nearly always is. At the
reactor's next turn the kernel says so, the bytes are sent, and the kernel is asked to tell no more. That is three
system calls and a turn of the reactor where one call does.

What both gain is in docs/performance.md.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.tcp import Connection
from twisted.python import log

from dkv.host.calls import PlannedCall
from dkv.net.sending import Send, SenderOf, by_write

LOOP_NAMES = ("_selectables", "_poller", "_doReadOrWrite", "_disconnectSelectable", "doIteration")
"""What the loop uses of an ``EPollReactor``. The last is public; that a running reactor looks it up anew is not."""

TRANSPORT_NAMES = ("_tempDataBuffer", "_aborting", "dataBuffer")
"""What sending uses of a TCP ``Connection``. The last is public; what it holds is not."""

_READABLE = int(select.EPOLLIN)

_as_twisted_does: Callable[..., None] = log.callWithLogger
_log_error: Callable[[], None] = log.err


def missing_names(reactor: Any) -> list[str]:
    """Which of the private names this version of Twisted does not have."""
    lacking = []
    if type(reactor) is EPollReactor:
        lacking += [f"EPollReactor.{name}" for name in LOOP_NAMES if not hasattr(reactor, name)]
    descriptor = FileDescriptor(reactor)  # what a Connection is made of: some names are there only in an instance
    for name in TRANSPORT_NAMES:
        if not (hasattr(Connection, name) or hasattr(descriptor, name)):
            lacking.append(f"Connection.{name}")
    return lacking


def install(reactor: Any) -> tuple[Any, SenderOf]:
    """Give ``reactor`` the faster loop. The clock for a host that runs in it, and how its connections send.

    A reactor of another kind keeps its own loop and is the clock itself. Call this once for each reactor.
    """
    clock = FastLoop(reactor) if type(reactor) is EPollReactor else reactor
    return clock, send_at_once


class FastLoop:
    """Takes the place of the ``doIteration`` of ``reactor``; a clock, as the host wants one."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._soon: list[PlannedCall] = []
        self.seconds: Callable[[], float] = reactor.seconds
        reactor.doIteration = self.iterate  # looked up anew for each iteration

    def callLater(self, delay: float, call: Callable[..., Any], /, *args: Any) -> Any:  # noqa: N802 - Twisted's name
        """Call after ``delay`` seconds; if that is 0, behind the events at hand."""
        if delay > 0:
            return self._reactor.callLater(delay, call, *args)
        soon = PlannedCall(call, args)
        self._soon.append(soon)
        return soon

    def iterate(self, timeout: float | None) -> None:
        """Wait up to ``timeout`` seconds for events (None: for ever), handle them, then do what is to be done soon."""
        if self._soon:
            timeout = 0
        reactor = self._reactor
        selectables = reactor._selectables
        for descriptor, event in reactor._poller.poll(-1 if timeout is None else timeout, len(selectables)):
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue  # closed by what was done for an event before
            if event != _READABLE:
                _as_twisted_does(selectable, reactor._doReadOrWrite, selectable, descriptor, event)
                continue
            try:
                why = selectable.doRead()
            except BaseException as error:  # as in Twisted: it is logged, and ends the connection
                _log_error()
                why = error
            if why:
                _as_twisted_does(selectable, reactor._disconnectSelectable, selectable, why, True)
        soon, self._soon = self._soon, []
        for call in soon:
            try:
                call.make()
            except BaseException:  # as in Twisted: the other calls are made all the same
                _log_error()


def send_at_once(transport: Any) -> Send:
    """What sends bytes through ``transport``, in order; over plain TCP at once, as much of it as the socket takes."""
    write = by_write(transport)
    if not isinstance(transport, Connection) or transport.TLS:
        return write
    send = transport.getHandle().send

    def send_now(data: bytes) -> None:
        if not (
            transport.dataBuffer
            or transport._tempDataBuffer  # what is written behind dataBuffer
            or transport.disconnecting
            or transport.disconnected
            or transport._aborting  # to be closed a moment later
        ):
            try:
                sent = send(data)
            except OSError:  # the socket takes nothing now, or is gone: the reactor will find out which
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        write(data)

    return send_now
