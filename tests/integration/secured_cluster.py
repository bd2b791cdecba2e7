"""Three nodes with TLS and users, shared by the tests that leave them as they are."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Sequence
from functools import partial

from dkv.cli.readyz import says_ready
from dkv.client.admission import Admission, Tls
from dkv.client.endpoint import Endpoint
from dkv.security.passwords import hash_of
from tests.certificates import Certificates
from tests.integration.processes import HOST, RealCluster, free_ports, wait_until

APP, BOSS = "app", "boss"
"""A user who may read and write the keys that begin with ``app:``, and one who may do everything."""

PASSWORDS = {APP: "sesame", BOSS: "open:it@now"}
SECONDS = 30.0


class SecuredCluster:
    """Nodes that take clients by TLS, and beside that without it, and know two users and nobody else."""

    def __init__(self) -> None:
        self.nodes = RealCluster()
        directory = self.nodes.directory
        self.certificates = Certificates(directory / "certs", self.nodes.name)
        self.app_certificate = self.certificates.client(APP)
        self.users = directory / "users.toml"
        self.users.touch(0o600)
        self.users.write_text("".join(map(_user, PASSWORDS)))
        config = self.nodes.config_path.read_text()
        ports = free_ports(len(self.nodes.nodes))
        for node, port in zip(self.nodes.nodes, ports, strict=True):
            plain = f'client = "{HOST}:{node.port}"\n'
            config = config.replace(plain, f'{plain}client_tls = "{HOST}:{port}"\n')
        tables = self.certificates.settings(client_certificates="optional")
        self.nodes.config_path.write_text(f'users_file = "users.toml"\n{config}\n{tables}')
        self.ca = str(self.certificates.ca)
        self.ports = [node.port for node in self.nodes.nodes]
        self.tls_ports = ports
        self.addresses = ",".join(f"{HOST}:{port}" for port in ports)
        """Where clients with TLS reach the nodes."""

    def start(self) -> None:
        """Start all, and wait until they are ready."""
        for node in self.nodes.nodes:
            node.start()
        for node in self.nodes.nodes:
            operators = Endpoint(HOST, node.admin_port)
            wait_until(partial(says_ready, operators, 1.0), SECONDS, partial(self.nodes.tail, node))

    def access(self, user: str) -> Admission:
        """How a client of ours gets in."""
        return Admission(Tls(self.ca), user.encode(), PASSWORDS[user].encode())


def _user(name: str) -> str:
    rights = 'may = ["read", "write"]\nkeys = ["app:*"]\ncertificate = "app"'
    if name == BOSS:
        rights = 'may = ["all"]\nkeys = ["*"]\nchannels = ["*"]'
    text = hash_of(PASSWORDS[name].encode(), os.urandom(16)).text
    return f'[user.{name}]\npassword = "{text}"\n{rights}\n'


CA = "secure/certs/ca.pem"
"""The file of the CA in the programs of pages."""

_PORT = re.compile(r"\b500([123])\b")


def at_ports(program: str, ports: Sequence[int]) -> str:
    """A program of a page, for these ports."""
    return _PORT.sub(lambda found: str(ports[int(found[1]) - 1]), program)


def placed(program: str) -> str:
    """A program of a page that is for a cluster with TLS and users, for this one."""
    cluster = secured_cluster()
    return at_ports(program, cluster.tls_ports).replace(CA, cluster.ca)


_shared: list[SecuredCluster] = []


def secured_cluster() -> SecuredCluster:
    """The cluster, started when it is needed first; a test has keys of its own."""
    if not _shared:
        made = SecuredCluster()
        atexit.register(made.nodes.close)
        made.start()
        _shared.append(made)
    return _shared[0]
