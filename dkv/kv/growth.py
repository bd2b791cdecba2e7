"""What becomes of writes that grow data while disks are short of space.

A SET or APPEND is refused, and so is a transaction with one in it; a DELETE makes room and is served. The declarations
of the commands say which may grow the data (``denyoom``). A write with a token that grows data may have been executed
before: only its stored answer says so, and the log is the one place where a node can ask for it. So an entry takes its
place that asks for the answer and executes nothing. It is smaller than the write. IDMP NEW is served, for the state of
producers is bounded.
"""

from __future__ import annotations

from dkv.kv.codes import EXEC, IDMP, IDMP_REPEAT, SCRIPT
from dkv.kv.commands import COMMANDS
from dkv.kv.scripts.operations import OPERATIONS
from dkv.kv.sessions import check_of
from dkv.records import Entry

GROWS = frozenset(code for command in COMMANDS.values() if "denyoom" in command.flags for code in command.codes)
"""The codes of entries that may grow the data. Of a script its operation says so."""

GROWING_SCRIPTS = frozenset(number for number, operation in OPERATIONS.items() if operation.grows)
"""The operations that may."""


def without_growth(entry: Entry) -> Entry | None:
    """The entry to propose in place of ``entry``, itself if it grows nothing; None if it is to be refused."""
    if _grows(entry):
        return None
    if entry[0] != IDMP:
        return entry
    _, producer, op, write = entry
    assert type(write) is list
    return [IDMP_REPEAT, producer, op, check_of(write)] if _grows(write) else entry


def _grows(entry: Entry) -> bool:
    if entry[0] == SCRIPT:
        return entry[3] in GROWING_SCRIPTS
    if entry[0] != EXEC:
        return entry[0] in GROWS
    *_, entries = entry
    assert type(entries) is list
    return any(type(each) is list and _grows(each) for each in entries)
