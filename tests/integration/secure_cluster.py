"""Three real nodes, each with a config file of its own, which goes over to TLS and secrets step by step."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dkv.client import Client
from dkv.client.admission import Tls
from dkv.tls.authority_files import CertificateDirectory
from tests.certificates import LOOPBACK
from tests.integration.library_load import Load
from tests.integration.processes import HOST, RealCluster, RealNode, free_ports, wait_until

SECONDS = 20.0


@dataclass(frozen=True)
class Step:
    """What the config file of one node says beside the addresses: the lines at its top and its [tls] table, and which
    ports are there for clients."""

    top: str = ""
    tls: str = ""
    plain: bool = True
    over_tls: bool = False


class SecureCluster(RealCluster):
    """Nodes that are restarted one after the other, each with what the next step says; ``certificates`` are theirs."""

    def __init__(self) -> None:
        super().__init__(3)
        self.certificates = CertificateDirectory.create(
            self.directory / "certs", self.name, {node.number: LOOPBACK for node in self.nodes}, ["app"], 30
        )
        self.tls_ports = dict(zip((1, 2, 3), free_ports(3), strict=True))
        self.steps = {node.number: Step() for node in self.nodes}

    def configure(self, node: RealNode, step: Step) -> None:
        """Write the node's config file, for its next start."""
        self.steps[node.number] = step
        lines = [f'cluster = "{self.name}"', step.top]
        for each in self.nodes:
            lines += ["[[node]]", f"id = {each.number}", f'peer = "{HOST}:{each.peer_port}"']
            lines += [f'admin = "{HOST}:{each.admin_port}"']
            lines += [f'client = "{HOST}:{each.port}"'] if step.plain else []
            lines += [f'client_tls = "{HOST}:{self.tls_ports[each.number]}"'] if step.over_tls else []
        node.config_path = self.directory / f"cluster{node.number}.toml"
        node.config_path.write_text("\n".join([*lines, step.tls]))

    def restart(self, node: RealNode, step: Step) -> None:
        """Restart a node with what its config file says now, and wait until it is ready."""
        self.configure(node, step)
        node.stop()
        node.start()
        self.wait_until_ready(node)

    def wait_until_ready(self, node: RealNode) -> None:
        """Wait until it reaches its peers and serves, as its operators' port says."""
        wait_until(lambda: self.ready(node), SECONDS, lambda: f"node {node.number} is ready: {self.tail(node)}")

    def ready(self, node: RealNode) -> bool:
        """Whether it says that it is ready, and is connected with every peer in both directions, without which it could
        serve all the same."""
        try:
            status = self.status(node)
        except OSError:
            return False
        peers = status["peers"]
        return status["ready"] is True and all(each["connected"] and each["accepted"] for each in peers)

    def status(self, node: RealNode) -> dict[str, Any]:
        """What its operators' port says of its state."""
        with urllib.request.urlopen(f"http://{HOST}:{node.admin_port}/status", timeout=5) as answer:
            status: dict[str, Any] = json.load(answer)
        return status

    def plain_client(self) -> Client:
        """A client of the plain ports of all nodes."""
        return Client([f"{HOST}:{node.port}" for node in self.nodes])

    def tls_client(self, *nodes: RealNode) -> Client:
        """A client of their ports with TLS, or of those of some nodes: the certificates of ``ca.pem`` are those that it
        trusts, and its own is that of ``app``."""
        addresses = [f"{HOST}:{self.tls_ports[node.number]}" for node in nodes or self.nodes]
        return Client(addresses, tls=Tls(*(self.path(name) for name in ("ca.pem", "app.pem", "app.key"))))

    def path(self, name: str) -> str:
        """A file of the certificates."""
        return str(self.certificates.path / name)

    def settings(self, **more: str) -> str:
        """The [tls] table for these certificates, and ``more`` settings."""
        fields = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key", "crl": "crl.pem"}
        paths = {name: self.path(file) for name, file in fields.items()}
        return "\n".join(["[tls]", *(f"{name} = {json.dumps(value)}" for name, value in (paths | more).items())])

    def certificate_shown(self, node: RealNode) -> bytes:
        """The certificate that a node shows to clients who connect now, in DER."""
        pem = ssl.get_server_certificate((HOST, self.tls_ports[node.number]))
        return ssl.PEM_cert_to_DER_cert(pem)


class Counting:
    """A client that adds one to a key of its own, again and again."""

    def __init__(self, client: Client, key: str) -> None:
        self.key = key
        self._client = client
        self._load = Load(lambda _: client.incr(key))

    def wait_for_more(self, count: int = 5) -> None:
        """Wait until so many more are acknowledged, by the nodes as they are now."""
        target = len(self._load.acknowledged) + count
        wait_until(
            lambda: len(self._load.acknowledged) >= target or self._load.errors,
            SECONDS,
            lambda: f"{self.key} goes on",
        )

    def stop(self) -> tuple[list[Exception], int]:
        """What failed, and how many were acknowledged."""
        self._load.stop()
        self._client.close()
        return self._load.errors, len(self._load.acknowledged)


def all_counted(loads: list[Counting], read: Callable[[str], Any]) -> list[str]:
    """Stop ``loads``; what is wrong with them: requests that failed, and such as happened not once."""
    wrong = []
    for load in loads:
        errors, acknowledged = load.stop()
        wrong += [f"{load.key}: {error!r}" for error in errors[:3]]
        if read(load.key) != b"%d" % acknowledged:
            wrong.append(f"{load.key}: {acknowledged} were acknowledged, and {read(load.key)!r} happened")
    return wrong
