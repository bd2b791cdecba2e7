"""Listening where an endpoint string says. For dialling see ``dkv.net.dialler``."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IResolutionReceiver, IStreamServerEndpoint
from zope.interface import implementer

from dkv.net.lookups import HostName, host_name

BACKLOG = 1024
"""How many connections may wait to be accepted. A thousand clients may connect at once, and none should be dropped."""


_UNIX = re.compile(r"(haproxy:)?unix:")
_UNIX_MODE = "mode=600"
"""Twisted's own default lets every user of the machine connect."""


def listening_endpoint(reactor: Any, text: str) -> Any:
    """The server endpoint that ``text`` describes, with ``BACKLOG``, unless it sets its own or its kind has none.

    A socket in the file system is for its owner alone, unless ``text`` gives it another mode.
    """
    host = host_name(text, "interface", ("tcp", "tcp6"), 2)
    if host is not None:
        return _NamedEndpoint(reactor, text, host)
    extras = [_UNIX_MODE] if _UNIX.match(text) and not re.search(r"(?<!\\):mode=", text) else []
    backlog = [f"backlog={BACKLOG}"] if "backlog=" not in text else []
    for more in ([*extras, *backlog], extras, backlog):
        try:
            return serverFromString(reactor, ":".join((text, *more)))  # type: ignore[no-untyped-call]
        except TypeError:
            pass  # Its kind takes no such words, or was given them by position.
    return serverFromString(reactor, text)  # type: ignore[no-untyped-call]


@implementer(IStreamServerEndpoint)
class _NamedEndpoint:
    """The server endpoint that ``text`` describes, in which an interface has a name. The name is looked up first.

    If the look-up were left to the system's ``bind``, a DNS that does not answer would stop the reactor all that time.
    """

    def __init__(self, reactor: Any, text: str, host: HostName) -> None:
        self._reactor = reactor
        self._text = text
        self._host = host

    def listen(self, factory: Any) -> Deferred[Any]:
        """Look the name up, then listen; fails with ``DNSLookupError`` if it is not found."""
        found: Deferred[Any] = Deferred()
        family = IPv6Address if self._text.startswith("tcp6:") else IPv4Address
        self._reactor.nameResolver.resolveHostName(_First(found), self._host.name, addressTypes=[family])

        def listen(address: str | None) -> Any:
            if address is None:
                raise DNSLookupError(f"the name {self._host.name} is not found")
            return listening_endpoint(self._reactor, self._host.replaced(address)).listen(factory)

        return found.addCallback(listen)


@implementer(IResolutionReceiver)
class _First:
    """Gives the first address of a name, or None, to a Deferred."""

    def __init__(self, found: Deferred[Any]) -> None:
        self._found = found
        self._address: str | None = None

    def resolutionBegan(self, resolution: Any) -> None:
        """The look-up has begun. Nobody cancels it: without its address a node cannot begin."""

    def addressResolved(self, address: Any) -> None:
        """One of the addresses is found: the first one is taken."""
        self._address = self._address or address.host

    def resolutionComplete(self) -> None:
        """There are no more addresses."""
        self._found.callback(self._address)
