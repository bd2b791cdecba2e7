"""Digests of the chosen log: how nodes find out that they did not apply the same one.

Each learner chains a digest over the slots that it applies, in order, and stores it with ``applied_through``. It tells
its digest to the learners of its peers when a connection is made, and a heartbeat's time after it has changed, so an
idle cluster is silent. Two nodes with different digests for the same slots hold different logs (I8).

A node that differs from a quorum of the voters, of at least two, fences itself, as it cannot be right. A node that
differs from fewer says so and goes on: a bad replica must not make the good ones give up (B38).
"""

from __future__ import annotations

from collections import deque
from sys import maxsize

from dkv import noted
from dkv.actor import LEARNER, Address, Fenced, Turn
from dkv.keys import DIGEST
from dkv.paxos.known_members import KnownMembers
from dkv.records import NO_DIGEST, Value, digest_after
from dkv.state_messages import AppliedDigest

KEPT = 4_096
"""How many of the newest slots' digests are kept. A peer that is further behind compares when it gets here."""

AGREEING_MIN = 2
"""How many voters must hold something else, at least, before a node takes itself for the bad replica."""

TIMER = "digest"


class Digests:
    """The digests of what a node has applied, held against those of the others among the ``members``.

    Whoever made it keeps ``members`` up to date.
    """

    def __init__(self, members: KnownMembers, tell_seconds: float) -> None:
        self._members = members
        self._tell_seconds = tell_seconds
        self._through = 0
        self._newest: deque[bytes] = deque((NO_DIGEST,), KEPT)
        self._claims: dict[int, list[AppliedDigest]] = {}
        """What peers said of slots that are not applied here yet: of each the first claim, which will be reached, and
        the newest."""
        self._next_claimed = maxsize
        self._differing: set[int] = set()
        self._telling = False

    def start(self, turn: Turn, through: int) -> None:
        """Load the digest of all slots up to ``through``, which are applied."""
        digest = turn.load(DIGEST)
        assert (digest is None) == (through == 0), f"the state of slot {through} has the digest {digest!r}"
        self._through = through
        self._newest = deque((digest or NO_DIGEST,), KEPT)

    def add(self, value: Value) -> bytes:
        """The next slot is applied, and has this value; returns the digest of the log with it."""
        self._through += 1
        digest = digest_after(self._newest[-1], value)
        self._newest.append(digest)
        return digest

    def applied(self, turn: Turn) -> None:
        """Slots were added in this turn: store their digest with the mark, look at what peers said, tell them soon."""
        turn.stage(DIGEST, self._newest[-1])
        if self._through >= self._next_claimed:
            self._settle(turn)
        if not self._telling:
            self._telling = True
            turn.set_timer(TIMER, self._tell_seconds)

    def tell_all(self, turn: Turn) -> None:
        """The timer has fired."""
        self._telling = False
        for node in self._members.others:
            self.tell(turn, node)

    def tell(self, turn: Turn, node: int) -> None:
        """Tell ``node`` how far this node has applied, and the digest of that."""
        if self._through:
            turn.send(Address(node, LEARNER), AppliedDigest(self._through, self._newest[-1]))

    def heard(self, turn: Turn, node: int, claim: AppliedDigest) -> None:
        """Compare what ``node`` has applied, now or when this node has come as far; ``Fenced`` as above."""
        if not self._members.is_known(node):
            return  # It was removed, or is none yet: what it holds is no measure for this node.
        if claim.through <= self._through:
            self._compare(turn, node, claim)
        else:
            self._claims.setdefault(node, [])[1:] = [claim]
            self._note_next()

    def _settle(self, turn: Turn) -> None:
        for node, claims in self._claims.items():
            while claims and claims[0].through <= self._through:
                self._compare(turn, node, claims.pop(0))
        self._note_next()

    def _note_next(self) -> None:
        self._next_claimed = min((claims[0].through for claims in self._claims.values() if claims), default=maxsize)

    def _compare(self, turn: Turn, node: int, claim: AppliedDigest) -> None:
        back = self._through - claim.through
        if back >= len(self._newest):
            return  # Too long ago: this node's own claims are compared there, when that node gets so far.
        if self._newest[-1 - back] == claim.digest:
            if node in self._differing:
                self._differing.remove(node)
                turn.note(noted.digest_agrees, peer=node, slot=claim.through, differing=sorted(self._differing))
        elif node not in self._differing:
            self._differing.add(node)
            turn.note(noted.digest_differs, peer=node, slot=claim.through, differing=sorted(self._differing))
            if self._must_be_wrong():
                others = ", ".join(map(str, sorted(self._differing)))
                raise Fenced(f"what was applied here up to slot {claim.through} is not what nodes {others} applied")

    def _must_be_wrong(self) -> bool:
        """Whether enough voters hold something else: one voter that decides alone may be the one that is wrong."""
        newest = self._members.configurations.newest
        return newest.decides(self._differing) and len(newest.voters & self._differing) >= AGREEING_MIN
