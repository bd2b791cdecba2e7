"""The search for an order of one key's operations: may each take effect at one moment between its call and return?

It is Wing & Gong's (Testing and verifying concurrent objects, 1993) with Lowe's cache (Testing for linearizability,
2017). It walks a doubly linked list of calls and returns. An operation may take effect next if its call comes before
the first return left in the list; then both its events are lifted out. At a return that nothing leads past, the
search goes back: it puts events in again, and tries another operation. It tries no set of done operations twice with
the same value.

Three rules keep it fast and change no answer. A read of the present value is done at once: everything that can follow
later can follow now. An operation of unknown outcome is tried last, and left out if it would change nothing. Of several
equal operations of unknown outcome, such as deletes, the one called first is taken first: it may stand in the place of
any other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from dkv.sim.history import Operation
from dkv.sim.model import step
from dkv.sim.seen import twins

Model = Callable[[Any, Operation], tuple[bool, Any]]
"""What says whether an operation fits a state, and what it leaves: ``dkv.sim.model.step``, or one for several keys."""
_READING = frozenset(("get", "strlen", "getrange", "exists", "ttl", "absent", "present", "unchanged"))
_NOTHING = object()
_LONG_BYTES = 64
"""Longer values are remembered by a digest."""


def only_reads(operation: Operation) -> bool:
    """Whether it certainly changed nothing."""
    if operation.kind in ("cas", "delete"):
        return operation.returned is not None and operation.result is not None and not operation.result
    if operation.kind == "atomic":
        given_up = operation.returned is not None and operation.result is None
        return given_up or all(act[0] in _READING for act in operation.arguments)
    return operation.kind in _READING


def _value_seen(operation: Operation) -> object:
    """The value that the operation found, if its result tells."""
    return operation.arguments[0] if operation.kind == "cas" and operation.result else operation.result


class _Moment:
    """A state of a search: every read that fits is done, and ``moves`` may be next."""

    __slots__ = ("done", "lifted", "maybes", "moves", "state", "stop", "tried")

    def __init__(self, done: int, tried: int, state: Any) -> None:
        self.done = done  # bit set of known operations, by number
        self.tried = tried  # bit set of operations of unknown outcome
        self.state = state
        self.lifted: list[int] = []  # calls that were taken out of the list here, in order
        self.moves: list[tuple[list[int], Any]] = []  # (calls, the value that they leave), the next one last
        self.stop = 0  # the first return that is left
        self.maybes = 0  # the next operation of unknown outcome to try


class Search:
    """One search through operations of one key, from the value ``state``.

    With a ``goal``, one of the operations, the search ends when an order leads past its return. Operations that return
    later may take effect, with their results, or not. So may the ``optional`` ones, at any time after their calls.

    At most ``spares_max`` of the operations in ``spare``, all of unknown outcome, take effect.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        state: Any = None,
        goal: Operation | None = None,
        optional: Sequence[Operation] = (),
        spare: Sequence[Operation] = (),
        spares_max: int = 0,
        model: Model = step,
    ) -> None:
        self._step = model
        self._known = sorted((each for each in operations if each.returned is not None), key=lambda each: each.called)
        maybe = [*(each for each in operations if each.returned is None), *optional]
        self._maybe = sorted((each for each in maybe if not only_reads(each)), key=lambda each: each.called)
        self._find_viewers()
        spared = {id(each) for each in spare}
        self._spares = sum(1 << number for number, each in enumerate(self._maybe) if id(each) in spared)
        self._spares_max = spares_max
        self.steps = 0
        """How many operations were tried so far."""
        self._build()
        returns = zip((self._return_of[call] for call in self._calls), self._known, strict=True)
        self._last = max((end for end, each in returns if goal is None or each is goal), default=0)
        self._visited: set[tuple[int, int, int, object]] = set()
        self._path = [self._enter(0, 0, state, [])]
        self._furthest = self._path[0].stop

    def _find_viewers(self) -> None:
        """Count for each value the undone operations that see it, in ``_viewers``, if each sees just one value or none.

        A value that nobody is left to see is then as good as any other such value, and its put is best done just before
        another put. An ``append``, a ``delete`` and a failed ``cas`` tell more than one value from another: with any of
        them ``_simple`` is false.
        """
        every = [*self._known, *self._maybe]
        self._simple = all(
            each.kind in ("put", "get") or (each.kind == "cas" and (each.returned is None or each.result))
            for each in every
        )
        self._views = [_value_seen(each) if each.kind in ("get", "cas") else _NOTHING for each in self._known]
        self._viewers = Counter(self._views)
        self._viewers.update(each.arguments[0] for each in self._maybe if each.kind == "cas")
        self._maybe = [each for each in self._maybe if not self._is_useless(each)]
        self._twins = twins(self._maybe, self._known) if len(self._maybe) > 1 else [None]

    def _is_useless(self, operation: Operation) -> bool:
        return self._simple and operation.kind in ("put", "cas") and not self._viewers[operation.arguments[-1]]

    def _build(self) -> None:
        """The list: event 0 is both ends, then calls and returns by time, calls first where times are equal."""
        events: list[tuple[float, bool, int]] = []
        for number, operation in enumerate(self._known):
            assert operation.returned is not None
            events += ((operation.called, False, number), (operation.returned, True, number))
        events.sort()
        count = len(events) + 1
        self._next = [*range(1, count), 0]
        self._previous = [count - 1, *range(count - 1)]
        self._number = [-1] + [number for _, _, number in events]
        self._return_of = [0] * count  # for a call, its return; for a return, 0
        self._maybes_before = [0] * count  # for a return, how many operations of unknown outcome were called until then
        self._calls = calls = [0] * len(self._known)
        called = [each.called for each in self._maybe]
        seen_at: dict[object, list[int]] = {}  # the returns of operations that saw a value, in order
        for event, (time, is_return, number) in enumerate(events, 1):
            if is_return:
                self._return_of[calls[number]] = event
                seen_at.setdefault(_value_seen(self._known[number]), []).append(event)
                self._maybes_before[event] = bisect_right(called, time)
            else:
                calls[number] = event
        self._reads = [only_reads(each) for each in self._known]
        self._urgency = [self._urgency_of(each, call, seen_at) for each, call in zip(self._known, calls, strict=True)]

    def _urgency_of(self, operation: Operation, call: int, seen_at: dict[object, list[int]]) -> int:
        """A number that is lower for operations likely to come first: a guess that only saves time.

        A value that nobody saw was probably overwritten at once. A value that was seen is due before that.
        """
        if operation.kind not in ("put", "cas"):
            return self._return_of[call]
        events = seen_at.get(operation.arguments[-1], [])
        later = bisect_right(events, call)
        return min(events[later], self._return_of[call]) if later < len(events) else 0

    def run(self, steps: int) -> bool | None:
        """Go on for about so many steps; then True if there is an order, False if there is none, None if unknown."""
        limit = self.steps + steps
        while self._path:
            moment = self._path[-1]
            if not 0 < moment.stop <= self._last:
                return True
            if self.steps >= limit:
                return None
            following = self._follow(moment)
            if following is not None:
                self._path.append(following)
                self._furthest = max(self._furthest, following.stop)
                continue
            self._path.pop()
            self._leave(moment)
        return False

    @property
    def blocked(self) -> Operation:
        """The operation with the first return that no order led past so far."""
        return self._known[self._number[self._furthest]]

    def _follow(self, moment: _Moment) -> _Moment | None:
        """The state after the next move that leads to a new one."""
        while moment.moves:
            calls, state = moment.moves.pop()
            done = moment.done
            for call in calls:
                self._lift(call)
                done |= 1 << self._number[call]
            if self._is_new(done, moment.tried, state):
                return self._enter(done, moment.tried, state, [*calls])
            for call in reversed(calls):
                self._put_back(call)
        while moment.maybes < self._maybes_before[moment.stop]:
            number = moment.maybes
            moment.maybes += 1
            twin = self._twins[number]
            if moment.tried >> number & 1 or (twin is not None and not moment.tried >> twin & 1):
                continue
            if self._spares >> number & 1 and (moment.tried & self._spares).bit_count() >= self._spares_max:
                continue
            self.steps += 1
            allowed, state = self._step(moment.state, self._maybe[number])
            tried = moment.tried | 1 << number
            if allowed and state != moment.state and self._is_new(moment.done, tried, state):
                return self._enter(moment.done, tried, state, [])
        return None

    def _is_new(self, done: int, tried: int, state: Any) -> bool:
        """Whether the search was never here before."""
        mark: object = state
        if isinstance(state, bytes):
            if self._simple and not self._viewers[state]:
                mark = _NOTHING
            elif len(state) > _LONG_BYTES:
                mark = (len(state), blake2b(state, digest_size=16).digest())
        # All operations before the first call that is left are done, so only the others are remembered.
        first = self._number[self._next[0]]
        place = (first, done >> max(first, 0), tried, mark)
        if place in self._visited:
            return False
        self._visited.add(place)
        return True

    def _enter(self, done: int, tried: int, state: Any, lifted: list[int]) -> _Moment:
        """Do all operations that change nothing, and find those that may be next."""
        moment = _Moment(done, tried, state)
        moment.lifted = lifted
        moves: list[tuple[int, Any]] = []
        unseen: list[int] = []
        event = self._next[0]
        while self._return_of[event]:
            number = self._number[event]
            operation = self._known[number]
            self.steps += 1
            allowed, after = self._step(state, operation)
            if allowed and self._reads[number] and after == state:
                self._lift(event)
                lifted.append(event)
                moment.done |= 1 << number
            elif self._simple and operation.kind == "put" and not self._viewers[after]:
                unseen.append(event)
            elif allowed:
                moves.append((event, after))
            event = self._next[event]
        moment.stop = event
        moves.sort(key=lambda move: self._urgency[self._number[move[0]]], reverse=True)
        if unseen:
            moment.moves.append((unseen, self._known[self._number[unseen[0]]].arguments[0]))
        for call, after in moves:
            first = unseen if self._known[self._number[call]].kind == "put" else []
            moment.moves.append(([*first, call], after))
        return moment

    def _leave(self, moment: _Moment) -> None:
        for call in reversed(moment.lifted):
            self._put_back(call)

    def _lift(self, call: int) -> None:
        # The return goes first, so that the call still knows what follows it.
        for event in (self._return_of[call], call):
            before, after = self._previous[event], self._next[event]
            self._next[before], self._previous[after] = after, before
        self._viewers[self._views[self._number[call]]] -= 1

    def _put_back(self, call: int) -> None:
        for event in (call, self._return_of[call]):
            self._next[self._previous[event]] = self._previous[self._next[event]] = event
        self._viewers[self._views[self._number[call]]] += 1
