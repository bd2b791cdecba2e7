"""The replicated time as one acceptor holds it, also while nothing is written and while the node is down.

Each Accept says what time it is at its proposer. From there the time goes on by what passes on clocks of this node, so
a wall clock that is wrong by a constant does no harm. In one life of the node the monotonic clock counts, and the wall
clock where it has gone further: the machine slept. Across a restart there is the wall clock alone, which is why the
time is on disk, with what the wall clock showed then. The time also moves towards the wall clock, slowly.

No acceptor is believed alone: a leader takes the latest time that a quorum of clocks has reached
(``dkv.paxos.lead_time``).
"""

from __future__ import annotations

from typing import Any, Protocol

from dkv.keys import HELD_TIME, pack_held_time, unpack_held_time
from dkv.records import STAMP_MAX

NUDGE = 0.05
"""How much faster or slower than its clocks the time goes, at most, to come nearer to the wall clock."""

KEPT_MS = 100
"""How far an Accept's time may be behind the one that is held without setting it back. Messages take time, so each is
a little old when it comes, and slot after slot that would add up. Beyond it the proposer's time holds."""

DOUBT_SECONDS = 1.0
"""For so long after the node stood still an Accept may have waited for it, nobody knows how long: its time sets nothing
back. Otherwise all deadlines would come late, by as long as a quorum stood still with an Accept on its way."""

UNSET_MS = 24 * 3_600_000
"""A wall clock that is farther behind the time than this, and then leaps farther, was not set yet: a machine that has
lost the time of day begins in 1970, say. The years that it leaps by have not passed."""

STORED_MS = 1_000
"""How often the time goes to disk at most, unless it is set back. The slot's record has a commit to go with."""


class _Turn(Protocol):
    """What is needed of the acceptor's turn: monotonic seconds, the wall clock in milliseconds, and the disk."""

    @property
    def now(self) -> float: ...

    @property
    def woke_at(self) -> float: ...

    @property
    def wall_ms(self) -> int: ...

    def load(self, key: bytes) -> bytes | None: ...

    def persist(self, key: bytes, value: bytes) -> None: ...


class HeldTime:
    """The time, in milliseconds since 1970. Before any Accept has come it is that of the wall clock."""

    def __init__(self) -> None:
        self._heard: tuple[Any, int] | None = None
        self._stored_ms = 0.0
        self._time: float | None = None  # when the clocks stood at the next two
        self._wall_ms = 0
        self._now: float | None = None  # None: that was in an earlier life

    def start(self, turn: _Turn) -> None:
        """Load what an earlier life held."""
        stored = turn.load(HELD_TIME)
        if stored is not None:
            self._time, self._wall_ms = unpack_held_time(stored)

    def now(self, turn: _Turn) -> int:
        """What time it is."""
        return min(int(self._held(turn)), STAMP_MAX)

    def _held(self, turn: _Turn) -> float:
        if self._time is None:
            return turn.wall_ms
        passed = self._passed(turn)
        time = self._time + passed
        return time + max(-NUDGE * passed, min(turn.wall_ms - time, NUDGE * passed))

    def _passed(self, turn: _Turn) -> float:
        assert self._time is not None, "something was heard"
        by_wall: float = turn.wall_ms - self._wall_ms
        if by_wall > UNSET_MS and self._time - self._wall_ms > UNSET_MS:
            by_wall = min(by_wall, turn.wall_ms - self._time)  # it shows the time of day now
        by_monotonic = 0.0 if self._now is None else (turn.now - self._now) * 1000
        return max(by_wall, by_monotonic, 0.0)

    def follow(self, turn: _Turn, order: Any, time: int) -> None:
        """What is accepted in this turn was sent when it was ``time``. It counts unless a later one has come before.

        ``order`` says which of two proposers came later: the ballot, in classic mode the slot and the ballot. A
        later one counts even if its time is an earlier one: what is set in it goes by its time.
        """
        if self._heard is not None and (order, time) <= self._heard:
            return
        self._heard = order, time
        held = self._held(turn)
        set_back = held - time > KEPT_MS and turn.now - turn.woke_at > DOUBT_SECONDS
        self._time = time if set_back else max(held, time)
        self._wall_ms, self._now = turn.wall_ms, turn.now
        if set_back or self._time - self._stored_ms >= STORED_MS:
            self._stored_ms = self._time
            turn.persist(HELD_TIME, pack_held_time(int(self._time), self._wall_ms))
