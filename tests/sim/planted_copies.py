"""Ways to let a directory in that has forgotten something, planted one at a time (B34)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

from dkv.actor import Turn
from dkv.identity import Acquaintance
from dkv.keys import VOTE_COUNT, pack_number
from dkv.messages import Accept
from dkv.net.acquaintances import Acquaintances
from dkv.paxos.acceptor import Acceptor
from dkv.wire.codec import Hello
from tests.sim.planted import Plant, plant

COPIES: dict[str, Plant] = {}
"""Those that are looked for with few faults, by their number."""

_forgotten = Acquaintances._forgotten


@plant("B34", COPIES)
def starts_not_asked_for() -> Iterator[None]:
    """Whether a directory remembers the start that its peers have met is not asked."""

    def credulous(self: Acquaintances, hello: Hello, known: Acquaintance) -> str | None:
        return _forgotten(self, replace(hello, starts=(known.start, *hello.starts)), known)

    with patch.object(Acquaintances, "_forgotten", credulous):
        yield


@plant("B34b", COPIES)
def votes_not_compared() -> Iterator[None]:
    """Whether a disk holds the votes that its peers know of is not asked."""

    def credulous(self: Acquaintances, hello: Hello, known: Acquaintance) -> str | None:
        return _forgotten(self, replace(hello, votes=self._votes(hello.node, known)), known)

    with patch.object(Acquaintances, "_forgotten", credulous):
        yield


@plant("B34c", COPIES)
def nobody_is_told() -> Iterator[None]:
    """Peers keep what they know of a member in memory: a restart of theirs forgets it."""
    with patch("dkv.sim.simulated_node.load_members", lambda store: {}):
        yield


@plant("B34d", COPIES)
def some_votes_do_not_count() -> Iterator[None]:
    """A slot that is accepted raises no count: no promise is forgotten with it."""
    accept = Acceptor._accept

    def uncounted(self: Acceptor, turn: Turn, message: Accept) -> bool:
        votes = self._count.votes
        accepted = accept(self, turn, message)
        self._count.votes = votes
        turn.persist(VOTE_COUNT, pack_number(votes))
        return accepted

    with patch.object(Acceptor, "_accept", uncounted):
        yield
