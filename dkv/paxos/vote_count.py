"""How many votes an acceptor has cast in all its lives: if its disk forgets any vote, the count is too low (B34)."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.keys import VOTE_COUNT, pack_number, unpack_number


class VoteCount:
    """The count, on disk in the same commit as the vote that raised it."""

    def __init__(self) -> None:
        self.votes = 0

    def start(self, turn: Turn) -> None:
        """Read it back; a directory of format 1 or 2 has not counted yet."""
        self.votes = unpack_number(turn.load(VOTE_COUNT))

    def cast(self, turn: Turn) -> None:
        """A promise was raised, or a slot accepted, in this turn."""
        self.votes += 1
        turn.persist(VOTE_COUNT, pack_number(self.votes))
