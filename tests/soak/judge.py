"""The judgement on the history of one phase: ``python -m tests.soak.judge HISTORY`` prints the first rule that broke.

The checker of linearizability would find all that is looked for here. Ledgers are judged first, since what is wrong
with them can be said in plain words: a write was lost, or took effect twice, or came from nowhere.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from dkv.sim.history import Operation, read_history, readable
from dkv.sim.linearize import check

STEPS_MAX = 3_000_000
"""For each key, about three seconds."""

END = b"."
"""What ends each value that is appended to a ledger."""


def judge(operations: Iterable[Operation]) -> str:
    """The rule that broke, with the facts, in one line; empty if none did."""
    history = list(operations)
    for key, ledger in sorted(_ledgers(history).items()):
        if broken := _judge_ledger(key, ledger):
            return broken
    verdict = check(history, STEPS_MAX)
    if verdict.linearizable:
        return ""
    assert verdict.key is not None
    if verdict.undecided:
        return f"undecided: no order of the operations on {readable(verdict.key)} was found or ruled out"
    window = verdict.window.text.replace("\n", "; ") if verdict.window else verdict.proof.sentence
    return f"linearizable: key {readable(verdict.key)}: {window}"


def _ledgers(history: Iterable[Operation]) -> dict[bytes, list[Operation]]:
    """The operations by key, of keys that were only appended to and read."""
    keys: defaultdict[bytes, list[Operation]] = defaultdict(list)
    for operation in history:
        keys[operation.key].append(operation)
    return {key: its for key, its in keys.items() if {each.kind for each in its} <= {"append", "get"}}


def _judge_ledger(key: bytes, ledger: list[Operation]) -> str:
    """Compare what was read with what was appended. Every value is unique, and ends with ``END``."""
    appended = {each.arguments[0]: each for each in ledger if each.kind == "append"}
    for read in ledger:
        if read.kind != "get" or read.returned is None:
            continue
        value = read.result or b""
        assert isinstance(value, bytes)
        counts = Counter(part + END for part in value.split(END)[:-1])
        where = f"in {readable(key)}, read by {read.client} at {read.returned:.3f}"
        for entry, count in counts.items():
            if count > 1:
                return f"doubled: {readable(entry)} is there {count} times {where}"
            if entry not in appended:
                return f"invented: nobody appended {readable(entry)}, or it was refused; it is {where}"
        for entry, append in appended.items():
            if append.returned is not None and append.returned < read.called and entry not in counts:
                told = f"acknowledged at {append.returned:.3f}"
                return f"lost: {readable(entry)}, {told} to {append.client}, is not {where}"
    return ""


def main(path: str) -> int:
    """Judge a file; 1 if a rule broke."""
    with Path(path).open("rb") as lines:
        broken = judge(read_history(lines))
    if broken:
        print(broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
