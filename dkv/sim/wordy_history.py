"""What the clients with all words asked and were told, as a history for the checker.

Deadlines are kept by the replicated time, which may go faster than the time of the run: as much earlier may a key go
(``early_seconds``). How late it goes is not judged, since a read tells the time of the last slot.

A write with a token that was sent again is one operation, from its first call on: it was executed once. If its producer
was forgotten, each try may have executed it, and nobody knows whose answer came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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


def judge_words(asked: Iterable[Asked], early_seconds: float, evicted: Collection[bytes] = ()) -> str | None:
    """A sentence about an answer that no linearizable store would give; None if there is none, or it is too hard.

    ``evicted`` are the producers that were forgotten at least once.
    """
    verdict = check(history_of(asked, evicted), STEPS_MAX, Tolerance(early_seconds, inf))
    if verdict.linearizable or verdict.undecided:
        return None
    return f"the history of all words is not linearizable: {verdict.proof.sentence}"


def early_seconds(stamps: Iterable[int], chosen_at: Iterable[float]) -> float:
    """How much more than the time of the run the replicated time passed, at most, between any two slots."""
    time, most, least = 0, 0.0, inf
    for stamp, moment in zip(stamps, chosen_at, strict=True):
        time = max(time, stamp)
        if time:
            offset = time / 1000 - moment
            least = min(least, offset)
            most = max(most, offset - least)
    return most + 0.001


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
