"""Scripts that the clients with all words send in some runs: locks, counters and windows over few keys of their own.

Only scripts touch these keys. So the history of the clients has nothing of them, and whatever a script answers is
judged by the second state machine, as everything is (``dkv.sim.second_scripts``). The choices come from a generator of
their own: a run without scripts is as it would be if there were none.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from dkv.kv.codes import SCRIPT
from dkv.kv.scripts.operations import ACQUIRE_ALL, RELEASE_ALL
from dkv.records import Entry

NAMES = (b"s0", b"s1", b"s2")
TOGETHER = (*NAMES, b"s3", b"s4", b"s5")
"""The keys of a lock on several."""
TOKENS = (b"mine", b"mine", b"1", b"7")
NUMBERS = (b"1", b"1", b"2", b"-1", b"few")
NEAR = (b"300", b"2000")
"""Lives that a client waits for, in milliseconds."""
MILLISECONDS = (b"1", *NEAR, b"300", b"300", b"0")
SECONDS = (b"1", b"1", b"10", b"0.3")
WINDOW = (b"s-before", b"s-now")
"""The two keys of a sliding window."""


def end_of(entry: Entry) -> tuple[int, Entry] | None:
    """In how many milliseconds a lock on several keys is over, and the request that releases it, too late.

    All of its keys expire at once, so that some may be stored still. None for any other entry.
    """
    match entry:
        case [int() as code, int() as db, int() as bytes_max, int() as number, _, [bytes() as token, bytes() as life]]:
            if (code, number) == (SCRIPT, ACQUIRE_ALL) and life in NEAR:
                return int(life), [code, db, bytes_max, RELEASE_ALL, [*TOGETHER], [token]]
    return None


class Scripted:
    """Makes requests with scripts up, in a run that has them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._share = random.choice((0.0, 0.0, 0.0, 0.3))

    def words(self) -> list[bytes] | None:
        """The words of a request; None if it is another's turn."""
        if not self._share or self._random.random() >= self._share:
            return None
        draw = self._random.choice
        key, token, milliseconds, seconds, number = map(draw, (NAMES, TOKENS, MILLISECONDS, SECONDS, NUMBERS))
        reset = draw((b"0", b"1"))
        kinds: tuple[Callable[[], list[bytes]], ...] = (
            lambda: [b"set-if-absent", b"1", key, token, milliseconds],
            lambda: [b"acquire-all", b"6", *TOGETHER, token, milliseconds],
            lambda: [b"acquire-all", b"6", *TOGETHER, token, draw(NEAR)],
            lambda: [draw((b"extend-all", b"release-all")), b"6", *TOGETHER, token, milliseconds],
            lambda: [draw((b"delete-if-equal", b"ttl-if-equal")), b"1", key, token],
            lambda: [b"pexpire-if-equal", b"1", key, token, milliseconds],
            lambda: [b"expire-if-equal", b"1", key, token, seconds],
            lambda: [b"extend-if-equal", b"1", key, token, milliseconds, reset],
            lambda: [b"set-if-equal", b"1", key, draw(TOKENS), token, b"PX", milliseconds],
            lambda: [draw((b"add", b"add-if-present", b"raise-number")), b"1", key, number],
            lambda: [b"add-and-pexpire", b"1", key, number, milliseconds],
            lambda: [draw((b"add-and-expire", b"count-and-expire")), b"1", key, seconds, number],
            lambda: [draw((b"count-in-window", b"count-in-plain-window")), b"1", key, number, seconds],
            lambda: [draw((b"hit", b"hit-or-reset")), b"1", key, reset, milliseconds],
            lambda: [b"hit-or-begin", b"1", key, milliseconds],
            lambda: [b"value-and-ttl", b"1", key],
            lambda: [b"acquire-sliding", b"2", *WINDOW, draw((b"3", b"5")), seconds, number],
            lambda: [b"sliding-window", b"2", *WINDOW, seconds],
            lambda: [b"delete-matching", b"1", draw((b"s[01]", b"s*"))],
            lambda: [b"delete-matching-quietly", b"0", draw((b"s?", b"s-*"))],
        )
        return [b"EVALSHA", *draw(kinds)()]
