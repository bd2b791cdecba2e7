"""Where a node listens and where others reach it, from the words of a config file."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString

from dkv.settings import PORT_MAX

_SHORTHAND = re.compile(r"(?P<host>\*|\[[^\[\]]+\]|[^\s:\[\]=\\]+):(?P<port>[0-9]+)")
_TCP = re.compile(r"tcp(?P<six>6)?:(port=)?(?P<port>[0-9]+)(:interface=(?P<host>(\\.|[^:\\])+))?(:backlog=[0-9]+)?")
_TWISTED_TYPES = frozenset(("tcp", "tcp4", "tcp6", "ssl", "tls", "unix", "systemd", "haproxy", "fd", "stdio"))
"""Words that begin an endpoint string of Twisted; any other word before a colon is the host of ``host:port``."""

_CHECKED_TYPES = ("tcp:", "tcp6:", "unix:")
"""Types that can be parsed on any machine; the others may need the files or the init system of the node's own."""

_DIALLED = re.compile(
    r"(?:tcp|tls|ssl):(?:host=|address=)?(?P<host>(?:\\.|[^:=\\])+):(?:port=)?(?P<port>[0-9]+)(?::.*)?"
)
_EVERY_ADDRESS = frozenset(("*", "0.0.0.0", "[::]"))


class EndpointError(ValueError):
    """The text does not describe an endpoint."""


@dataclass(frozen=True, slots=True)
class ListenEndpoint:
    """Two endpoint strings of Twisted: the server's to listen on, the client's for others to connect to.

    ``advertise`` is empty if ``bind`` does not tell how others reach it and the config does not either.
    """

    bind: str
    advertise: str


def parse_endpoint(bind: str, advertise: str = "") -> ListenEndpoint:
    """The endpoint to ``bind``: ``host:port`` or a server endpoint string; and, if it differs, to ``advertise``.

    The shorthand takes a name, an IPv4 address, an IPv6 address in brackets, or ``*`` for every IPv4 address.
    """
    short = _shorthand(bind)
    if short is None:
        bind = _absolute(bind)
        _check(serverFromString, bind)
        return ListenEndpoint(bind, client_string(advertise) if advertise else "")
    host, port = short
    if not advertise and host not in _EVERY_ADDRESS:
        advertise = bind
    return ListenEndpoint(_server_string(host, port), client_string(advertise) if advertise else "")


def shortest(endpoint: ListenEndpoint) -> str | None:
    """The ``host:port`` that means exactly ``endpoint``, if there is one."""
    found = re.fullmatch(r"tcp:host=(?P<host>.+):port=(?P<port>[0-9]+)", endpoint.advertise)
    if found is None:
        return None
    host = found["host"].replace("\\:", ":")
    text = f"[{host}]:{found['port']}" if ":" in host else f"{host}:{found['port']}"
    return text if _shorthand(text) is not None and parse_endpoint(text) == endpoint else None


def listening_port(endpoint: ListenEndpoint) -> int | None:
    """The port on which ``endpoint`` listens, if it has one."""
    found = re.match(r"\w+:([0-9]+)(?::|\Z)", endpoint.bind)
    return None if found is None else int(found[1])


def listening_address(bind: str) -> tuple[str, int] | None:
    """The host and the port on which a server endpoint string listens, if it is TCP; "" is every IPv4 address."""
    found = _TCP.fullmatch(bind)
    if found is None:
        return None
    host = re.sub(r"\\(.)", r"\1", found["host"] or ("::" if found["six"] else ""))
    return "" if host == "0.0.0.0" else host, int(found["port"])


def dialled_address(text: str) -> tuple[str, int] | None:
    """The host and the port to which ``text`` leads: ``host:port`` or a client endpoint string.

    None if it has no such two, as the path of a UNIX socket has, or if it stands for every address.
    """
    try:
        found = _DIALLED.fullmatch(client_string(text)) if text else None
    except EndpointError:
        return None
    return None if found is None else (re.sub(r"\\(.)", r"\1", found["host"]), int(found["port"]))


def _shorthand(text: str) -> tuple[str, int] | None:
    """Host and port, if that is what ``text`` is."""
    found = _SHORTHAND.fullmatch(text)
    if found is None or found["host"] in _TWISTED_TYPES:
        return None
    port = int(found["port"])
    if not 1 <= port <= PORT_MAX:
        raise EndpointError(f"{text!r}: the port must be from 1 to {PORT_MAX}")
    return found["host"], port


def _server_string(host: str, port: int) -> str:
    if host == "*":
        return f"tcp:{port}"
    if host.startswith("["):
        return f"tcp6:{port}:interface={_escaped(host[1:-1])}"
    return f"tcp:{port}:interface={host}"


def client_string(text: str) -> str:
    """The client endpoint string that ``text``, which may be ``host:port``, stands for."""
    short = _shorthand(text)
    if short is None:
        text = _absolute(text)
        _check(clientFromString, text)
        return text
    host, port = short
    if host in _EVERY_ADDRESS:
        raise EndpointError(f"{text!r} is no address that others could connect to")
    return f"tcp:host={_escaped(host.strip('[]'))}:port={port}"


def _absolute(text: str) -> str:
    """An endpoint string with the path of a UNIX socket from the root on: twistd may go to another directory later."""
    kind, *words = re.split(r"(?<!\\):", text)
    if kind != "unix":
        return text
    for number, word in enumerate(words):
        found = re.fullmatch(r"(?P<name>(?:(?:address|path)=)?)(?P<path>[^/=][^=]*)", word)
        if found is not None and (found["name"] or number == 0):
            words[number] = found["name"] + _escaped(os.path.join(os.getcwd(), "")) + found["path"]
    return ":".join([kind, *words])


def _escaped(address: str) -> str:
    """An IPv6 address, or a path, as a value within an endpoint string."""
    return address.replace(":", "\\:")


def _check(parse: Callable[..., Any], text: str) -> None:
    """Let Twisted parse ``text``. It gets no reactor, since nothing is done with the result."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Twisted warns if it gets no reactor
            parse(None, text)
    except Exception as error:  # a parser of endpoints may be a plugin, and raise anything
        unknown = "Unknown endpoint type" in str(error) or ":" not in text
        if unknown or text.startswith(_CHECKED_TYPES):
            raise EndpointError(f"{text!r} is neither host:port nor an endpoint string of Twisted: {error}") from None
