"""How many votes an acceptor has cast in all its lives: if its disk forgets any vote, the count is too low (B34)."""

from __future__ import annotations

from collections.abc import Iterable

from dkv.actor import ACCEPTOR, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.keys import VOTE_COUNT, pack_number, unpack_number
from dkv.messages import Voted

VOTED_SECONDS = 0.5
"""How long after a vote the others are told of it and of those since. The leader knows it from the vote itself."""

_NOTHING = Voted(ZERO, 0)


class VoteCount:
    """The count, on disk in the same commit as the vote that raised it."""

    def __init__(self) -> None:
        self.votes = 0
        self._telling = False

    def start(self, turn: Turn) -> None:
        """Read it back; a directory of format 1 or 2 has not counted yet."""
        self.votes = unpack_number(turn.load(VOTE_COUNT))

    def cast(self, turn: Turn) -> None:
        """A promise was raised, or a slot accepted, in this turn. The others hear of it when timer ``voted`` is due."""
        self.votes += 1
        turn.persist(VOTE_COUNT, pack_number(self.votes))
        if not self._telling:
            self._telling = True
            turn.set_timer("voted", VOTED_SECONDS)

    def tell_later_votes(self) -> None:
        """The timer was due: what is cast from now on is told by the next one."""
        self._telling = False

    def tell(self, turn: Turn, nodes: Iterable[int], highest: Ballot) -> None:
        """Say what this disk holds. If it is ever set back, its peers know that votes are missing (B34).

        ``highest`` is the highest ballot promised or accepted in any slot.
        """
        voted = Voted(highest, self.votes)
        for node in nodes if voted != _NOTHING else ():
            turn.send(Address(node, ACCEPTOR), voted)
