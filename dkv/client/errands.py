"""The errands of one client in their order, over one connection after another. It does no I/O and reads no clock.

An errand without an answer is sent again, on the next connection and at another node, until it has one or its time is
up. These rules keep its effect single:

1. A write carries its token each time. A write that can have none, and may have been executed, is not sent again.
2. No more than ``WINDOW`` errands are under way. A cluster remembers the answers of a producer's 1,024 highest ops, so
   a token is not forgotten while its errand waits.
3. A new connection gets one errand. The others follow when that has an answer, so a node that refuses everything
   refuses one.

And these keep the effects of a pipeline in its order, whatever is sent again:

4. If writes have no answer, some of them may have been executed, and some may still be: they *float*. Sent again as
   they are, one could come behind another that stood behind it. So the token of each is used up first, by a *fence*: a
   write with the same token that changes nothing. If it is executed, the first write never will be, and gets another
   token. If it is refused, the first write had been executed, and is sent again only to get its answer.
5. An errand is not sent again if a write behind it was executed: it would come too late, and ends in failure. So does a
   read, which would see the effect of that write.
6. If a node refuses an errand for the moment, and answers reads behind it, they are sent again with it: they should see
   its effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError
from dkv.client.errand import Errand
from dkv.client.failures import DkvError
from dkv.client.outcome import FORGOTTEN, FULL, TAKEN, may_be_done, turned_away
from dkv.client.tokens import Tokens

WINDOW = 512

Held = tuple[Errand, tuple[Reply | DkvError] | None]
"""An errand behind a refusal, or the refused one itself, and its result; None if it was refused."""


class Errands:
    """``endpoint`` is where the connection leads that there is now; None while there is none."""

    def __init__(self, tokens: Tokens) -> None:
        self.endpoint: Endpoint | None = None
        self.leaves = False
        """Whether the connection is to be given up as soon as all that was sent is answered."""
        self._tokens = tokens
        self._trusted = False
        self._waiting: deque[Errand] = deque()
        self._flight: deque[Errand] = deque()
        self._held: list[Held] = []
        self._fences = 0  # those that are not answered

    @property
    def busy(self) -> bool:
        """Whether errands are left."""
        return bool(self._waiting or self._flight or self._held)

    @property
    def in_flight(self) -> bool:
        """Whether answers are expected."""
        return bool(self._flight)

    @property
    def deadline(self) -> float | None:
        """The deadline of the oldest errand that is not answered."""
        for errands in (self._flight, self._waiting):
            if errands:
                return errands[0].deadline
        return None

    @property
    def trusted(self) -> bool:
        """Whether the node at the other end has served something."""
        return self._trusted

    def add(self, errand: Errand) -> None:
        """Another errand, behind all others."""
        if errand.bound and self.endpoint is None:
            self._waiting.append(errand)
            self._drop_bound()
        else:
            self._waiting.append(errand)

    def add_first(self, errand: Errand) -> None:
        """An errand that is due before all others."""
        self._waiting.appendleft(errand)

    def remove(self, errand: Errand) -> bool:
        """Drop an errand that is not under way; whether it was found."""
        try:
            self._waiting.remove(errand)
        except ValueError:
            return False
        return True

    # --- the connection ---

    def connected(self, endpoint: Endpoint) -> None:
        """There is a new connection."""
        assert not self._flight
        self.endpoint, self.leaves, self._trusted = endpoint, False, False

    def to_send(self) -> bytes:
        """The bytes of the errands that are due on the connection: many at a time, or none."""
        parts: list[bytes] = []
        if len(self._flight) > WINDOW // 2:
            return b""
        while self._waiting and self._has_room():
            errand = self._waiting.popleft()
            if errand.takes_token and errand.token is None:
                errand.token = self._tokens.next()
            self._flight.append(errand)
            parts.append(errand.encoded())
        return b"".join(parts)

    def _has_room(self) -> bool:
        """Whether the next errand may be sent now. While fences are out, only more of them are."""
        if self._fences and self._waiting[0].counts and not self._waiting[0].is_fence:
            return False
        if self.leaves or len(self._flight) >= WINDOW:
            return False
        if not self._flight:
            return True
        return self._trusted or not any(each.counts for each in self._flight)

    def lost(self, ending: NoAnswer | NotSent) -> None:
        """The connection has ended: what was under way is sent again, or has failed."""
        done = may_be_done(ending)
        back = [errand for errand, _ in self._held]
        unanswered = list(self._flight)
        self._held = []
        self._flight.clear()
        for errand in unanswered:
            errand.note(ending)
            if errand.repeatable or not done:
                back.append(errand)
                continue
            for each in back:
                each.is_late |= errand.changes and each.is_of(errand)
            errand.settle(errand.failure())
        self._take_back(back)
        self._drop_bound()
        self.endpoint, self.leaves, self._trusted = None, False, False

    def _drop_bound(self) -> None:
        for errand in [each for each in self._waiting if each.bound]:
            self._waiting.remove(errand)
            errand.note(NotSent("the connection that it belongs to was lost"))
            errand.settle(errand.failure())

    # --- answers ---

    def answered(self, reply: Reply) -> None:
        """The next reply on the connection."""
        assert self.endpoint is not None
        errand = self._flight[0]
        if not errand.take(reply):
            return
        outcome = errand.outcome(self.endpoint)
        if isinstance(outcome, ServerError) and outcome.text.startswith(FULL) and not self._trusted:
            self.lost(NotSent(f"{self.endpoint}: {outcome.text}"))  # it says so before it reads anything
            self.leaves = True
            return
        self._flight.popleft()
        if isinstance(outcome, ServerError | NoAnswer):
            self._refused(errand, outcome)
        else:
            self._trusted |= errand.counts
            self._concluded(errand, outcome)
        if not self._flight and self._held:
            held, self._held = self._held, []
            self._take_back(each for each, _ in held)

    def _refused(self, errand: Errand, ending: ServerError | NoAnswer) -> None:
        """There is no reply to this errand: it is sent again if it may be, and ends in failure if not."""
        goes_on = errand.goes_on(ending)
        if not goes_on:
            self._trusted |= errand.counts
            self._concluded(errand, errand.failure())
        if goes_on or isinstance(ending, NoAnswer):
            self.leaves = True
        if not goes_on:
            return
        if isinstance(ending, ServerError) and ending.word in (FORGOTTEN, TAKEN):
            self._tokens.renew()
        self._held.append((errand, None))

    def _concluded(self, errand: Errand, result: Reply | DkvError) -> None:
        """This errand is done, unless one of its pipeline was refused before it and goes on."""
        if not any(each.is_of(errand) for each, _ in self._held):
            errand.settle(result)
        elif errand.changes:
            self._settle_held(errand)
            errand.settle(result)
        else:
            self._held.append((errand, (result,)))

    def _settle_held(self, write: Errand) -> None:
        """A write was executed, or may be: it is too late for what was refused before it in its pipeline."""
        held, self._held = self._held, []
        self._held = [(errand, result) for errand, result in held if not errand.is_of(write)]
        for errand, result in held:
            if errand.is_of(write):
                errand.settle(errand.failure() if result is None else result[0])

    # --- what is sent again ---

    def _take_back(self, errands: Iterable[Errand]) -> None:
        """These are sent again, before all others and in their order, and fences before them."""
        again = [each for each in errands if not each.cancelled]
        for errand in again:
            errand.forget_replies()
        fences = [self._fence(each) for each in again if each.needs_fence]
        self._fences += len(fences)
        self._waiting.extendleft(reversed([*fences, *again]))
        self._decide()

    def _fence(self, errand: Errand) -> Errand:
        """A fence, which uses up the token of this errand."""

        def settle(outcome: Reply | DkvError) -> None:
            self._fences -= 1
            if not isinstance(outcome, DkvError):
                errand.renew()
            elif outcome.word == TAKEN:
                errand.was_executed = True
            else:
                errand.is_unclear = True
            self._decide()

        return errand.fence(settle)

    def _decide(self) -> None:
        """When no fence is left, errands that are too late end in failure."""
        if self._fences:
            return
        done: set[object] = set()
        for errand in reversed([each for each in self._waiting if each.pipeline]):
            if errand.was_executed or errand.is_unclear:
                done.add(errand.pipeline)
            if errand.is_unclear or (not errand.was_executed and (errand.is_late or errand.pipeline in done)):
                self._waiting.remove(errand)
                errand.settle(errand.failure())

    # --- time ---

    def expire(self, now: float) -> None:
        """Errands that are not under way and whose time is up end in failure."""
        while self._waiting and self._waiting[0].deadline <= now:
            errand = self._waiting.popleft()
            errand.settle(errand.failure())

    def not_connected(self, ending: NotSent | ServerError) -> None:
        """A node could not be asked: the errands remember why. If it turns this client away, all end in failure."""
        for errand in self._waiting:
            errand.note(ending)
        if isinstance(ending, ServerError) and turned_away(ending):
            refused, self._waiting = self._waiting, deque()
            for errand in refused:
                errand.settle(errand.failure())

    def end(self, ending: NotSent | NoAnswer) -> None:
        """Nothing is sent any more: all errands end in failure."""
        self.lost(ending)
        waiting, self._waiting = self._waiting, deque()
        for errand in waiting:
            errand.note(ending if isinstance(ending, NotSent) else NotSent(str(ending)))
            errand.settle(errand.failure())
