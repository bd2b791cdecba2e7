"""Which ports of a node are open to everyone who reaches them, or let data be read on its way, by its config.

A port on the loopback address or on a UNIX socket is reached from this machine only, and is left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from dkv.config.config import Config
from dkv.config.listen_endpoint import ListenEndpoint, listening_address
from dkv.config.members import Member
from dkv.config.tls_settings import OFF, PREFER, REQUIRE, REQUIRED

OPEN = "open to everyone who reaches it"
_LOOPBACK_NAME = "localhost"
_ENCRYPTED = ("ssl:", "tls:")
"""Endpoint strings of Twisted that encrypt by themselves."""


class Exposure(NamedTuple):
    """A port that somebody can misuse; ``text`` is one line and says what to set."""

    name: str
    text: str


def is_local(endpoint: ListenEndpoint) -> bool:
    """Whether only programs on this machine reach the endpoint. One that cannot be judged is not."""
    if endpoint.bind.startswith("unix:"):
        return True
    address = listening_address(endpoint.bind)
    if address is None:
        return False
    host = address[0]
    if host == _LOOPBACK_NAME:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or every address
        return False


def exposures(config: Config, member: Member) -> list[Exposure]:
    """What is exposed by ``member``, a node of the cluster that ``config`` describes."""
    return [*_clients(config, member), *_peers(config, member), *_operators(config, member)]


def asks_for_certificate(config: Config, name: str) -> bool:
    """Whether a certificate opens the port ``admin`` or ``admin_tls``, by its ``name``."""
    return name == "admin_tls" and config.tls is not None and config.tls.client_certificates != OFF


def may_visit(config: Config, name: str, endpoint: ListenEndpoint) -> bool:
    """Whether the port ``admin`` or ``admin_tls``, by its ``name``, shows its pages to anybody at all."""
    return is_local(endpoint) or config.admin_token_file is not None or asks_for_certificate(config, name)


def _clients(config: Config, member: Member) -> Iterator[Exposure]:
    for name, endpoint in _reachable(member, "client", "client_tls"):
        wants_certificate = name == "client_tls" and _certificate_required(config)
        if config.users_file is None and not wants_certificate:
            mend = 'set users_file, or have client_tls alone and client_certificates = "required" in [tls]'
            yield Exposure("open_client", f"{_port(name, endpoint)} is {OPEN}: {mend}")
        if name == "client" and not endpoint.bind.startswith(_ENCRYPTED):
            yield _readable("client", name, endpoint, "use client_tls in its place")


def _peers(config: Config, member: Member) -> Iterator[Exposure]:
    peers = config.tls.peers if config.tls is not None else ""
    secret = config.peer_secret_file is not None and config.peer_secret == REQUIRE
    for name, endpoint in _reachable(member, "peer"):
        if peers != REQUIRE and not secret:
            secrets = "peer_secret_file" if config.peer_secret_file is None else f'peer_secret = "{REQUIRE}"'
            mend = f'set peers = "{REQUIRE}" in [tls], or {secrets}'
            yield Exposure("open_peer", f"{_port(name, endpoint)} is {OPEN}: {mend}")
        if peers not in (PREFER, REQUIRE):
            yield _readable("peer", name, endpoint, f'set peers = "{REQUIRE}" in [tls]')


def _operators(config: Config, member: Member) -> Iterator[Exposure]:
    for name, endpoint in _reachable(member, "admin", "admin_tls"):
        if not may_visit(config, name, endpoint):
            mend = "set admin_token_file, or let it listen on 127.0.0.1"
            yield Exposure("closed_admin", f"{_port(name, endpoint)} shows no more than /livez and /readyz: {mend}")
        elif name == "admin" and not endpoint.bind.startswith(_ENCRYPTED):
            yield _readable("admin", name, endpoint, "use admin_tls in its place")


def _reachable(member: Member, *names: str) -> Iterator[tuple[str, ListenEndpoint]]:
    endpoints = member.endpoints()
    return ((name, endpoints[name]) for name in names if name in endpoints and not is_local(endpoints[name]))


def _readable(port: str, name: str, endpoint: ListenEndpoint, mend: str) -> Exposure:
    text = f"what passes through {_port(name, endpoint)} can be read and changed on its way: {mend}"
    return Exposure(f"unencrypted_{port}", text)


def _certificate_required(config: Config) -> bool:
    return config.tls is not None and config.tls.client_certificates == REQUIRED


def _port(name: str, endpoint: ListenEndpoint) -> str:
    address = listening_address(endpoint.bind)
    where = endpoint.bind if address is None else f"{address[0] or '*'}:{address[1]}"
    return f"the port {name} ({where})"
