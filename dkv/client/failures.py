"""The exceptions of a client. Each class says what a program may conclude from the failure."""

from __future__ import annotations


class DkvError(Exception):
    """A request brought no reply. ``word`` is stable, for programs: the first word of an error of a node, or one of
    ``UNREACHABLE``, ``NO_ANSWER``, ``CLOSED``, ``BACKLOG`` and ``CONTENDED``."""

    def __init__(self, text: str, word: str) -> None:
        super().__init__(text)
        self.word = word


class NotApplied(DkvError):
    """The request was not executed, and never will be."""


class Rejected(NotApplied):
    """A node refused the request for what it asks. Sent again, it is refused again."""


class Unavailable(NotApplied):
    """Nobody could execute the request before its time was up. The same request may succeed later."""


class Contended(NotApplied):
    """The watched keys of a transaction changed each time, until its time was up."""


class Unknown(DkvError):
    """A write was sent, and no answer told what became of it: it was executed, or it still may be, or it never will.
    It is executed once at most."""
