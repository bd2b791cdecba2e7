"""A real cluster that is closed to strangers: TLS on every port, a secret between nodes, users, a token."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from dkv.security.passwords import hash_of
from tests.certificates import Certificates
from tests.integration.processes import Connection, RealCluster, RealNode, free_ports
from tests.siege.beginnings import ADMIN, ADMIN_TLS, CLIENT, CLIENT_TLS, PEER
from tests.siege.served import Connect, TlsConnection

ROOT, APP = "root", "app"
PASSWORDS = {ROOT: "the password of root", APP: "and that of an application"}
SECRET = "what only the nodes of this cluster know"
TOKEN = "what-only-operators-know"
KEYS = "siege:*"

USERS = """
[user.root]
password = "{root}"
may = ["all"]
keys = ["*"]
channels = ["*"]

[user.app]
password = "{app}"
may = ["read", "write"]
keys = ["{keys}"]
"""


class FortressNode(RealNode):
    """A node with two more ports. It is asked over TLS, by root."""

    def __init__(self, fortress: Fortress, plain: RealNode) -> None:
        super().__init__(fortress, plain.number, plain.port, plain.peer_port, plain.admin_port, plain.host)
        self.fortress = fortress
        self.client_tls_port, self.admin_tls_port = free_ports(2)

    def port_of(self, kind: str) -> int:
        """The number of a port."""
        ports = {CLIENT: self.port, PEER: self.peer_port, ADMIN: self.admin_port}
        return (ports | {CLIENT_TLS: self.client_tls_port, ADMIN_TLS: self.admin_tls_port})[kind]

    def connect(self, seconds: float = 10.0) -> Connection:
        """A connection of root's."""
        return self.connect_as(ROOT, seconds=seconds)

    def connect_as(self, user: str, tls: bool = True, seconds: float = 10.0) -> Connection:
        """A connection of a user, who has authenticated."""
        connection = self.connect_unknown(tls, seconds)
        connection.call("AUTH", user, PASSWORDS[user])
        return connection

    def connect_unknown(self, tls: bool = True, seconds: float = 10.0) -> Connection:
        """A connection of somebody who has not said who it is."""
        if not tls:
            return Connection(self.port, seconds, self.host)
        return TlsConnection(self.client_tls_port, self.fortress.context, self.host, seconds)


class Fortress(RealCluster):
    """Three such nodes. Their plain ports are there as well, for clients and operators, and ask for passwords too."""

    fortress_nodes: list[FortressNode]

    def __init__(self, directory: Path | None = None, peers: str = "require") -> None:
        self.peers = peers
        super().__init__(directory=directory)

    def set_mode(self, mode: str, name: str = "cluster.toml") -> Path:
        """Write the config and, at first, all files that it names."""
        self.mode = mode
        if not hasattr(self, "fortress_nodes"):
            self._make_files()
        tables = [
            f'[[node]]\nid = {node.number}\nclient = "{node.host}:{node.port}"\n'
            f'client_tls = "{node.host}:{node.client_tls_port}"\npeer = "{node.host}:{node.peer_port}"\n'
            f'admin = "{node.host}:{node.admin_port}"\nadmin_tls = "{node.host}:{node.admin_tls_port}"\n'
            for node in self.fortress_nodes
        ]
        top = [
            f'cluster = "{self.name}"\nmode = "{mode}"\nusers_file = "users.toml"\npeer_secret_file = "peer.secret"\n'
            f'admin_token_file = "admin.token"\n',
        ]
        path = self.directory / name
        path.write_text("\n".join([*top, *tables, self.certificates.settings(peers=self.peers)]))
        return path

    def _make_files(self) -> None:
        self.fortress_nodes = [FortressNode(self, node) for node in self.nodes]
        self.nodes[:] = self.fortress_nodes
        self.certificates = Certificates(self.directory / "certs", self.name, [node.number for node in self.nodes])
        self.context = ssl.create_default_context(cafile=str(self.certificates.ca))
        hashes = {name: hash_of(password.encode(), os.urandom(16)).text for name, password in PASSWORDS.items()}
        self.write_secret("users.toml", USERS.format(**hashes, keys=KEYS))
        self.write_secret("peer.secret", SECRET + "\n")
        self.write_secret("admin.token", TOKEN + "\n")

    def users(self) -> list[Connect]:
        """Two users for each node, one of them over TLS."""

        def connect(node: FortressNode, tls: bool) -> Connect:
            return lambda: node.connect_as(APP, tls)

        return [connect(node, tls) for node in self.fortress_nodes for tls in (False, True)]

    def write_secret(self, name: str, text: str) -> None:
        """Write a file that only its owner may read, in one step."""
        part = self.directory / f"{name}.part"
        part.touch(mode=0o600)
        part.write_text(text)
        part.rename(self.directory / name)
