"""Read barriers at the leader: which requests a round of Confirms serves (the read index, Ongaro's dissertation, 6.4).

A request that arrives while a round is under way waits for the next one. A confirmation counts for a read only if its
round began after the read arrived: before that, a later leader may have been elected and have chosen writes (I11, B10).
"""

from __future__ import annotations

from dkv.actor import Address
from dkv.configurations import Configuration
from dkv.messages import BarrierRequest


class ReadRounds:
    """The rounds of one ballot, one at a time. ``decided_by`` is the set of which a quorum confirms the last round."""

    def __init__(self, decided_by: Configuration) -> None:
        self.round = 0
        self.decided_by = decided_by
        self.begun_at = 0.0
        self.confirmed: set[int] = set()
        self._asked: dict[Address, BarrierRequest] = {}
        self._waiting: dict[Address, BarrierRequest] = {}

    def request(self, gateway: Address, request: BarrierRequest) -> None:
        """A gateway asks. Its newest request stands for its earlier ones, as a later barrier serves them too."""
        held = self._waiting.get(gateway)
        if held is None or (request.boot, request.number) > (held.boot, held.number):
            self._waiting[gateway] = request

    @property
    def under_way(self) -> bool:
        """Whether a round waits for confirmations."""
        return bool(self._asked)

    @property
    def is_confirmed(self) -> bool:
        """Whether the round under way has its quorum."""
        return self.under_way and self.decided_by.decides(self.confirmed)

    def begin(self, decided_by: Configuration, now: float) -> bool:
        """Begin the next round if none is under way and somebody waits; a quorum of ``decided_by`` must confirm it."""
        if self._asked or not self._waiting:
            return False
        self._asked, self._waiting = self._waiting, {}
        self.round += 1
        self.decided_by = decided_by
        self.begun_at = now
        self.confirmed = set()
        return True

    def begin_again(self) -> None:
        """Those who were to confirm the round no longer decide, and may be gone: the next round serves its requests."""
        asked, self._asked = self._asked, {}
        for gateway, request in asked.items():
            self.request(gateway, request)

    def end(self) -> list[tuple[Address, BarrierRequest]]:
        """The round is confirmed: the requests it serves."""
        served = list(self._asked.items())
        self._asked = {}
        return served
