"""How a node and its peers show each other who they are, by the config file: a secret, certificates, or neither."""

from __future__ import annotations

from functools import partial
from random import SystemRandom
from typing import NamedTuple

from dkv.config.config import Config
from dkv.config.peer_secret_file import load_peer_secrets
from dkv.config.tls_settings import ALLOW, OFF, PREFER, REQUIRE
from dkv.net.peer_proof import NO_SECRETS, NONCE_BYTES, PeerProofs, PeerSecrets
from dkv.net.peer_tls import NO_TLS, PeerTls
from dkv.node.protection import Protection

PEER_SECRET = "peer_secret"
"""The kind of the file with the secret."""


class PeerIdentity(NamedTuple):
    """What the mesh needs for it."""

    proofs: PeerProofs
    tls: PeerTls


def peer_identity(config: Config, protection: Protection) -> PeerIdentity:
    """Read the secret of ``config``, and again when its file changes; ``ProtectionError`` if it cannot be used."""
    proofs = PeerProofs(NO_SECRETS, partial(SystemRandom().randbytes, NONCE_BYTES))
    path = config.peer_secret_file
    if path is not None:
        allow = config.peer_secret == ALLOW

        def load() -> PeerSecrets:
            return PeerSecrets(load_peer_secrets(path), allow)

        proofs.secrets = protection.watch(PEER_SECRET, [path], load, proofs.adopt)
    peers = OFF if config.tls is None else config.tls.peers
    tls = NO_TLS if peers == OFF else PeerTls(protection.security, peers in (PREFER, REQUIRE), peers == REQUIRE)
    return PeerIdentity(proofs, tls)
