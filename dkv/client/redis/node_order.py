"""The nodes that a client may ask, the next one first, and where they stand in what a program gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from dkv.client.blocking import Endpoint

_SCHEME_END = "://"


class NodeOrder:
    """The order in which nodes are asked. All connections of a pool share it, and so go on with the same node.

    Threads may call it at the same time: one of two changes may be lost, which costs an attempt.
    """

    def __init__(self, nodes: Iterable[Endpoint | str]) -> None:
        endpoints = [each if isinstance(each, Endpoint) else Endpoint.parse(each) for each in nodes]
        self._order = tuple(dict.fromkeys(endpoints))
        if not self._order:
            raise ValueError("at least one node must be named")
        self._failures: Counter[Endpoint] = Counter()

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._order)

    def failed(self, endpoint: Endpoint) -> None:
        """A node did not answer, or cannot serve now: it is asked last from now on."""
        self._failures[endpoint] += 1
        if endpoint in self._order:
            self._order = (*(each for each in self._order if each != endpoint), endpoint)

    def failures(self, endpoint: Endpoint) -> int:
        """How often that happened. A connection that is older than the last time is not used again."""
        return self._failures[endpoint]


def split_url(url: str) -> tuple[str, list[str]]:
    """The URL with the first node alone, and all nodes: of ``redis://h1:5001,h2:5002/0``.

    A node without a port has Redis's, 6379. No list of nodes means that the URL names none, as a path of a socket.
    """
    scheme, separator, rest = url.partition(_SCHEME_END)
    authority, slash, path = rest.partition("/")
    if not slash:
        authority, slash, path = rest.partition("?")
    if not separator or scheme == "unix" or not authority:
        return url, []
    if "@" in path.partition("?")[0]:  # else the error would show a part of the password as the name of a node
        raise ValueError("in a user and a password of a URL '/' is written %2F")
    user, at, hosts = authority.rpartition("@")
    nodes = [each.strip() for each in hosts.split(",") if each.strip()]
    first = f"{scheme}{separator}{user}{at}{nodes[0] if nodes else ''}{slash}{path}"
    return first, [_with_port(each) for each in nodes]


def _with_port(node: str) -> str:
    return node if node.rpartition(":")[2].isdigit() and ":" in node.rpartition("]")[2] else f"{node}:6379"
