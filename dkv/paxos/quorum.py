"""Quorums: majorities of a fixed set of members."""

from __future__ import annotations

from collections.abc import Collection


def quorum_size(members: int) -> int:
    """The least number of members of which any two such groups share one."""
    return members // 2 + 1


def is_quorum(nodes: Collection[int], members: Collection[int]) -> bool:
    """Whether ``nodes`` holds a majority of ``members``; strangers do not count."""
    return len(set(nodes) & set(members)) >= quorum_size(len(members))
