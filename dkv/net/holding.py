"""Holding: the session of a connection has to see a result before it can tell what the next request means.

``WATCH`` says at which revision it saw a key, and the ``EXEC`` behind it names that revision. A client that writes both
at once would have them interpreted before the first is answered. So the request *holds* its connection: what the client
sent behind it stays as it is, not interpreted, until all up to it is answered and the session has seen its result.

``AUTH`` holds it too: what the requests behind it may do is known when the password is checked. No answer of the log is
waited for; whoever checks it says when that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dkv.replies import Local, Nested, Result

Words = list[bytes]
"""A request as the client sent it."""


class Hold:
    """A connection is held by a request: the last of ``outstanding`` ones that are not answered.

    ``behind`` has what was parsed behind it, with the sizes of the requests on the wire.
    """

    __slots__ = ("_outstanding", "_settle", "behind")

    def __init__(self, settle: Callable[[Nested], Local], outstanding: int, behind: list[tuple[Words, int]]) -> None:
        self.behind = behind
        self._settle = settle
        self._outstanding = outstanding

    @property
    def is_over(self) -> bool:
        """Whether the result was seen."""
        return self._outstanding <= 0

    def see(self, replies: Sequence[Result | Local]) -> Sequence[Result | Local]:
        """The oldest requests were answered: their replies, of which the session makes the one that it waits for."""
        place = self._outstanding - 1
        self._outstanding -= len(replies)
        if not self.is_over:
            return replies
        answer = replies[place]
        result = answer.reply if type(answer) is Local else answer  # It was refused before it got a number.
        return [*replies[:place], self._settle(result), *replies[place + 1 :]]


class AwaitedReply:
    """A connection is held by a request whose reply is being made elsewhere. ``behind`` is that of ``Hold``."""

    __slots__ = ("behind",)

    is_over = False

    def __init__(self, behind: list[tuple[Words, int]]) -> None:
        self.behind = behind

    def see(self, replies: Sequence[Result | Local]) -> Sequence[Result | Local]:
        """Requests before it were answered, which says nothing of this one."""
        return replies
