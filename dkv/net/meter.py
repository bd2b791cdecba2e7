"""Counts what passes through the client port, once for each read and write of a socket and not for each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall

SAMPLE_SECONDS = 1.0


class Meter:
    """Counts since the process began, and the rate of the last second.

    ``is_used`` says whether anybody is connected: a node without clients does not wake to measure nothing.
    """

    def __init__(self, reactor: Any, is_used: Callable[[], bool]) -> None:
        self.connections = 0
        """Accepted, without those that were refused."""
        self.requests = 0
        """Requests taken in. Input that was no request counts as one, as it is answered too."""
        self.input_bytes = 0
        self.output_bytes = 0
        self.requests_per_second = 0.0
        """Over the last whole second that was measured."""
        self.sampled_at = reactor.seconds()
        """When it was measured last, in monotonic seconds: the time, to a second, while anybody is connected."""
        self._reactor = reactor
        self._is_used = is_used
        self._sampled = 0
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = reactor

    @property
    def now(self) -> float:
        """The time, in monotonic seconds."""
        return float(self._reactor.seconds())

    def start(self) -> None:
        """A client has connected: measure the rate, until all have left and a second has passed."""
        if not self._sampling.running:
            self.sampled_at, self._sampled = self._reactor.seconds(), self.requests
            self._sampling.start(SAMPLE_SECONDS, now=False)

    def stop(self) -> None:
        """Measure no more."""
        if self._sampling.running:
            self._sampling.stop()

    def _sample(self) -> None:
        now = self._reactor.seconds()
        self.requests_per_second = (self.requests - self._sampled) / (now - self.sampled_at)
        self.sampled_at, self._sampled = now, self.requests
        if not self.requests_per_second and not self._is_used():
            self.stop()
