"""The setting that says which events of keys are told: it is part of the state, so all nodes have it."""

from __future__ import annotations

from dkv.actor import Turn
from dkv.kv.asks import UNKNOWN, Applier, Ask
from dkv.kv.codes import NOTIFY
from dkv.kv.key_events import is_canonical
from dkv.kv.keyspace import Keyspace
from dkv.replies import OK, Result


def notify(keyspace: Keyspace, turn: Turn, ask: Ask) -> Result:
    """From here on, tell the events of these letters."""
    match ask.arguments:
        case [bytes() as letters] if is_canonical(letters):
            keyspace.want_events(turn, letters)
            return OK
    return UNKNOWN


APPLIERS: dict[int, Applier] = {NOTIFY: notify}
