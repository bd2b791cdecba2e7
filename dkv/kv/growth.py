"""What becomes of writes that grow data while disks are short of space.

A PUT or APPEND is refused; a DELETE makes room and is served. A write with a token that grows data may have been
executed before: only its stored answer says so, and the log is the one place where a node can ask for it. So an entry
takes its place that asks for the answer and executes nothing. It is smaller than the write. IDMP NEW is served, for the
state of producers is bounded.
"""

from __future__ import annotations

from dkv.kv.codes import APPEND, IDMP, IDMP_REPEAT, PUT
from dkv.kv.sessions import check_of
from dkv.records import Entry

GROWS = frozenset((PUT, APPEND))
"""The entries that may grow the data."""


def without_growth(entry: Entry) -> Entry | None:
    """The entry to propose in place of ``entry``, itself if it grows nothing; None if it is to be refused."""
    if entry[0] in GROWS:
        return None
    if entry[0] != IDMP:
        return entry
    _, producer, op, write = entry
    assert type(write) is list
    return [IDMP_REPEAT, producer, op, check_of(write)] if write[0] in GROWS else entry
