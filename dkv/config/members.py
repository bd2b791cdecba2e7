"""One node in a config file: its number, and where it listens for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Any

from dkv.config.listen_endpoint import EndpointError, ListenEndpoint, parse_endpoint, shortest
from dkv.config.reading import ConfigError, check_keys, quoted, required, text_of

NODE_ID_MAX = 2**32 - 1
LOOPBACK = "127.0.0.1"
_ENDPOINTS = ("client", "client_tls", "peer", "admin", "admin_tls")


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the cluster: its id, and where clients, peers and operators (if they are served) reach it.

    ``client`` is what others are told of: the plain port, or the one with TLS if there is no plain one; then
    ``client_is_tls`` says so, and ``client_tls`` is None. ``client_tls`` is the port with TLS beside a plain one. So it
    is with ``admin``.
    """

    id: int
    client: ListenEndpoint
    peer: ListenEndpoint
    admin: ListenEndpoint | None = None
    _: KW_ONLY
    client_tls: ListenEndpoint | None = None
    admin_tls: ListenEndpoint | None = None
    client_is_tls: bool = False
    admin_is_tls: bool = False

    def endpoints(self) -> dict[str, ListenEndpoint]:
        """All endpoints that the node listens on, by their names in the config file."""
        named = {
            "client_tls" if self.client_is_tls else "client": self.client,
            "client_tls": self.client if self.client_is_tls else self.client_tls,
            "peer": self.peer,
            "admin_tls" if self.admin_is_tls else "admin": self.admin,
        }
        if self.admin_tls is not None:
            named["admin_tls"] = self.admin_tls
        return {name: endpoint for name, endpoint in named.items() if endpoint is not None}

    @property
    def has_tls(self) -> bool:
        """Whether clients or operators reach it over TLS."""
        return not {"client_tls", "admin_tls"}.isdisjoint(self.endpoints())


def parse_member(table: Mapping[str, Any], where: str) -> Member:
    """The member that one [[node]] ``table`` describes; ``where`` says which table that is."""
    check_keys(table, ("id", *_ENDPOINTS), where)
    node = required(table, "id", where)
    if type(node) is not int or not 1 <= node <= NODE_ID_MAX:
        raise ConfigError(f"{where}: id = {node!r} must be a whole number from 1 to {NODE_ID_MAX}")
    where = f"in [[node]] {node}"
    peer = _endpoint(table, "peer", where)
    if not peer.advertise:
        raise ConfigError(
            f"{where}: peer does not say how the other nodes reach it; "
            f'write peer = {{ bind = {quoted(peer.bind)}, advertise = "host:port" }}'
        )
    if "client" not in table and "client_tls" not in table:
        raise ConfigError(f"{where}: client is missing")
    given = {name: _endpoint(table, name, where) for name in _ENDPOINTS if name in table}
    client, client_tls = given.get("client"), given.get("client_tls")
    admin, admin_tls = given.get("admin"), given.get("admin_tls")
    first = client or client_tls
    assert first is not None, "one of them is there"
    return Member(
        node,
        first,
        peer,
        admin or admin_tls,
        client_tls=client_tls if client is not None else None,
        admin_tls=admin_tls if admin is not None else None,
        client_is_tls=client is None,
        admin_is_tls=admin is None and admin_tls is not None,
    )


def _endpoint(table: Mapping[str, Any], name: str, where: str) -> ListenEndpoint:
    value = required(table, name, where)
    where = f"{where}, {name}"
    if isinstance(value, dict):
        check_keys(value, ("bind", "advertise"), where)
        bind = text_of(value, "bind", where)
        advertise = text_of(value, "advertise", where) if "advertise" in value else ""
    elif isinstance(value, str):
        bind, advertise = value, ""
        if name in ("admin", "admin_tls") and value.isdecimal():
            bind = f"{LOOPBACK}:{value}"  # an operator who wants other machines to reach it must say so
    else:
        raise ConfigError(f"{where}: {value!r} must be a string, or a table with bind and advertise")
    try:
        return parse_endpoint(bind, advertise)
    except EndpointError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_distinct(members: tuple[Member, ...]) -> None:
    """Refuse two equal ids, and two equal addresses. Nodes on different machines may well bind the same words."""
    nodes: set[int] = set()
    addresses: dict[str, str] = {}
    for member in members:
        if member.id in nodes:
            raise ConfigError(f"two [[node]] tables have id = {member.id}")
        nodes.add(member.id)
        endpoints = member.endpoints()
        for (one, first), (two, second) in combinations(endpoints.items(), 2):
            if first.bind == second.bind:
                raise ConfigError(f"{one} and {two} of node {member.id} are the same endpoint, {first.bind}")
        for name, endpoint in endpoints.items():
            owner = f"{name} of node {member.id}"
            other = addresses.setdefault(endpoint.advertise or owner, owner)
            if other != owner:
                raise ConfigError(f"{other} and {owner} are the same endpoint, {endpoint.advertise}")


def render_member(member: Member) -> list[str]:
    """The lines from which ``parse_member`` makes the same member."""
    endpoints = member.endpoints().items()
    return ["", "[[node]]", f"id = {member.id}", *(f"{name} = {_endpoint_text(each)}" for name, each in endpoints)]


def _endpoint_text(endpoint: ListenEndpoint) -> str:
    short = shortest(endpoint)
    if short is not None:
        return quoted(short)
    advertise = f", advertise = {quoted(endpoint.advertise)}" if endpoint.advertise else ""
    return f"{{ bind = {quoted(endpoint.bind)}{advertise} }}"
