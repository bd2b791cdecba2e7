"""A descriptor that becomes readable at a monotonic time: Linux's timerfd.

A reactor that waits for its descriptors notices it in time, whatever happens to the wall clock. Python has it since
3.13 only, so it is called through the C library.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_CLOCK_MONOTONIC = 1  # the clock of time.monotonic
_ABSOLUTE = 1
_EXPIRATIONS_BYTES = 8
_EARLIEST = 1e-9  # a time of 0 would switch it off


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_libc = ctypes.CDLL(None, use_errno=True)


@implementer(IReadDescriptor)
class TimerDescriptor:
    """Calls ``expired`` when the time comes for which it was ``set``, if a reactor reads it. ``OSError`` if there is
    no descriptor left."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._descriptor: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), f"no timer: {os.strerror(ctypes.get_errno())}")

    def set(self, seconds: float) -> None:
        """Expire at ``seconds`` of ``time.monotonic``, and at no other time that was set before."""
        whole, rest = divmod(max(seconds, _EARLIEST), 1)
        value = _Timespec(int(whole), min(int(rest * 1e9) + 1, 999_999_999))
        _libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(_Setting(_Timespec(0, 0), value)), None)

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # --- for the reactor ---

    def fileno(self) -> int:
        """The descriptor; -1 if it is closed."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        """It is readable: the time has come."""
        with suppress(BlockingIOError):  # it was set anew in the moment in which it expired
            os.read(self._descriptor, _EXPIRATIONS_BYTES)
        self._expired()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - as above
        """The reactor lets go of all that it reads."""
        self.close()

    def logPrefix(self) -> str:  # noqa: N802 - as above
        """What Twisted's log shows for what happens in ``doRead``."""
        return "dkv"
