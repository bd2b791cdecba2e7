"""Quorums: majorities of a fixed set of members. Any two share a member, on which all of Paxos rests."""

from __future__ import annotations

from collections.abc import Collection


def quorum_size(members: int) -> int:
    """The least number of members such that any two groups of that many share one."""
    return members // 2 + 1


def is_quorum(nodes: Collection[int], members: Collection[int]) -> bool:
    """Whether ``nodes`` holds a majority of ``members``; strangers do not count."""
    return len(set(nodes) & set(members)) >= quorum_size(len(members))
