"""The port for operators: whether the node lives and is ready, its state and its metrics, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK, SERVICE_UNAVAILABLE, UNAUTHORIZED
from twisted.web.resource import Resource

from dkv.console.admin_channel import AdminSite, QuietSite
from dkv.console.inspection import Inspection

TEXT = b"text/plain; charset=utf-8"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
JSON = b"application/json"
PATHS = "/livez /readyz /status /metrics"

Answer = tuple[int, bytes, bytes]
"""Status, content type, body."""


class Refused(NamedTuple):
    """Why a visitor may not see a page: the status, and a line that says what to mend."""

    status: int
    text: str


Guard = Callable[[Any], Refused | None]
"""Judges a request for a page that tells something: None if the visitor may see it."""


class _Page(Resource):
    """One path, answered by ``answer(request)``, if ``guard`` lets the request pass."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, answer: Callable[[Any], Answer], guard: Guard) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's resources have no annotations
        self._answer = answer
        self._guard = guard

    def render(self, request: Any) -> bytes:
        """Answer GET and HEAD; for HEAD, Twisted leaves out the body."""
        status, kind, body = self._judged(request)
        request.setResponseCode(status)
        request.setHeader(b"content-type", kind)
        request.setHeader(b"cache-control", b"no-store")
        request.responseHeaders.removeHeader(b"server")  # strangers need not know the version of Twisted
        return body

    def _judged(self, request: Any) -> Answer:
        """The answer, or why there is none. Whoever may not see the pages is not even told which ones there are."""
        refusal = self._guard(request)
        if refusal is not None:
            if refusal.status == UNAUTHORIZED:
                request.setHeader(b"www-authenticate", b"Bearer")
            return refusal.status, TEXT, f"{refusal.text}\n".encode()
        if request.postpath:
            return _not_found(request)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return NOT_ALLOWED, TEXT, b"only GET and HEAD are understood here\n"
        return self._answer(request)


class _Root(Resource):
    def __init__(self, guard: Guard) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._guard = guard

    def getChild(self, path: bytes, request: Any) -> Resource:  # noqa: N802 - Twisted's name
        """Every path that does not exist."""
        return _Page(_not_found, self._guard)


def let_pass(_: Any) -> None:
    """The guard of what everybody may see."""


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


def admin_site(node: Inspection, reactor: Any, guard: Guard = let_pass) -> AdminSite:
    """The factory for the admin port of ``node``. ``guard`` says who may see more than whether the node is well."""
    root = _Root(guard)
    probes: dict[bytes, Callable[[Any], Answer]] = {
        b"livez": _livez,
        b"readyz": lambda request: readyz(node, _asks(request, b"verbose")),
    }
    pages: dict[bytes, Callable[[Any], Answer]] = {
        b"status": lambda _: (OK, JSON, json.dumps(node.status()).encode() + b"\n"),
        b"metrics": lambda _: (OK, PROMETHEUS, node.metrics()),
    }
    for path, answer in probes.items():
        root.putChild(path, _Page(answer, let_pass))
    for path, answer in pages.items():
        root.putChild(path, _Page(answer, guard))
    return AdminSite(QuietSite(root, reactor), reactor)
