"""Whom one life of a simulated node talks with: the members by the log, as with a real node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from dkv.configurations import Configurations
from dkv.identity import Acquaintance
from dkv.net.acquaintances import Acquaintances
from dkv.net.mesh import LEAVING_SECONDS
from dkv.wire.codec import Hello

PeersAre = Callable[[Collection[int], float], None]
"""Takes the nodes to talk with, and for how many seconds others are still talked with."""


class Contacts:
    """The contacts of the node whose Hello is ``me``; ``known`` is what its disk keeps of nodes that it met.

    ``hints`` are the nodes of its config file, which it asks for the log as a real one does.
    """

    def __init__(self, me: Hello, known: Mapping[int, Acquaintance], hints: Collection[int], tell: PeersAre) -> None:
        self.acquaintances = Acquaintances(me, (), known)
        """Its judgement of Hellos."""
        self._me = me.node
        self._hints = frozenset(hints)
        self._tell = tell

    def members_are(self, held: Configurations, applied: int) -> None:
        """The roster says who the members are."""
        joins = self._me not in held.known(applied) and not held.was_removed(self._me, applied)
        peers = held.contacts(self._me, applied) | (self._hints if joins else held.later(self._hints))
        self.acquaintances.members_are(held, applied, peers)
        self._tell(peers, LEAVING_SECONDS)
