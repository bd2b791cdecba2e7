"""All ports of a node: bound before it touches its directory, opened when it is built."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks

from dkv.config.config import Member
from dkv.net import securing
from dkv.net.door import Door
from dkv.net.securing import Security

PEER = "peer"
ADMIN = "admin"
ADMIN_TLS = "admin_tls"
CLIENT = "client"
CLIENT_TLS = "client_tls"
"""The names of ports, as the config file has them."""

_KINDS = {CLIENT_TLS: securing.CLIENTS, ADMIN_TLS: securing.ADMIN}


class Doors:
    """The ports of ``member``."""

    def __init__(self, reactor: Any, member: Member) -> None:
        self._doors = {name: Door(reactor, endpoint.bind) for name, endpoint in member.endpoints().items()}
        self.peers = self._doors[PEER]

    @inlineCallbacks
    def bind(self) -> Any:
        """Listen on all of them. Clients come last: whoever can connect to a node may wait for it to serve."""
        for name in (PEER, ADMIN, ADMIN_TLS, CLIENT, CLIENT_TLS):
            if name in self._doors:
                yield self._doors[name].bind()

    def open(self, name: str, factory: Any, security: Security | None) -> None:
        """From now on ``factory`` serves the port ``name``, if there is one: behind TLS, where the name says so."""
        if name not in self._doors:
            return
        if name in _KINDS:
            assert security is not None, "a config with such a port has a section [tls]"
            factory = security.listening(factory, _KINDS[name])
        self._doors[name].open(factory)

    def close_to_clients(self) -> Deferred[Any]:
        """No more of them come in. Fires when their ports are free."""
        return DeferredList([self._doors[name].close() for name in (CLIENT, CLIENT_TLS) if name in self._doors])

    def close(self) -> Deferred[Any]:
        """Listen no more. Connections stay. Fires when all ports are free."""
        return DeferredList([door.close() for door in self._doors.values()])


def listened_on(member: Member) -> dict[str, str | None]:
    """Where ``member`` listens, for its log; None for ports that it does not have."""
    bound = {name: endpoint.bind for name, endpoint in member.endpoints().items()}
    fields = {"clients": CLIENT, "clients_tls": CLIENT_TLS, "peers": PEER, ADMIN: ADMIN, ADMIN_TLS: ADMIN_TLS}
    return {field: bound.get(name) for field, name in fields.items()}
