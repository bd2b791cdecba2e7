"""Something to be done for a caller, sent as often as that takes: one request, or several that go together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint, NoAnswer, ServerError, encode, error_of
from dkv.client.failures import DkvError
from dkv.client.outcome import FORGOTTEN, TAKEN, Ending, asks_elsewhere, changes, failure, may_be_done, repeatable
from dkv.client.outcome import takes_token as may_take_token
from dkv.replies import Error

ENDINGS_MAX = 8
"""How many attempts are remembered, the last ones."""

Token = tuple[bytes, int]


FENCE = ((b"MULTI",), (b"EXEC",))
"""A write that changes nothing, for any user: it has no keys which the user may not touch."""


class Errand:
    """The requests of one errand, of which the last one counts, and how far they have come.

    Several requests are a transaction, ``MULTI ... EXEC``; the last one has the token then. ``settle`` is called once,
    with the reply or the failure. Errands of one ``pipeline`` have an order, which a fault must not change. A ``bound``
    errand is of use only on the connection that there is when it is added: it is never sent twice. The answer to one
    that does not count (``counts``) says nothing about whether a node serves. A ``harmless`` errand changes nothing,
    whatever its words are, and may be sent twice.
    """

    def __init__(
        self,
        requests: Sequence[tuple[bytes, ...]],
        deadline: float,
        settle: Callable[[Reply | DkvError], None],
        *,
        pipeline: object = None,
        token: Token | None = None,
        bound: bool = False,
        counts: bool = True,
        harmless: bool = False,
    ) -> None:
        self.requests = tuple(requests)
        self.deadline = deadline
        self.settle = settle
        self.pipeline = pipeline
        self.token = token
        self.bound = bound
        self.counts = counts
        self.cancelled = False
        """Whether nobody waits for it any more."""
        self.is_fence = False
        """Whether it is to use up the token of another errand."""
        self.was_executed = False
        """Whether an attempt was executed, though its answer is not known."""
        self.is_unclear = False
        """Whether nobody knows if an attempt was executed, and nobody will."""
        self.is_late = False
        """Whether a write behind it, in its pipeline, was executed or may be: it must not be executed any more."""
        self.takes_token = may_take_token(self.requests[-1])
        self.changes = not harmless and (self.takes_token or any(map(changes, self.requests)))
        self.repeatable = not bound and (harmless or self.takes_token or all(map(repeatable, self.requests)))
        self.size = sum(len(word) for words in self.requests for word in words)
        self._own_token = token is None
        self._replies: list[Reply] = []
        self._endings: deque[Ending] = deque(maxlen=ENDINGS_MAX)
        self._floating: Ending | None = None

    def is_of(self, other: Errand) -> bool:
        """Whether both are of one pipeline."""
        return self.pipeline is not None and self.pipeline is other.pipeline

    @property
    def floats(self) -> bool:
        """Whether it changes something, and an earlier attempt may still be executed."""
        return self.changes and self._floating is not None

    @property
    def needs_fence(self) -> bool:
        """Whether it floats, and something of its pipeline may stand behind it. A token of the caller's own, in the
        words, is not the client's to use up."""
        return self.floats and self.pipeline is not None and self.token is not None and not self.was_executed

    def fence(self, settle: Callable[[Reply | DkvError], None]) -> Errand:
        """A harmless write with its token: it uses that up, or is refused because the token was used."""
        assert self.token is not None
        fence = Errand(FENCE, self.deadline, settle, token=self.token, harmless=True)
        fence.is_fence = True
        return fence

    def renew(self) -> None:
        """No attempt was executed, and none will be: it begins anew, with another token."""
        self.token = self._floating = None
        self._endings.clear()

    def encoded(self) -> bytes:
        """The bytes to send."""
        *first, last = self.requests
        if self.token is not None:
            producer, op = self.token
            last = (b"IDMP", producer, b"%d" % op, *last)
        return b"".join(map(encode, (*first, last)))

    def take(self, reply: Reply) -> bool:
        """The reply to its next request has come; whether that was the last one."""
        self._replies.append(reply)
        return len(self._replies) == len(self.requests)

    def forget_replies(self) -> None:
        """It is sent again, from its beginning."""
        self._replies = []

    def outcome(self, endpoint: Endpoint) -> Reply | ServerError | NoAnswer:
        """The outcome of the errand, from the replies to all its requests.

        If one request was refused, the errand is refused for that reason: a transaction, say, or a read whose WATCH was
        refused. If it is the MULTI that was refused, the requests behind it belonged to no transaction, and may have
        been executed one by one.
        """
        *first, last = self._replies
        reasons = [each for each in first if isinstance(each, Error)]
        if not isinstance(last, Error) and not reasons:
            return last
        if reasons and len(reasons) < len(first) and isinstance(first[0], Error):
            return NoAnswer(f"{endpoint} refused the MULTI of a transaction: {first[0].text:.60}")
        refusal = (*reasons, last)[0]
        assert isinstance(refusal, Error)
        return error_of(endpoint, refusal)

    def goes_on(self, ending: ServerError | NoAnswer) -> bool:
        """Note that an attempt ended without a reply; whether the errand is sent again, maybe with another token.

        A token that others have used is exchanged, unless an attempt with it may have been executed.
        """
        floated = self._floating is not None
        self.note(ending)
        if self.bound:
            return False
        if may_be_done(ending):
            return self.repeatable
        if isinstance(ending, ServerError) and ending.word in (FORGOTTEN, TAKEN):
            if floated or not self._own_token or self.token is None:
                return False
            self.token = None
            return True
        return isinstance(ending, ServerError) and asks_elsewhere(ending)

    def note(self, ending: Ending) -> None:
        """An attempt ended like this."""
        self._endings.append(ending)
        if may_be_done(ending):
            self._floating = ending

    def failure(self) -> DkvError:
        """The failure that its caller gets if the errand is not sent again."""
        floating = [] if self._floating is None else [self._floating]
        return failure([*floating, *self._endings], changes=self.changes)
