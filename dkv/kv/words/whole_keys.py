"""The commands on keys, whatever their values are."""

from __future__ import annotations

from dkv.kv.codes import DELETE, ERASE
from dkv.kv.registry import Context, KeySpec, LogCommand
from dkv.kv.words.parsing import keys_of
from dkv.records import Entry


def _delete(words: list[bytes], context: Context) -> Entry:
    keys = keys_of(words[1:], context)
    return [ERASE, context.db, context.limits.value_bytes_max, *keys] if context.db else [DELETE, *keys]


COMMANDS = (
    LogCommand(
        name="delete",
        arity=-2,
        keys=KeySpec(1, -1),
        flags=("write",),
        group="dkv",
        since="0.1.0",
        arguments="key [key ...]",
        summary="Delete keys, as DEL does.",
        complexity="O(N) for N keys",
        build=_delete,
    ),
    LogCommand(
        name="del",
        arity=-2,
        keys=KeySpec(1, -1),
        flags=("write",),
        group="generic",
        since="1.0.0",
        arguments="key [key ...]",
        summary="Delete keys; how many existed.",
        complexity="O(N) for N keys",
        build=_delete,
    ),
)
