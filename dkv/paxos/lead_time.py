"""The replicated time of one lead: the stamps that its proposals get. No single clock decides it.

A lead begins at the latest time that a quorum of the acceptors' clocks has reached (``dkv.paxos.held_time``), or at the
highest stamp that is known, if that is later. A quorum has a node with a right clock while a minority is wrong, so the
time is never ahead of the right one. Then it goes on by the leader's monotonic clock, and follows the wall clocks that
the voters send with their answers to heartbeats, again as far as a quorum has reached. It follows slowly, so that no
deadline comes much earlier than it should, whatever the time was when it was set.

The monotonic clock stands still while the machine sleeps. A leader that finds that out by its wall clock gives no stamp
any more, and gives its lead up: the next lead asks the acceptors what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from dkv.configurations import Configuration
from dkv.records import STAMP_MAX

RATE = 0.05
"""How much faster or slower than the leader's clock the time goes, at most."""

LEAP_MS = 10_000
"""How far the leader's wall clock gets ahead of its monotonic one in a moment, if the machine has slept."""


def reached(clocks: Mapping[int, float], configuration: Configuration) -> float | None:
    """The latest time that a quorum of voters has reached, by the clock of each node; None if no quorum is there."""
    nodes = set()
    for node in sorted(clocks, key=lambda node: clocks[node], reverse=True):
        nodes.add(node)
        if configuration.decides(nodes):
            return clocks[node]
    return None


class LeadTime:
    """Each clock is given as the milliseconds by which it is ahead of the leader's monotonic clock.

    ``promised`` has those of the acceptors that promised this ballot, a quorum of ``configuration``, which decides the
    first slot; ``wall`` is this machine's wall clock.
    """

    def __init__(self, promised: Mapping[int, float], configuration: Configuration, wall: float) -> None:
        self._promised = dict(promised)
        self._configuration = configuration
        self._least = 0
        self._stamped = False
        self._ahead = 0.0
        self._to_make_up = 0.0
        self._made_up_at: float | None = None
        self._wall = wall
        self._slept = False
        self._begin()

    def _begin(self) -> None:
        ahead = reached(self._promised, self._configuration)
        assert ahead is not None, "a lead begins with a quorum of promises"
        self._ahead = ahead

    def promised(self, node: int, clock: float) -> None:
        """One more acceptor has promised the ballot. Until a stamp is given its clock still counts."""
        if not self._stamped:
            self._promised[node] = clock
            self._begin()

    def saw(self, stamp: int) -> None:
        """A slot has this stamp, or the state: the time is at least that."""
        self._least = max(self._least, stamp)

    def now(self, now: float) -> int:
        """What time it is, in milliseconds since 1970; ``now`` is the leader's monotonic clock, in seconds."""
        self._make_up(now)
        if now * 1000 + self._ahead < self._least:
            self._ahead = self._least - now * 1000
        return min(int(now * 1000 + self._ahead), STAMP_MAX)

    def stamp(self, now: float) -> int:
        """The stamp of a slot that is proposed now; it never falls."""
        self._stamped = True
        self._least = self.now(now)
        return self._least

    def leapt(self, now: float, wall_ms: int) -> bool:
        """Whether this machine's wall clock has ever leapt ahead: it has slept, or the clock was set."""
        wall, before = wall_ms - now * 1000, self._wall
        self._wall = wall
        self._slept = self._slept or wall - before > LEAP_MS
        return self._slept

    def _make_up(self, now: float) -> None:
        """Come nearer to the wall clocks, as far as that is allowed in the time that has passed."""
        before, self._made_up_at = self._made_up_at, now
        most = 0.0 if before is None else RATE * (now - before) * 1000
        step = max(-most, min(self._to_make_up, most))
        self._ahead += step
        self._to_make_up -= step

    def clocks_are(self, now: float, walls: Mapping[int, float], configuration: Configuration) -> None:
        """Wall clocks of voters, each as it was moments ago; ``configuration`` is the set in force."""
        self._make_up(now)
        right = reached(walls, configuration)
        if right is not None:
            self._to_make_up = right - self._ahead
