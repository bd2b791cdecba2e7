"""The appliers of all commands, by code: the state machine looks here. A family joins by a line."""

from __future__ import annotations

from dkv.kv.appliers import (
    expiring,
    iteration,
    notifications,
    oldest,
    one_string,
    other_keys,
    random_key,
    scripts,
    several,
    sums,
    whole_databases,
)
from dkv.kv.asks import Applier
from dkv.kv.codes import WATCH
from dkv.kv.transactions import watch

APPLIERS: dict[int, Applier] = {
    **oldest.APPLIERS,
    **one_string.APPLIERS,
    **several.APPLIERS,
    **sums.APPLIERS,
    **expiring.APPLIERS,
    **other_keys.APPLIERS,
    **whole_databases.APPLIERS,
    **iteration.APPLIERS,
    **random_key.APPLIERS,
    **scripts.APPLIERS,
    **notifications.APPLIERS,
    WATCH: watch,
}
"""EXEC is not here: it applies others (``dkv.kv.transactions``). Nor are tokens and changes of members."""
