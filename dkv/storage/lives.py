"""A store's knowledge of its node: the cluster, its first members, its starts, and the other members' lives.

Every start draws a random life id and takes a number that no earlier start had; both are on disk before it does
anything, and peers keep them. So peers notice a directory that was put back or runs twice: it does not know of a start
that they have met, or they have met its start already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from struct import Struct

from dkv.ballot import ZERO, Ballot
from dkv.identity import STARTS_KEPT, Acquaintance, Identity, Start, Votes, in_words, unpack_acquaintance
from dkv.keys import (
    BOOT,
    CLUSTER_KEY,
    FIRST_MEMBERS,
    IDENTITY,
    MEMBER,
    PROMISE,
    SLOT_BALLOT,
    VOTE_COUNT,
    node_of,
    unpack_ballot,
    unpack_number,
)
from dkv.storage.store import Store

_IDENTITY = Struct(">QI")  # incarnation, node; the cluster's name follows
_START = Struct(">QQ")
_COUNT_BYTES = 8
_NODE = Struct(">I")


class MembersDiffer(Exception):
    """The members in the config are not those that a store of an older format has met; the text names both lists."""


def first_writes(
    cluster: str, node: int, incarnation: int, members: Collection[int], cluster_key: bytes
) -> dict[bytes, bytes]:
    """The writes that make an empty store the store of ``node``, never started."""
    return {
        IDENTITY: _IDENTITY.pack(incarnation, node) + cluster.encode(),
        CLUSTER_KEY: cluster_key,
        FIRST_MEMBERS: _pack_members(members),
        BOOT: b"",
    }


def read_identity(store: Store) -> Identity | None:
    """The node that the store belongs to, as of its latest start; None if the store does not say."""
    stored = store.get(IDENTITY)
    if stored is None:
        return None
    incarnation, node = _IDENTITY.unpack_from(stored)
    starts = _unpack_starts(store.get(BOOT) or b"")
    members = tuple(each for (each,) in _NODE.iter_unpack(store.get(FIRST_MEMBERS) or b""))
    cluster = stored[_IDENTITY.size :].decode()
    boot = starts[-1].boot if starts else 0
    return Identity(cluster, node, incarnation, boot, store.get(CLUSTER_KEY) or b"", members, starts)


def check_members(store: Store, identity: Identity, members: Collection[int]) -> Identity:
    """The identity, with the members that the cluster began with.

    A store that knows them takes no others from the config, whatever that lists (B33). One of an older format does not,
    and takes the config's ``members``: ``MembersDiffer`` if it has met others. Its cluster consists of the members that
    it has met, for it met all of them before it first voted.
    """
    if identity.members:
        return identity
    held = {identity.node, *read_members(store)}
    if not _has_voted(store):
        held |= set(members)
    if held != set(members):
        raise MembersDiffer(
            f"belongs to a cluster whose members are {in_words(held)}, but the config file lists {in_words(members)}: "
            f"members are not changed by an edit of the file; list the same nodes as before, on every node"
        )
    return replace(identity, members=tuple(sorted(members)))


def next_life(identity: Identity, seconds: float, life: int) -> tuple[Identity, dict[bytes, bytes]]:
    """The identity of a start at ``seconds`` since 1970 with the random ``life``; and the writes that come first.

    The number is the time, or one more than the last: an older copy of the directory does not give a number again
    because of the time, nor does a clock that was set back, because of the count.
    """
    start = Start(max(identity.boot + 1, int(seconds)), life)
    starts = (*(each for each in identity.starts if each.life), start)[-STARTS_KEPT:]
    writes = {
        BOOT: b"".join(_START.pack(each.boot, each.life) for each in starts),
        FIRST_MEMBERS: _pack_members(identity.members),
    }
    return replace(identity, boot=start.boot, starts=starts), writes


def read_members(store: Store) -> dict[int, Acquaintance]:
    """What the store keeps of every member that was ever met; ``StoreFailed`` if a record is damaged."""
    return {node_of(key): unpack_acquaintance(value) for key, value in store.scan(MEMBER)}


def votes_of(store: Store) -> Votes:
    """The highest ballot that the store's acceptor has promised or accepted, and the number of its votes."""
    stored = (store.get(PROMISE), store.get(SLOT_BALLOT))
    ballot = max((Ballot(*unpack_ballot(each)) for each in stored if each), default=ZERO)
    return Votes(ballot, unpack_number(store.get(VOTE_COUNT)))


def _has_voted(store: Store) -> bool:
    """Whether it ever promised or accepted. Records alone do not tell: a node also learns values that others chose."""
    return store.get(PROMISE) is not None or store.get(SLOT_BALLOT) is not None


def _pack_members(members: Collection[int]) -> bytes:
    return b"".join(map(_NODE.pack, sorted(members)))


def _unpack_starts(stored: bytes) -> tuple[Start, ...]:
    """The starts known to the store: older formats only counted them."""
    if len(stored) == _COUNT_BYTES:
        return (Start(unpack_number(stored), 0),)
    return tuple(Start(*each) for each in _START.iter_unpack(stored))
