"""Looking up names of hosts without Twisted's pool of threads, which a DNS that does not answer would fill.

Each name is looked up in a thread of its own, one look-up at a time. A thread that hangs delays nobody who asks for
another name, and nobody who asks for this one if it was found before. Nor does it delay the end of the process.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer

PATIENCE_SECONDS = 0.2
"""How long to wait for an answer if the name was found before. After that, what was found last is used."""

_FAMILIES: dict[Any, int] = {IPv4Address: socket.AF_INET, IPv6Address: socket.AF_INET6}
_Key = tuple[str, int]
"""A name, and the family of the addresses that are wanted."""


class HostName(NamedTuple):
    """The name of a host within an endpoint string: the word at ``place`` is ``prefix`` and the name."""

    words: list[str]
    place: int
    prefix: str
    name: str

    def replaced(self, address: str) -> str:
        """The endpoint string with an address in the name's place."""
        word = self.prefix + address.replace(":", "\\:")
        return ":".join([*self.words[: self.place], word, *self.words[self.place + 1 :]])


def host_name(text: str, keyword: str, kinds: Sequence[str], position: int) -> HostName | None:
    """The host that the endpoint string ``text`` names by ``keyword``, or at ``position`` if it is one of ``kinds``.

    None if it names none, or an address, which needs no look-up.
    """
    words = re.split(r"(?<!\\):", text)
    prefix = f"{keyword}="
    index = next((index for index, word in enumerate(words) if word.startswith(prefix)), 0)
    if index == 0:
        index, prefix = position, ""
        if words[0] not in kinds or len(words) <= position or "=" in words[position]:
            return None
    host = re.sub(r"\\(.)", r"\1", words[index].removeprefix(prefix))
    return None if host in ("", "*") or _is_address(host) else HostName(words, index, prefix, host)


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="look-up", daemon=True).start()  # daemon: the process ends without it


@implementer(IHostResolution)
class _Resolution:
    """A receiver that waits for the addresses of ``name``."""

    def __init__(self, name: str, port: int, receiver: Any) -> None:
        self.name = name
        self._port = port
        self._receiver = receiver

    def deliver(self, addresses: Sequence[tuple[type, str]]) -> None:
        """Hand over what was found, once; nothing if it was cancelled."""
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        for kind, host in addresses:
            receiver.addressResolved(kind("TCP", host, self._port))
        receiver.resolutionComplete()

    def cancel(self) -> None:
        """The receiver does not want the addresses any more."""
        self._receiver = None


@implementer(IHostnameResolver)
class Lookups:
    """A name resolver for a Twisted reactor's ``installNameResolver``; ``run`` runs a function beside the reactor."""

    def __init__(
        self,
        reactor: Any,
        getaddrinfo: Callable[..., Any] = socket.getaddrinfo,
        run: Callable[[Callable[[], None]], None] = _in_a_thread,
    ) -> None:
        self._reactor = reactor
        self._getaddrinfo = getaddrinfo
        self._run = run
        self._waiting: dict[_Key, list[_Resolution]] = {}
        self._found: dict[_Key, list[tuple[type, str]]] = {}
        self._failures: dict[str, str] = {}

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # noqa: N803 - as above
        hostName: str,  # noqa: N803 - as above
        portNumber: int = 0,  # noqa: N803 - as above
        addressTypes: Sequence[type] | None = None,  # noqa: N803 - as above
        transportSemantics: str = "TCP",  # noqa: N803 - as above
    ) -> _Resolution:
        """Look ``hostName`` up. If it has no address, the receiver hears only that the look-up is complete."""
        resolution = _Resolution(hostName, portNumber, resolutionReceiver)
        resolutionReceiver.resolutionBegan(resolution)
        kinds = tuple(addressTypes or _FAMILIES)
        key = (hostName, _FAMILIES[kinds[0]] if len(kinds) == 1 else socket.AF_UNSPEC)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
            self._run(lambda: self._look_up(key))
        waiting.append(resolution)
        if key in self._found:
            self._reactor.callLater(PATIENCE_SECONDS, self._use_last, key, resolution)
        return resolution

    def trouble(self, name: str) -> str | None:
        """What is wrong with the name, in words; None if it was ever found."""
        if any(name == key[0] and key not in self._found for key in self._waiting):
            return f"the look-up of the name {name} is not answered"
        failure = None if any(name == found for found, _ in self._found) else self._failures.get(name)
        return None if failure is None else f"the name {name} is not found: {failure}"

    def _look_up(self, key: _Key) -> None:
        """Runs in a thread of its own: it may take for ever."""
        name, family = key
        try:
            answers = self._getaddrinfo(name, None, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # gaierror is the former; a name that no DNS can have is the latter
            self._reactor.callFromThread(self._answered, key, [], str(getattr(error, "strerror", None) or error))
            return
        kinds: dict[int, type] = {number: kind for kind, number in _FAMILIES.items()}
        found = [(kinds[answer[0]], str(answer[4][0])) for answer in answers if answer[0] in kinds]
        self._reactor.callFromThread(self._answered, key, found, "it has no address")

    def _answered(self, key: _Key, found: list[tuple[type, str]], failure: str) -> None:
        if found:
            self._found[key] = found
            self._failures.pop(key[0], None)
        else:
            self._failures[key[0]] = failure
        for resolution in self._waiting.pop(key):
            resolution.deliver(self._found.get(key, []))

    def _use_last(self, key: _Key, resolution: _Resolution) -> None:
        """The look-up takes long: use what was found last. Its own answer is for those who ask later."""
        waiting = self._waiting.get(key, [])
        if resolution in waiting:
            waiting.remove(resolution)
            resolution.deliver(self._found[key])
