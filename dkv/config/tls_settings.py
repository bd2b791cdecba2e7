"""The section ``[tls]`` of a config file: where certificates and keys are, and who has to show one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dkv.config.reading import ConfigError, check_keys, quoted, text_of, word_of

OFF = "off"
ALLOW = "allow"
PREFER = "prefer"
REQUIRE = "require"
PEERS = (OFF, ALLOW, PREFER, REQUIRE)
"""How nodes talk with each other: plain only; plain, but TLS is accepted; TLS, but plain is accepted; TLS only. A
running cluster goes from each word to the next, node by node."""

OPTIONAL = "optional"
REQUIRED = "required"
CLIENT_CERTIFICATES = (OFF, OPTIONAL, REQUIRED)
"""Whether clients and operators are asked for a certificate, and whether they may come without one."""

_ID = "{id}"
_WHERE = "in [tls]"
_NAMES = ("ca", "certificate", "key", "crl", "peers", "client_certificates")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files, with absolute paths, and who must show a certificate. In ``certificate`` and ``key``, ``{id}`` stands
    for the number of the node."""

    ca: str
    certificate: str
    key: str
    crl: str | None = None
    peers: str = OFF
    client_certificates: str = OFF

    def certificate_of(self, node: int) -> str:
        """The file of a node's certificate."""
        return self.certificate.replace(_ID, str(node))

    def key_of(self, node: int) -> str:
        """The file of a node's private key."""
        return self.key.replace(_ID, str(node))


def parse_tls(table: Any, folder: str) -> TlsSettings:
    """The settings of the section ``table``, in a file that is in ``folder``; ``ConfigError`` if they are wrong."""
    if not isinstance(table, dict):
        raise ConfigError("tls must be a table, [tls]")
    check_keys(table, _NAMES, _WHERE)
    return TlsSettings(
        _path(table, "ca", folder),
        _path(table, "certificate", folder, (_ID,)),
        _path(table, "key", folder, (_ID,)),
        _path(table, "crl", folder) if "crl" in table else None,
        word_of(table, "peers", PEERS, OFF, _WHERE),
        word_of(table, "client_certificates", CLIENT_CERTIFICATES, OFF, _WHERE),
    )


def render_tls(settings: TlsSettings) -> list[str]:
    """The lines from which ``parse_tls`` makes the same settings."""
    given = {name: value for name, value in asdict(settings).items() if value is not None}
    return ["", "[tls]", *(f"{name} = {quoted(value)}" for name, value in given.items())]


def absolute(path: str, folder: str) -> str:
    """A path that a config file in ``folder`` names, from the root on: twistd may go to another directory later.
    ``ConfigError`` if it is none."""
    if "\0" in path:
        raise ConfigError(f"{path!r} is no path: it has a zero byte")
    return os.path.abspath(os.path.join(folder, path))


def _path(table: Mapping[str, Any], name: str, folder: str, placeholders: tuple[str, ...] = ()) -> str:
    path = text_of(table, name, _WHERE)
    for found in re.findall(r"\{[^{}/]*\}", path):
        if found not in placeholders:
            known = f"the only one is {_ID}" if placeholders else "every node has the same file"
            raise ConfigError(f"{_WHERE}: {name} = {path!r}: {found} stands for nothing; {known}")
    return absolute(path, folder)
