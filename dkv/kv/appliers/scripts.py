"""The scripts that libraries send: one entry each, which names an operation with its keys and arguments."""

from __future__ import annotations

from collections.abc import Callable

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import SCRIPT
from dkv.kv.keyspace import Keyspace
from dkv.kv.scripts import counters, locks, windows
from dkv.kv.scripts import operations as numbers
from dkv.kv.scripts.script_calls import Calls, Failed
from dkv.replies import Result

OPERATIONS: dict[int, Callable[[Calls], Result]] = {
    numbers.DELETE_IF_EQUAL: locks.delete_if_equal,
    numbers.PEXPIRE_IF_EQUAL: locks.pexpire_if_equal,
    numbers.EXPIRE_IF_EQUAL: locks.expire_if_equal,
    numbers.EXTEND_IF_EQUAL: locks.extend_if_equal,
    numbers.TTL_IF_EQUAL: locks.ttl_if_equal,
    numbers.SET_IF_EQUAL: locks.set_if_equal,
    numbers.SET_IF_ABSENT: locks.set_if_absent,
    numbers.ACQUIRE_ALL: locks.acquire_all,
    numbers.EXTEND_ALL: locks.extend_all,
    numbers.RELEASE_ALL: locks.release_all,
    numbers.RAISE_NUMBER: counters.raise_number,
    numbers.ADD_IF_PRESENT: counters.add_if_present,
    numbers.ADD: counters.add,
    numbers.ADD_AND_PEXPIRE: counters.add_and_pexpire,
    numbers.ADD_AND_EXPIRE: counters.add_and_expire,
    numbers.COUNT_AND_EXPIRE: counters.count_and_expire,
    numbers.COUNT_IN_WINDOW: counters.count_in_window,
    numbers.COUNT_IN_PLAIN_WINDOW: counters.count_in_plain_window,
    numbers.HIT: counters.hit,
    numbers.HIT_OR_RESET: counters.hit_or_reset,
    numbers.HIT_OR_BEGIN: counters.hit_or_begin,
    numbers.VALUE_AND_TTL: counters.value_and_ttl,
    numbers.ACQUIRE_SLIDING: windows.acquire_sliding,
    numbers.SLIDING_WINDOW: windows.sliding_window,
    numbers.DELETE_MATCHING: windows.delete_matching,
    numbers.DELETE_MATCHING_QUIETLY: windows.delete_matching_quietly,
}
"""What does each operation."""


def run(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """What the operation answers. One that fails has done what it did before that, as a script of Redis has."""
    match ask.arguments:
        case [int() as number, [*keys], [*arguments]] if number in OPERATIONS:
            words = [word for word in (*keys, *arguments) if type(word) is bytes]
            if len(words) != len(keys) + len(arguments):
                return UNKNOWN
            calls = Calls(keyspace, turn, ask, words[: len(keys)], words[len(keys) :])
            try:
                return OPERATIONS[number](calls)
            except Failed as failed:
                return failed.error
    return UNKNOWN


APPLIERS: dict[int, Applier] = {SCRIPT: run}
