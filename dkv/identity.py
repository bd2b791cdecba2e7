"""Who a node is: what its data directory says, and the count of this start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The cluster's id, the node's id in it, and what tells lives of the node apart.

    ``incarnation`` is 64 random bits drawn by ``dkv init``: it names the data directory. ``boot`` counts the
    node's starts on that directory from 1 and is on disk before the start does anything.
    """

    cluster: str
    node: int
    incarnation: int
    boot: int
