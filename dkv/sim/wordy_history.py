"""What the clients with all words asked and were told, as a history for the checker.

Deadlines are kept by the replicated time, so that is the clock of the history (``replicated_clock``). A key may not go
a millisecond early, however the clocks of the nodes go. How late it goes is not judged: a read may see the state before
a slot that was chosen already, and nobody knew of.

A write with a token that was sent again is one operation, from its first call on: it was executed once. If its producer
was forgotten, each try may have executed it, and nobody knows whose answer came.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf
from typing import Any

from dkv.kv.codes import IDMP
from dkv.kv.sessions import NOT_KEPT
from dkv.replies import ABORTED, Error
from dkv.sim.history import Operation
from dkv.sim.joint import Tolerance
from dkv.sim.linearize import check
from dkv.sim.requests import NOT_APPLIED
from dkv.sim.wordy_acts import acts_of, guards_of, guesses_of, is_missing

STEPS_MAX = 20_000
"""A run whose search takes more steps is not judged: there are enough others."""
ROUNDING = 0.0005
"""Half of the unit of deadlines, in seconds."""
UNIT = 1e-6
"""How much of a second of the run passes by the clock while no slot is chosen."""

Clock = Callable[[float], float]


@dataclass(slots=True, eq=False)
class Asked:
    """One request and its fate. ``watches`` has the times of the WATCH of each key that an EXEC names."""

    client: int
    entry: Any
    called: float
    watches: Sequence[tuple[float, float]] = ()
    returned: float | None = None
    reply: Any = None

    @property
    def command(self) -> Any:
        """The entry without its token."""
        return self.entry[3] if self.entry[0] == IDMP else self.entry

    @property
    def was_told(self) -> bool:
        """Whether the results are known. A RENAME of a key that is absent is answered with an error."""
        told = not isinstance(self.reply, Error) or is_missing(self.command, self.reply)
        return self.returned is not None and told

    @property
    def failed(self) -> bool:
        """Whether it was refused, or had no effect and told nothing of a key."""
        refused = isinstance(self.reply, Error) and self.reply.text.startswith(NOT_APPLIED)
        return refused and self.reply != NOT_KEPT and not self.was_told


def judge_words(asked: Iterable[Asked], clock: Clock, evicted: Collection[bytes] = ()) -> str | None:
    """A sentence about an answer that no linearizable store would give; None if there is none, or it is too hard.

    ``clock`` gives the time by which deadlines are kept, for a time of the run. ``evicted`` are the producers that were
    forgotten at least once.
    """
    verdict = check(history_of((_timed(each, clock) for each in asked), evicted), STEPS_MAX, Tolerance(ROUNDING, inf))
    if verdict.linearizable or verdict.undecided:
        return None
    return f"the history of all words is not linearizable, by the replicated time: {verdict.proof.sentence}"


def replicated_clock(stamps: Iterable[int], chosen_at: Sequence[float]) -> Clock:
    """The replicated time of the last slot that was chosen, in seconds since the first stamp.

    ``chosen_at`` has for each slot the time of the run at which it was chosen. What is executed in a slot is executed
    by its time, which is that of a moment between the request and the answer. Between two slots the clock stands still
    but for a little, which tells requests apart and is less than a millisecond in a run.
    """
    times = [*accumulate(stamps, max)]
    first = next(filter(None, times), 0)

    def clock(moment: float) -> float:
        chosen = bisect_right(chosen_at, moment)
        return (max(times[chosen - 1] - first, 0) / 1000 if chosen else 0.0) + moment * UNIT

    return clock


def _timed(asked: Asked, clock: Clock) -> Asked:
    watches = [(clock(called), clock(returned)) for called, returned in asked.watches]
    returned = None if asked.returned is None else clock(asked.returned)
    return replace(asked, called=clock(asked.called), watches=watches, returned=returned)


def history_of(asked: Iterable[Asked], evicted: Collection[bytes] = ()) -> Iterator[Operation]:
    """The operations that took effect, or may have."""
    for number, each in enumerate(_once(asked, evicted)):
        if each.failed or each.reply == ABORTED:
            continue
        told = each.was_told
        guesses = [each.reply] if told else guesses_of(each.command)
        for guess in guesses:
            acts, results = acts_of(each.command, guess)
            if not acts:
                continue
            acts = [*guards_of(each.command, each.watches), *acts]
            if len(guesses) > 1:  # one of them at most took effect
                once = b"once %d" % number
                acts = [("absent", once), *acts, ("put", once, b"")]
            fits = tuple(results) if told and results is not None else None
            yield Operation(each.client, "atomic", b"", tuple(acts), each.called, each.returned if told else None, fits)


def _once(asked: Iterable[Asked], evicted: Collection[bytes]) -> Iterator[Asked]:
    """The requests, with all tries of one write as one request."""
    tries: dict[str, list[Asked]] = {}
    for number, each in enumerate(asked):
        tries.setdefault(repr(each.entry) if each.entry[0] == IDMP else str(number), []).append(each)
    for some in tries.values():
        if len(some) == 1:
            yield some[0]
        elif some[0].entry[1] in evicted:
            yield from (replace(each, returned=None, reply=None) for each in some)
        else:
            yield _settled(some)


def _settled(tries: list[Asked]) -> Asked:
    """The first of several tries, with the first answer that tells what became of the write."""
    first = tries[0]
    answered = [(each.returned, each.reply) for each in tries if each.returned is not None]
    for returned, reply in sorted(answered, key=lambda each: each[0]):
        # An ERR answers every try: it is stored, or comes before the write is proposed.
        if not isinstance(reply, Error) or reply.text.startswith("ERR"):
            return replace(first, returned=returned, reply=reply)
    return first if all(each.failed for each in tries) else replace(first, returned=None, reply=None)
