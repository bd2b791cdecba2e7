"""The proof that a node can serve: a quorum, or a leader with one, answered what the node said (B41).

To hear the others is not enough, as the node's own messages may be lost. What a node says carries a number, and the
answers say which number they answer. A proof begins with one number and holds for the moment at which that was said.
"""

from __future__ import annotations


class Proof:
    """One proof at a time, so that answers which come late still prove something; times in monotonic seconds."""

    def __init__(self) -> None:
        self._number = 0  # what the proof under way began with; 0: none is under way
        self._asked_at = 0.0

    @property
    def under_way(self) -> bool:
        """Whether an answer is waited for."""
        return self._number > 0

    def ask(self, number: int, now: float) -> bool:
        """Number ``number``, from 1 on, is said now: whether a proof begins with it, as none is under way."""
        if self._number:
            return False
        self._number, self._asked_at = number, now
        return True

    def answered_by(self, number: int) -> bool:
        """Whether an answer to ``number`` is one to the proof under way: that number was said then, or later."""
        return 0 < self._number <= number

    def take(self) -> float:
        """The proof is complete: the moment at which it began."""
        self._number = 0
        return self._asked_at

    def drop(self) -> None:
        """The leader that was asked does not count any more."""
        self._number = 0
