"""Mistakes that the types must show: nothing here runs, and mypy alone checks it.

mypy is strict, so an ignore that nothing needs is an error. Each one here stands for a mistake that mypy finds; a type
that lets it pass some day (an ``Any`` on the way is enough) fails the build.
"""

from __future__ import annotations

from dkv import noted
from dkv.actor import Takers, Turn
from dkv.client_events import BatchApplied, Read, Replies, Requests
from dkv.kv.codes import GET, PUT
from dkv.kv.machine import Machine
from dkv.kv.sessions import pack_answer
from dkv.records import UncheckedEntry
from dkv.replies import OK, Local
from dkv.wire.codec import decode_entries, encode_entries


def what_is_asked() -> None:
    """An entry holds numbers, bytes and the write of a token; a request is an entry or a local reply."""
    encode_entries([[PUT, b"key", "text"]])  # type: ignore[list-item]
    encode_entries([Local(b"")])  # type: ignore[list-item]
    Requests(1, [OK], 1, 0, 10)  # type: ignore[list-item]
    Read(1, 1, [[GET, None]])  # type: ignore[list-item]


def what_is_applied(turn: Turn, machine: Machine, entry: UncheckedEntry) -> bytes:
    """Nothing of a decoded entry may be used before it is checked."""
    for each in decode_entries(b"") or []:
        turn.stage(b"key", each[1])  # type: ignore[arg-type]
    machine.read(turn, [GET])  # type: ignore[list-item]
    return b"S" + entry[1]  # type: ignore[operator]


def what_is_answered(machine: Machine, turn: Turn) -> None:
    """A result is what an entry answers; dicts are for local replies."""
    BatchApplied(1, [Local(b"")])  # type: ignore[list-item]
    BatchApplied(1, [{b"a": b"map"}])  # type: ignore[list-item]
    Replies(1, [1.5], 10)  # type: ignore[list-item]
    Local({"text": 1})  # type: ignore[dict-item]
    pack_answer({b"a": 1})  # type: ignore[arg-type]


def what_is_noted(turn: Turn, takers: Takers) -> None:
    """An event of the table, with all of its fields and no others; whoever takes it takes the same ones."""
    turn.note("chosen", through=5)  # type: ignore[arg-type]
    turn.note(noted.chosen)  # type: ignore[call-arg]
    turn.note(noted.chosen, through="5")  # type: ignore[arg-type]
    turn.note(noted.chosen, through=5, slot=5)  # type: ignore[call-arg]
    noted.chosen.to(_takes_a_slot)  # type: ignore[arg-type]


def _takes_a_slot(*, slot: int) -> None:
    """Takes another field than there is."""
