"""Where the members of a cluster are now: any one of them knows, though the others may have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dkv.client.blocking import Endpoint
from dkv.client.survey import Answer, ask_all

MEMBERS_REQUEST = (b"DKV.MEMBER", b"LIST")


def present(endpoints: Iterable[Endpoint], answer_seconds: float) -> tuple[Endpoint, ...]:
    """``endpoints``, and behind them the addresses of all members that any of these names and the list lacks.

    Nodes that do not answer, or are of a version without this request, add nothing.
    """
    found = dict.fromkeys(endpoints)
    for (answer,) in ask_all(found, [MEMBERS_REQUEST], answer_seconds):
        found.update(dict.fromkeys(_named(answer)))
    return tuple(found)


def _named(answer: Answer) -> list[Endpoint]:
    try:
        fields: Any = json.loads(answer.reply) if isinstance(answer.reply, bytes) else {}
        addresses = [member["client"] for member in fields.get("members", ())]
    except (ValueError, TypeError, KeyError, AttributeError):  # it is no node of dkv
        return []
    return [endpoint for address in addresses if (endpoint := _parsed(address)) is not None]


def _parsed(address: object) -> Endpoint | None:
    """The endpoint, if clients can dial it: a node may also listen where no HOST:PORT leads to."""
    try:
        return Endpoint.parse(address) if isinstance(address, str) else None
    except ValueError:
        return None
