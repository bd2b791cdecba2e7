"""Gathering: how long requests may wait for those that other clients are about to make (ADR 0006).

What a batch costs all nodes hardly depends on its size, so two batches of 32 commands cost nearly twice what one of 64
does. Clients that wait for an answer before they ask again fall into groups: the batch of one group is under way while
the requests of the other arrive, and the two never meet. They meet if a batch waits for the clients that were just
answered. It is known how many of these will ask again, so the wait ends with the last of them. It also ends when no
client has come for ``LULL_SECONDS``: such clients are in no hurry, and the gateway waits for them less and less often.
"""

from __future__ import annotations

from dkv.settings import KIB

GATHERED_BYTES_MAX = 256 * KIB
"""Writes that weigh this much are worth a batch of their own, and do not wait."""

LULL_SECONDS = 0.001
WAIT_SECONDS_MAX = 0.005
"""No request waits longer, even while others arrive all the time."""

STALE_SECONDS = 0.02
"""A client that has not asked again by then is no longer expected."""

LULLS_COUNTED_MAX = 10
"""After this many lulls in a row, the gateway waits after one answer in about a thousand."""


class Gathering:
    """Counts the clients that were answered and have not asked again. A *run* is what a client asked at once."""

    def __init__(self) -> None:
        self._expected = 0
        self._stirred_at = 0.0  # when a client asked, or was answered
        self._waiting_since: float | None = None
        self._watching = self._quiet = False
        self._lulls = 0  # in a row
        self._skipped = 0  # how many more answers will not be followed by a wait

    def answered(self, count: int, now: float) -> None:
        """``count`` runs were answered together."""
        self._stirred_at = now
        self._expected = 0 if self._skipped else self._expected + count
        self._skipped = max(0, self._skipped - 1)

    def arrived(self, count: int, now: float) -> None:
        """``count`` runs have come in."""
        if now - self._stirred_at >= STALE_SECONDS:
            self._expected = 0
        elif 0 < self._expected <= count:
            self._lulls = self._expected = 0
        elif self._expected:
            self._expected -= count
        self._stirred_at = now
        self._quiet = False

    def should_wait(self, now: float) -> bool:
        """Whether the requests that have come in should wait for more."""
        if self._expected and self._waiting_since is None:
            self._waiting_since = now
        if self._waiting_since is None or not self._expected or now - self._waiting_since >= WAIT_SECONDS_MAX:
            self._waiting_since = None
            return False
        return True

    def watch(self) -> bool:
        """Requests wait: whether the caller must call ``look`` in ``LULL_SECONDS``; False if it was told so before."""
        if self._watching:
            return False
        self._watching = self._quiet = True
        return True

    def look(self) -> None:
        """``LULL_SECONDS`` are over: if no client has come since ``watch``, none is expected any more."""
        self._watching = False
        if self._quiet and self._expected:
            self._expected = 0
            self._lulls += 1
            self._skipped = 2 ** min(self._lulls, LULLS_COUNTED_MAX)
