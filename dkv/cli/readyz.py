"""Whether a node is ready, by its port for operators: it answers that to everyone, also where users are listed."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection

from dkv.client.endpoint import Endpoint

PATH = "/readyz"
READY = 200


def says_ready(operators: Endpoint, seconds: float) -> bool:
    """Whether the node with this port says that it is ready."""
    where, tls = (operators.host, operators.port), operators.access.tls
    made = (
        HTTPConnection(*where, timeout=seconds)
        if tls is None
        else HTTPSConnection(*where, timeout=seconds, context=tls.context())
    )
    try:
        made.request("GET", PATH)
        return made.getresponse().status == READY
    except (OSError, HTTPException):
        return False
    finally:
        made.close()
