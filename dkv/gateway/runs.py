"""Runs: requests of one connection that travel and are answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from dkv.client_events import Requests
from dkv.kv.codes import BRING_A_VALUE, CHANGE_A_VALUE, EXEC, IDMP, MGET, READS, SET
from dkv.kv.growth import without_growth
from dkv.records import Entry
from dkv.replies import Error, Local, Result
from dkv.settings import KIB

READ_BYTES = 256 * KIB
"""What a value that a batch reads or copies is assumed to have, in bytes: it may be larger, but most are not."""

CHANGED_BYTES = 32 * KIB
"""The same for a value that is changed a little. Such writes are frequent, mostly of short values."""

JOINED_BYTES_MAX = 128 * KIB
"""Runs share a batch up to this many bytes of requests: a larger one saves little, and takes long to apply at once."""

REQUEST_BYTES_MIN = 64
"""A request counts as many bytes at least: the shortest ones take as long as longer ones."""

_BRING_MORE = frozenset((MGET, EXEC, IDMP, SET)) | BRING_A_VALUE | CHANGE_A_VALUE  # looked up for every request


class Run:
    """Consecutive requests of one connection, as they came in one message.

    It has ``entries`` for the log, ``writes`` and ``reads``, and local replies between them (PONG and the like). The
    entries may bring ``values`` that are stored already: one for each read, more for an MGET or a transaction, and some
    writes bring one. The run took ``size`` bytes on the wire, and ``arrived`` at a time in monotonic seconds.
    ``in_log`` says that it travels in a batch of the log, else by a read barrier. ``alone`` says that it is one read
    that may take long.
    """

    __slots__ = (
        "_items",
        "alone",
        "answered",
        "arrived",
        "connection",
        "entries",
        "in_log",
        "length",
        "reads",
        "size",
        "values",
        "weight",
        "writes",
    )

    def __init__(self, requests: Requests, arrived: float) -> None:
        self.connection, self._items, self.writes, self.reads, self.size, self.alone = requests
        self.arrived = arrived
        self.entries = self.writes + self.reads
        more = 0
        for item in self._items:
            if type(item) is list and item[0] in _BRING_MORE:
                more += _more_bytes(item)
        self.values = self.reads + more // READ_BYTES
        self.weight = self.size + self.reads * READ_BYTES + more
        """What it counts for in a batch, in bytes: its own, and what its reads may bring when they are applied."""
        self.length = max(self.size, self.entries * REQUEST_BYTES_MIN)
        """How long it takes to apply, as a number of bytes."""
        self.in_log = False
        self.answered = False

    def take_in(self, other: Run) -> None:
        """Let a run that holds no entries be answered behind this one."""
        assert not other.entries
        self._items.extend(other._items)
        self.size += other.size

    def log_entries(self) -> list[Entry]:
        """The entries, without the local replies between them."""
        if len(self._items) == self.entries:
            return self._items  # type: ignore[return-value]  # no item is left that could be a Local
        return [item for item in self._items if type(item) is not Local]

    def refuse_growth(self, refusal: Error) -> int:
        """Answer each write that grows data with ``refusal``, before the run gets a number; how many there were."""
        refused = 0
        items: list[Entry | Local] = []
        for item in self._items:
            kept = item if type(item) is Local else without_growth(item)
            refused += kept is None
            items.append(Local(refusal) if kept is None else kept)
        self._items = items
        self.writes -= refused
        self.entries -= refused
        return refused

    def replies(self, results: Sequence[Result | Local]) -> Sequence[Result | Local]:
        """The results of the entries, one each, with the local replies in their places."""
        if len(self._items) == self.entries:
            return results
        remaining = iter(results)
        return [item if type(item) is Local else next(remaining) for item in self._items]

    def outcomes(self, *, writes: Result, reads: Result) -> list[Result]:
        """One of two results for each entry, by what the entry is."""
        return [reads if entry[0] in READS else writes for entry in self.log_entries()]


def take_fitting(runs: deque[Run], bytes_max: int) -> list[Run]:
    """Take runs off the front, as many as together fit ``bytes_max`` bytes by their weights, one at least.

    Nor are they longer than ``JOINED_BYTES_MAX`` together: all nodes apply a batch without a pause.
    """
    taken = [runs.popleft()]
    weight, length = taken[0].weight, taken[0].length
    while runs and weight + runs[0].weight <= bytes_max and length + runs[0].length <= JOINED_BYTES_MAX:
        weight += runs[0].weight
        length += runs[0].length
        taken.append(runs.popleft())
    return taken


def weigh_at_least(runs: Iterable[Run], bytes_min: int) -> bool:
    """Whether the runs together have ``bytes_min`` bytes or more, with what their reads may bring.

    What their writes may bring does not count here: a few of them are not worth a batch of their own for it.
    """
    weight = 0
    for run in runs:
        weight += run.size + run.reads * READ_BYTES
        if weight >= bytes_min:
            return True
    return False


def _more_bytes(entry: Entry) -> int:
    """What values an entry may bring, in bytes, beside the one that it counts for if it is a read."""
    match entry:
        case [code, *_, [*entries]] if code == EXEC:
            commands = [each for each in entries if type(each) is list]
            return sum((each[0] in READS) * READ_BYTES + _more_bytes(each) for each in commands)
        case [code, *_, [*write]] if code == IDMP:
            return _more_bytes(write)
        case [code, _, _, _, *others] if code == MGET:
            return len(others) * READ_BYTES
        case [code, *_, get] if code == SET:
            return READ_BYTES if get == 1 else 0
        case [code, *_] if code in CHANGE_A_VALUE:
            return CHANGED_BYTES
    return READ_BYTES if entry[0] in BRING_A_VALUE else 0


def take_few(runs: deque[Run], values_max: int) -> list[Run]:
    """Take runs off the front, as many as together may bring ``values_max`` values, one at least.

    One that may take long has nobody with it.
    """
    taken = [runs.popleft()]
    values = values_max if taken[0].alone else taken[0].values
    while runs and values + runs[0].values <= values_max and not runs[0].alone:
        values += runs[0].values
        taken.append(runs.popleft())
    return taken
