"""Passwords are tried on a thread of their own: scrypt is slow on purpose, and the reactor has other things to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from dkv.security.passwords import PasswordHash

THREADS = 1
"""More would take the time of the node itself: it and one of these keep two processors busy."""

WAITING_MAX = 64
"""How many may be tried or wait for that. The last of them waits for some seconds."""


class PasswordChecks:
    """Tries passwords for one node. Its thread is there once the first has come."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=THREADS, name="dkv-passwords")
        self._waiting = 0
        self._is_over = False

    def try_password(
        self,
        hashes: Sequence[PasswordHash],
        password: bytes,
        then: Callable[[bool | None], None],
        is_wanted: Callable[[], bool],
    ) -> bool:
        """Try a password against all of ``hashes``, and tell later whether one matches. False if too many wait.

        ``is_wanted`` is asked on the thread once it is the turn of this one. If nobody waits any more, nothing is
        computed, and None is told.
        """
        if self._waiting >= WAITING_MAX or self._is_over:
            return False
        if not self._pool.started:
            self._pool.start()
        self._waiting += 1

        def try_all() -> bool | None:
            if self._is_over or not is_wanted():
                return None
            # Every hash is computed, whichever matches: the time it takes tells nothing.
            return True in [each.matches(password) for each in hashes]

        def tell(success: bool, result: bool | Failure | None) -> None:
            self._reactor.callFromThread(self._tried, False if isinstance(result, Failure) else result, then)

        self._pool.callInThreadWithCallback(tell, try_all)
        return True

    def _tried(self, right: bool | None, then: Callable[[bool | None], None]) -> None:
        self._waiting -= 1
        if not self._is_over:
            then(right)

    def stop(self) -> None:
        """Try no more: the node stops. What is being tried ends first, which takes a moment."""
        self._is_over = True
        if self._pool.started:
            self._pool.stop()
