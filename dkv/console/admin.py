"""The port for operators: whether the node lives and is ready, its state and its metrics, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK, SERVICE_UNAVAILABLE
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from dkv.console.inspection import Inspection

CONNECTIONS_MAX = 64
"""Few: descriptors are for clients, and above all for LevelDB."""
IDLE_SECONDS = 15
BODY_BYTES_MAX = 4_096
TEXT = b"text/plain; charset=utf-8"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
JSON = b"application/json"
PATHS = "/livez /readyz /status /metrics"

Answer = tuple[int, bytes, bytes]
"""Status, content type, body."""


class _Request(Request):
    """A request with a small body at most: nobody has anything to send here, and it would fill memory or disk."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Twisted announces the length of the body; None if it does not know."""
        if length is None or length > BODY_BYTES_MAX:
            self.channel.loseConnection()  # type: ignore[no-untyped-call]  # Twisted's requests have no annotations
            length = 0
        super().gotLength(length)  # type: ignore[no-untyped-call]  # as above


class _Page(Resource):
    """One path, answered by ``answer(request)``."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, answer: Callable[[Any], Answer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._answer = answer

    def render(self, request: Any) -> bytes:
        """Answer GET and HEAD; for HEAD, Twisted leaves out the body."""
        status, kind, body = self._answer(request)
        if request.postpath:
            status, kind, body = _not_found(request)
        elif request.method not in (b"GET", b"HEAD"):
            status, kind, body = NOT_ALLOWED, TEXT, b"only GET and HEAD are understood here\n"
            request.setHeader(b"allow", b"GET, HEAD")
        request.setResponseCode(status)
        request.setHeader(b"content-type", kind)
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"connection", b"close")  # a pipeline of requests would keep the node from its work
        return body


class _Root(Resource):
    def getChild(self, path: bytes, request: Any) -> Resource:  # noqa: N802 - Twisted's name
        """Every path that does not exist."""
        return _Page(_not_found)


def _not_found(_: Any) -> Answer:
    return NOT_FOUND, TEXT, f"there is nothing here but {PATHS}\n".encode()


def _livez(_: Any) -> Answer:
    return OK, TEXT, b"ok\n"


def _asks(request: Any, name: bytes) -> bool:
    """Whether the query has ``name``, with or without a value: Twisted drops names without one."""
    words = request.uri.partition(b"?")[2].split(b"&")
    return any(word.partition(b"=")[0] == name for word in words)


def readyz(node: Inspection, verbose: bool) -> Answer:
    """Whether the node is ready, after a line for each thing that it warns of.

    With ``verbose`` there is also a line for each condition, as in Kubernetes and etcd.
    """
    conditions = node.conditions()
    ready = all(condition.holds for condition in conditions)
    lines = []
    if verbose or not ready:
        lines = [
            f"[+]{condition.name} ok" if condition.holds else f"[-]{condition.name} failed: {condition.failure}"
            for condition in conditions
        ]
    if verbose:
        lines += [f"fault order for node {fault['node']}: {json.dumps(fault)}" for fault in node.faults.status()]
    lines += [f"[!]{caution.name}: {caution.text}" for caution in node.warnings()]
    lines.append("ok" if ready else "not ready")
    return (OK if ready else SERVICE_UNAVAILABLE), TEXT, ("\n".join(lines) + "\n").encode()


class _Site(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Log no requests: there is a scrape every few seconds."""


class AdminSite(WrappingFactory):
    """Keeps ``CONNECTIONS_MAX`` connections. One more replaces the oldest, so slow visitors block nobody."""

    noisy = False
    _gone: Deferred[None] | None = None

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """A connection."""
        if len(self.protocols) >= CONNECTIONS_MAX:
            oldest: Any = next(iter(self.protocols))
            oldest.transport.abortConnection()
        return super().buildProtocol(addr)

    def unregisterProtocol(self, p: Any) -> None:  # noqa: N802 - as above
        """A connection has ended."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]  # as above
        if self._gone is not None and not self._gone.called and not self.protocols:
            self._gone.callback(None)

    def abort(self) -> Deferred[None]:
        """End all connections now; fires when they are gone."""
        gone = self._gone = Deferred()
        for protocol in list(self.protocols):
            transport: Any = protocol.transport
            transport.abortConnection()
        if not self.protocols:
            gone.callback(None)
        return gone


def admin_site(node: Inspection, reactor: Any) -> AdminSite:
    """The factory for the admin port of ``node``; ``reactor`` ends connections that are idle."""
    root = _Root()  # type: ignore[no-untyped-call]  # as above
    pages: dict[bytes, Callable[[Any], Answer]] = {
        b"livez": _livez,
        b"readyz": lambda request: readyz(node, _asks(request, b"verbose")),
        b"status": lambda _: (OK, JSON, json.dumps(node.status()).encode() + b"\n"),
        b"metrics": lambda _: (OK, PROMETHEUS, node.metrics()),
    }
    for path, answer in pages.items():
        root.putChild(path, _Page(answer))
    site = _Site(root, requestFactory=_Request, timeout=IDLE_SECONDS, reactor=reactor)  # type: ignore[no-untyped-call]  # as above
    return AdminSite(site)  # type: ignore[no-untyped-call]  # as above
