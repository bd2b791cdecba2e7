"""What the scripts of the catalogue do: the operations, by the numbers that the log has.

A number and what it means are part of the stored format: an entry of the log keeps its meaning for ever, and no number
is used twice. An operation that turns out to be wrong gets a successor with another number.
"""

from __future__ import annotations

from typing import NamedTuple

(
    DELETE_IF_EQUAL, PEXPIRE_IF_EQUAL, EXPIRE_IF_EQUAL, EXTEND_IF_EQUAL, TTL_IF_EQUAL, SET_IF_EQUAL, SET_IF_ABSENT,
    ACQUIRE_ALL, EXTEND_ALL, RELEASE_ALL, RAISE_NUMBER,
) = range(1, 12)  # fmt: skip
ADD_IF_PRESENT, ADD, ADD_AND_PEXPIRE, ADD_AND_EXPIRE, COUNT_AND_EXPIRE = range(12, 17)
COUNT_IN_WINDOW, COUNT_IN_PLAIN_WINDOW, HIT, HIT_OR_RESET, HIT_OR_BEGIN, VALUE_AND_TTL = range(17, 23)
ACQUIRE_SLIDING, SLIDING_WINDOW, DELETE_MATCHING, DELETE_MATCHING_QUIETLY = range(23, 27)


class ScriptOperation(NamedTuple):
    """What is to be said of an operation.

    ``name`` stands for its SHA1 in EVALSHA: the log is shown with it. ``keys`` is how many keys its scripts take, -1
    for any number; ``arguments`` are those behind the keys. ``reads`` says that it changes nothing, ``grows`` that it
    may make the data larger.
    """

    name: str
    keys: int
    arguments: str
    meaning: str
    reads: bool = False
    grows: bool = False


OPERATIONS = {
    DELETE_IF_EQUAL: ScriptOperation(
        "delete-if-equal", 1, "token", "delete the key if its value is the token; 1, or 0 if not"
    ),
    PEXPIRE_IF_EQUAL: ScriptOperation(
        "pexpire-if-equal",
        1,
        "token milliseconds",
        "if the value is the token, let the key expire after so long; 1, or 0 if not",
    ),
    EXPIRE_IF_EQUAL: ScriptOperation("expire-if-equal", 1, "token seconds", "the same, in seconds"),
    EXTEND_IF_EQUAL: ScriptOperation(
        "extend-if-equal",
        1,
        "token milliseconds replace",
        "the same for a key that has a deadline; added to what is left of its life if `replace` is 0",
    ),
    TTL_IF_EQUAL: ScriptOperation(
        "ttl-if-equal",
        1,
        "token",
        "the milliseconds that the key still lives if its value is the token; else 0",
        reads=True,
    ),
    SET_IF_EQUAL: ScriptOperation(
        "set-if-equal",
        1,
        "value token [option number]",
        "if the value is the token, SET the new value with these options; else 0",
        grows=True,
    ),
    SET_IF_ABSENT: ScriptOperation(
        "set-if-absent", 1, "value milliseconds", "SET with NX and PX; OK, or nil if the key exists", grows=True
    ),
    ACQUIRE_ALL: ScriptOperation(
        "acquire-all",
        -1,
        "value milliseconds",
        "if none of the keys exists, set all, to live so long; how many, or 0",
        grows=True,
    ),
    EXTEND_ALL: ScriptOperation(
        "extend-all",
        -1,
        "value milliseconds",
        "if all keys have the value, let them live so long; how many, or 0",
    ),
    RELEASE_ALL: ScriptOperation("release-all", -1, "value", "delete those keys that have the value; how many"),
    RAISE_NUMBER: ScriptOperation(
        "raise-number",
        1,
        "number",
        "set the key to the number if that is larger; the number, or nil if it is not",
        grows=True,
    ),
    ADD_IF_PRESENT: ScriptOperation(
        "add-if-present", 1, "number", "INCRBY if the key exists; the sum, or nil if it does not", grows=True
    ),
    ADD: ScriptOperation("add", 1, "number", "INCRBY", grows=True),
    ADD_AND_PEXPIRE: ScriptOperation(
        "add-and-pexpire",
        1,
        "number milliseconds",
        "INCRBY; if the sum is 1, PEXPIRE, too; the sum",
        grows=True,
    ),
    ADD_AND_EXPIRE: ScriptOperation(
        "add-and-expire",
        1,
        "seconds number",
        "INCRBY; if the sum is the number itself, EXPIRE, too; the sum",
        grows=True,
    ),
    COUNT_AND_EXPIRE: ScriptOperation(
        "count-and-expire", 1, "seconds", "INCR; if the count is 1, EXPIRE, too; the count", grows=True
    ),
    COUNT_IN_WINDOW: ScriptOperation(
        "count-in-window",
        1,
        "number seconds",
        "INCRBY in a window that begins now if there is none; the sum, and the milliseconds left",
        grows=True,
    ),
    COUNT_IN_PLAIN_WINDOW: ScriptOperation(
        "count-in-plain-window",
        1,
        "number seconds",
        "the same; a key without a deadline gets none",
        grows=True,
    ),
    HIT: ScriptOperation(
        "hit",
        1,
        "reset milliseconds",
        "INCR in a window, which begins anew if there is none or `reset` is 1; the count, and the milliseconds left",
        grows=True,
    ),
    HIT_OR_RESET: ScriptOperation(
        "hit-or-reset",
        1,
        "reset milliseconds",
        "the same; a new window begins with 1 whatever the key had",
        grows=True,
    ),
    HIT_OR_BEGIN: ScriptOperation(
        "hit-or-begin", 1, "milliseconds", "the same; a window is never prolonged", grows=True
    ),
    VALUE_AND_TTL: ScriptOperation("value-and-ttl", 1, "", "the value, or nil, and what PTTL says", reads=True),
    ACQUIRE_SLIDING: ScriptOperation(
        "acquire-sliding",
        2,
        "limit seconds number",
        "add to the window of the second key unless that, and what still counts of the window before, which is the "
        "first key, are above the limit then; 1, or nil",
        grows=True,
    ),
    SLIDING_WINDOW: ScriptOperation(
        "sliding-window", 2, "seconds", "the values and PTTLs of both windows, after a shift if it is time", grows=True
    ),
    DELETE_MATCHING: ScriptOperation(
        "delete-matching", 1, "", "delete all keys that match the pattern, which stands in the place of a key; how many"
    ),
    DELETE_MATCHING_QUIETLY: ScriptOperation(
        "delete-matching-quietly", 0, "pattern", "delete all keys that match the pattern; nil"
    ),
}
"""All of them."""

FINDS_KEYS = frozenset((DELETE_MATCHING, DELETE_MATCHING_QUIETLY))
"""Those that find keys by a pattern, and so reach more keys than their words name."""

BY_NAME = {operation.name.encode(): number for number, operation in OPERATIONS.items()}
"""The numbers of the operations, by name."""
