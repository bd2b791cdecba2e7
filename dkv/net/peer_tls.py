"""TLS between nodes: on the one peer port, beside plain connections where a cluster is switched over.

The first byte of a connection tells what it is: a TLS handshake begins with 0x16, the frame of a plain Hello with 0.
Whose certificate the other end has shown is compared with what it says in its Hello, and with the node that was to be
dialled. Addresses and names of hosts play no part: they say where a node is, and not who it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dkv.net.securing import Security, is_secured, shown_by

TLS_HANDSHAKE = b"\x16"
"""The first byte of a connection whose dialler begins with TLS."""


@dataclass(frozen=True, slots=True)
class PeerTls:
    """How one node uses TLS with its peers. Without ``security`` it does not.

    It ``dials`` with TLS, or plainly. In any case it takes both from others, unless TLS is ``required``.
    """

    security: Security | None = None
    dials: bool = False
    required: bool = False

    def dialling(self, endpoint: Any) -> Any:
        """The client endpoint to dial a peer with in place of ``endpoint``."""
        return self.security.dialling(endpoint) if self.security is not None and self.dials else endpoint


NO_TLS = PeerTls()


def stranger_by_certificate(transport: Any, cluster: str, node: int) -> str | None:
    """Why the certificate at the other end is not that of ``node``; None if it is, or if there is no TLS."""
    if not is_secured(transport):
        return None
    shown = shown_by(transport)
    wanted = f"dkv://{cluster}/node/{node}"
    if shown is None or shown.node is None:
        subject = shown.subject if shown is not None else "none"
        return f"has a certificate that names no node ({subject}): give it one with the name {wanted}"
    if shown.node != (cluster, node):
        name = "dkv://{}/node/{}".format(*shown.node)
        return f"has the certificate of {name}: give it one with the name {wanted}, or correct the addresses"
    return None
