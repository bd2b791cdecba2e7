"""A node's identity: its cluster, data directory and lives, and what it knows of those of other members."""

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
"""How many starts a directory remembers: the latest ones."""

NEVER = Start(0, 0)
"""The start of a node that was not met since directories remember starts."""


@dataclass(frozen=True, slots=True)
class Votes:
    """A lower bound of an acceptor's votes on disk: the highest ballot in any slot, and the number of votes cast.

    Each promise and each accepted slot is a vote. Neither number falls unless the disk has forgotten something, and
    the count is lower whichever vote the disk forgets (B34).
    """

    ballot: Ballot
    count: int

    def covers(self, other: Votes) -> bool:
        """Whether a disk that holds these votes now may have held ``other`` before."""
        return self.ballot >= other.ballot and self.count >= other.count

    def joined(self, other: Votes) -> Votes:
        """The votes that a disk holds at least if both are known of it."""
        return Votes(max(self.ballot, other.ballot), max(self.count, other.count))


NO_VOTES = Votes(ZERO, 0)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """A node's knowledge of another member: its incarnation, the latest life that was met, and its known votes."""

    incarnation: int
    start: Start = NEVER
    votes: Votes = NO_VOTES


_ACQUAINTANCE = Struct(">QQQQIQ")  # incarnation, boot, life, ballot's round and node, count of votes
_INCARNATION = Struct(">Q")


def pack_acquaintance(held: Acquaintance) -> bytes:
    """The stored form."""
    return _ACQUAINTANCE.pack(held.incarnation, held.start.boot, held.start.life, *held.votes.ballot, held.votes.count)


def unpack_acquaintance(stored: bytes) -> Acquaintance:
    """The acquaintance that was stored; formats 1 and 2 kept only the incarnation."""
    if len(stored) == _INCARNATION.size:
        return Acquaintance(*_INCARNATION.unpack(stored))
    incarnation, boot, life, round_, node, count = _ACQUAINTANCE.unpack(stored)
    return Acquaintance(incarnation, Start(boot, life), Votes(Ballot(round_, node), count))


@dataclass(frozen=True, slots=True)
class Identity:
    """The cluster's id, the node's id in it, and the numbers that tell the node's lives apart.

    ``incarnation`` is 64 random bits that ``dkv init`` drew: it names the data directory. ``boot`` numbers this start;
    it is on disk before the start does anything, and no other start has it. The rest is for peers and means nothing to
    actors: the random ``cluster_key`` of all directories of the cluster (empty in directories from before there were
    keys), the ids of its first ``members``, and the latest ``starts``, this one at the end.
    """

    cluster: str
    node: int
    incarnation: int
    boot: int
    cluster_key: bytes = b""
    members: tuple[int, ...] = ()
    starts: tuple[Start, ...] = ()


def members_hash(members: Iterable[int]) -> bytes:
    """A hash of a list of members, in any order: nodes compare it with that of their own list."""
    return sha256(in_words(members).encode()).digest()[:16]


def in_words(members: Iterable[int]) -> str:
    """The ids for an operator: ``1, 2, 3``."""
    return ", ".join(map(str, sorted(members)))
