"""The peer secret of a node, from its file, as the mesh needs it."""

from __future__ import annotations

from dkv.config.config import Config
from dkv.config.peer_secret_file import load_peer_secrets
from dkv.config.tls_settings import ALLOW
from dkv.net.peer_proof import NO_SECRETS, PeerSecrets


def peer_secrets(config: Config) -> PeerSecrets:
    """What the file that ``config`` names holds; ``PeerSecretError`` if that is no secret. None without a file."""
    if config.peer_secret_file is None:
        return NO_SECRETS
    return PeerSecrets(load_peer_secrets(config.peer_secret_file), allow=config.peer_secret == ALLOW)
