"""Who a node is: what its data directory says of it, its lives and its cluster, and what it knows of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from dkv.ballot import ZERO, Ballot


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a node on its directory: the number ``boot``, which only grows, and 64 random bits, ``life``."""

    boot: int
    life: int


STARTS_KEPT = 32
"""Starts that a directory remembers, the latest ones: fewer are all there were since directories know of them."""

NEVER = Start(0, 0)
"""Of a node that was not met since directories know of their lives."""


@dataclass(frozen=True, slots=True)
class Votes:
    """A lower bound of what an acceptor has on disk: its highest ballot in any slot, and how many votes it has cast.

    Each promise and each slot accepted is a vote. Neither number falls, whatever restarts, unless the disk has
    forgotten something; and whatever vote it forgets, the count is lower.
    """

    ballot: Ballot
    count: int

    def covers(self, other: Votes) -> bool:
        """Whether a disk that holds this may have held ``other`` before."""
        return self.ballot >= other.ballot and self.count >= other.count

    def joined(self, other: Votes) -> Votes:
        """What a disk holds at least of which both are known."""
        return Votes(max(self.ballot, other.ballot), max(self.count, other.count))


NO_VOTES = Votes(ZERO, 0)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What a node keeps of another member: its incarnation, its latest life that was met, and votes that are known."""

    incarnation: int
    start: Start = NEVER
    votes: Votes = NO_VOTES


_ACQUAINTANCE = Struct(">QQQQIQ")  # incarnation, boot, life, ballot's round and node, count of votes
_INCARNATION = Struct(">Q")


def pack_acquaintance(held: Acquaintance) -> bytes:
    """The stored form."""
    return _ACQUAINTANCE.pack(held.incarnation, held.start.boot, held.start.life, *held.votes.ballot, held.votes.count)


def unpack_acquaintance(stored: bytes) -> Acquaintance:
    """What was stored; formats 1 and 2 kept the incarnation alone."""
    if len(stored) == _INCARNATION.size:
        return Acquaintance(*_INCARNATION.unpack(stored))
    incarnation, boot, life, round_, node, count = _ACQUAINTANCE.unpack(stored)
    return Acquaintance(incarnation, Start(boot, life), Votes(Ballot(round_, node), count))


@dataclass(frozen=True, slots=True)
class Identity:
    """The cluster's id, the node's id in it, and what tells lives of the node apart.

    ``incarnation`` is 64 random bits drawn by ``dkv init``: it names the data directory. ``boot`` numbers this start;
    it is on disk before the start does anything, and no other start has it. The rest is shown to peers and is of no
    meaning to actors: the random ``cluster_key`` of all directories of the cluster (empty in those made before there
    were keys), the ids of its first ``members``, and the latest ``starts``, this one at the end.
    """

    cluster: str
    node: int
    incarnation: int
    boot: int
    cluster_key: bytes = b""
    members: tuple[int, ...] = ()
    starts: tuple[Start, ...] = ()


def members_hash(members: Iterable[int]) -> bytes:
    """What stands for a list of members, in whatever order, among nodes that compare theirs."""
    return sha256(in_words(members).encode()).digest()[:16]


def in_words(members: Iterable[int]) -> str:
    """The ids for an operator: ``1, 2, 3``."""
    return ", ".join(map(str, sorted(members)))
