"""The pace of a leader: a node that catches up must get nearer, whatever clients ask for (B20).

A node that was down fetches what it missed while new slots come all the time. If they come faster than it can take
them it never arrives. So the leader looks at how far each node is behind. As long as one of them gets on, its lag may
not grow, and must shrink: the leader proposes nothing beyond that. It holds back the slots and not the clients, whose
requests gather into larger batches meanwhile.

A node that does not get on holds nobody back: it is down, or it waits for a snapshot. And a slot is proposed now and
then in any case, so that a node with a slow disk cannot stop the cluster. A standby must come near before it can be
promoted, so it is waited for too, but not for ever: the cluster does not need it yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dkv import noted
from dkv.actor import Turn

LAG_SLOTS_MIN = 1_000
"""How far a node may be behind without holding anybody back. Marks that are on their way make much less."""

SHRINK_PER_SECOND = 0.8
"""What is left of the lag that is allowed after one second."""

PROGRESS_SECONDS = 2.0
"""How long ago a node that gets on has got on at last."""

SLOT_SECONDS_MAX = 0.02
"""How long the leader may hold a slot back."""

STANDBY_SECONDS = 120.0
"""How long after a lead has first met a standby it may hold slots back for it."""


@dataclass(slots=True)
class _Laggard:
    """A node that is behind. ``allowed`` is how far it may be, in slots; 0 until it gets on."""

    through: int
    got_on_at: float
    allowed: float = 0.0


class Pace:
    """The pace of one lead. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._members: Collection[int] = ()
        self._standbys_since: dict[int, float] = {}
        self._laggards: dict[int, _Laggard] = {}
        self._proposed_at = 0.0
        self._waiting = False
        self._noted: list[int] = []

    def know(self, members: Collection[int], standbys: Collection[int], now: float) -> None:
        """The members are these from now on, ``standbys`` among them: only they may hold slots back."""
        self._members = members
        self._standbys_since = {node: self._standbys_since.get(node, now) for node in standbys}
        self._laggards = {node: laggard for node, laggard in self._laggards.items() if node in members}

    def heard(self, node: int, through: int, chosen_through: int, now: float) -> None:
        """``node`` holds every chosen slot up to ``through``, and the leader has counted up to ``chosen_through``."""
        lag = chosen_through - through
        if lag <= LAG_SLOTS_MIN:
            if self._laggards:
                self._laggards.pop(node, None)
            return
        if node not in self._members:
            return
        laggard = self._laggards.get(node)
        if laggard is None:
            self._laggards[node] = _Laggard(through, now)
            return
        if through > laggard.through:
            before = laggard.allowed or lag
            laggard.allowed = max(LAG_SLOTS_MIN, before * SHRINK_PER_SECOND ** (now - laggard.got_on_at))
            laggard.through, laggard.got_on_at = through, now

    def holding_back(self, now: float) -> dict[int, int]:
        """The nodes for which slots are held back, and up to which slot these nodes have come."""
        return {
            node: laggard.through
            for node, laggard in self._laggards.items()
            if laggard.allowed and now - laggard.got_on_at < PROGRESS_SECONDS
            if now - self._standbys_since.get(node, now) < STANDBY_SECONDS
        }

    def wait(self, slot: int, now: float) -> float:
        """For how many seconds ``slot`` must be held back; 0 if it may be proposed, as if it is proposed then."""
        if self._laggards and any(
            slot > through + self._laggards[node].allowed for node, through in self.holding_back(now).items()
        ):
            wait = self._proposed_at + SLOT_SECONDS_MAX - now
            if wait > 0:
                return wait
        self._proposed_at = now
        return 0.0

    def holds_back(self, turn: Turn, slot: int, chosen_through: int) -> bool:
        """Whether ``slot`` must let a node that catches up come nearer first. Then timer ``pace`` is set."""
        wait = self.wait(slot, turn.now)
        if wait and not self._waiting:
            self._waiting = True
            turn.set_timer("pace", wait)
            self.note(turn, chosen_through)
        return wait > 0

    def waited(self) -> None:
        """The timer ``pace`` has fired."""
        self._waiting = False

    def note(self, turn: Turn, chosen_through: int) -> None:
        """Note for whom slots are held back, if that has changed."""
        laggards = sorted(self.holding_back(turn.now))
        if laggards != self._noted:
            self._noted = laggards
            turn.note(noted.held_back, nodes=laggards, chosen_through=chosen_through)
