"""TLS of a cluster on this machine: its certificates, in a directory beside its data, and how commands get in."""

from __future__ import annotations

from pathlib import Path

from dkv.cli.certs import CLIENT, DAYS, FILES, LOOPBACK, opened
from dkv.client.admission import OPEN, Admission, Tls
from dkv.config.config import Config
from dkv.config.tls_settings import REQUIRE, REQUIRED, TlsSettings

DIRECTORY = "certs"


def local_settings(directory: Path) -> TlsSettings:
    """The settings of a new cluster whose files are in ``directory``: TLS between nodes, too."""
    paths = {name: str((directory / DIRECTORY).absolute() / file) for name, file in FILES.items()}
    return TlsSettings(**paths, peers=REQUIRE)


def make_certificates(directory: Path, config: Config) -> None:
    """The certificates for those settings; ``Failure`` if they cannot be made."""
    path = directory / DIRECTORY
    with opened(path, new=True) as certificates:
        certificates.create(path, config.cluster, {each.id: LOOPBACK for each in config.members}, [CLIENT], DAYS)


def admission(config: Config, node: int, with_tls: bool) -> Admission:
    """How a command on this machine gets in at a node of ``config``: with the node's own certificate, if one is
    wanted."""
    tls = config.tls
    if not with_tls or tls is None:
        return OPEN
    if tls.client_certificates != REQUIRED:
        return Admission(Tls(tls.ca))
    return Admission(Tls(tls.ca, tls.certificate_of(node), tls.key_of(node)))
