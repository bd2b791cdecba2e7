"""Where the members of a cluster are now: any one of them knows, though the others may have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dkv.client.admission import Admission
from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint
from dkv.client.survey import ask_all

MEMBERS_REQUEST = (b"DKV.MEMBER", b"LIST")


def present(endpoints: Iterable[Endpoint], answer_seconds: float) -> tuple[Endpoint, ...]:
    """``endpoints``, and behind them the addresses of all members that any of these names and the list lacks.

    Nodes that do not answer, or are of a version without this request, add nothing.
    """
    given = tuple(endpoints)
    return tuple(dict.fromkeys((*given, *_told(given, answer_seconds, ("voter", "standby")))))


def voters(endpoints: Iterable[Endpoint], answer_seconds: float) -> list[Endpoint]:
    """The addresses of the voters, as ``endpoints`` tell them. A standby may still have to catch up; they serve."""
    return _told(endpoints, answer_seconds, ("voter",))


def _told(endpoints: Iterable[Endpoint], answer_seconds: float, kinds: tuple[str, ...]) -> list[Endpoint]:
    answers = ask_all(endpoints, [MEMBERS_REQUEST], answer_seconds)
    told = (endpoint for (each,) in answers for endpoint in named(each.reply, kinds, each.endpoint.access))
    return [*dict.fromkeys(told)]


def named(reply: Reply, kinds: tuple[str, ...], access: Admission) -> list[Endpoint]:
    """The members of these ``kinds``, now or soon, in a reply to ``MEMBERS_REQUEST``.

    Their ``access`` is that of the node which has told of them: they are nodes of the same cluster.
    """
    try:
        fields: Any = json.loads(reply) if isinstance(reply, bytes) else {}
        members = [each for each in fields.get("members", ()) if (each["becomes"] or each["kind"]) in kinds]
        addresses = [_address(member, access) for member in members]
    except (ValueError, TypeError, KeyError, AttributeError):  # it is no node of dkv
        return []
    return [endpoint.admitting(access) for address in addresses if (endpoint := _parsed(address)) is not None]


def _address(member: dict[str, Any], access: Admission) -> object:
    """The port of a member for a client with this ``access``; None if it has none.

    An address that is not known for TLS may be so all the same: the node that was asked does not know all.
    """
    with_tls = member.get("client_tls")
    if access.tls is not None:
        return with_tls or member["client"]
    return None if with_tls and with_tls == member["client"] else member["client"]


def _parsed(address: object) -> Endpoint | None:
    """The endpoint, if clients can dial it: a node may also listen where no HOST:PORT leads to."""
    try:
        return Endpoint.parse(address) if isinstance(address, str) else None
    except ValueError:
        return None
