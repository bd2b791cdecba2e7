"""Certificates are replaced while nodes run: no restart, no connection dropped, no failed request."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from dkv.client import Client, DkvError
from dkv.client.admission import Tls
from tests.integration.processes import HOST, RealNode
from tests.integration.secure_cluster import Counting, SecureCluster, Step, all_counted


class RotationTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = SecureCluster()
        self.addCleanup(self.cluster.close)
        settings = self.cluster.settings(peers="require", client_certificates="required")
        for node in self.cluster.nodes:
            self.cluster.configure(node, Step(tls=settings, plain=False, over_tls=True))
            node.start()
        for node in self.cluster.nodes:
            self.cluster.wait_until_ready(node)
        self.loads: list[Counting] = []

    def load(self) -> None:
        """One more client under load, whose connections begin now."""
        load = Counting(self.cluster.tls_client(), f"load{len(self.loads)}")
        self.loads.append(load)
        self.addCleanup(load.stop)
        load.wait_for_more()

    def change(self, change: Callable[[], Any], *nodes: RealNode) -> None:
        """Change files, and wait until these nodes have taken them: they look every few seconds, and now."""
        taken = [len(node.logged("credentials_taken_over")) for node in nodes]
        change()
        for node in nodes:
            node.signal(signal.SIGHUP)
        for node, before in zip(nodes, taken, strict=True):
            node.wait_logged("credentials_taken_over", before + 1)

    def standing_connection(self, node: RealNode) -> ssl.SSLSocket:
        """A connection that begins now and says nothing yet."""
        context = ssl.create_default_context(cafile=self.cluster.path("ca.pem"))
        context.load_cert_chain(self.cluster.path("app.pem"), self.cluster.path("app.key"))
        plain = socket.create_connection((HOST, self.cluster.tls_ports[node.number]), 10)
        connection = context.wrap_socket(plain, server_hostname=HOST)
        self.addCleanup(connection.close)
        return connection

    def copies(self, *names: str) -> list[str]:
        """Copies of certificates as they are now; where they are."""
        place = self.cluster.directory / "old"
        place.mkdir()
        return [shutil.copy(self.cluster.path(name), str(place)) for name in names]

    def assert_not_let_in(self, files: Tls, words: str) -> None:
        """Nobody gets in with these files, or finds a node that he believes."""
        address = f"{HOST}:{self.cluster.tls_ports[2]}"
        with Client(address, tls=files, timeout=0.5) as client:
            error = self.assertRaises(DkvError, client.get, "anything")
        self.assertIn(words, str(error))

    def test_another_ca_takes_over(self) -> None:
        """The steps of docs/security.md. A client that connects in any of them gets in, those that are connected stay,
        and in the end the old CA counts nothing. What the new one revokes is refused, too."""
        certificates, nodes = self.cluster.certificates, self.cluster.nodes
        old_ca, *old = self.copies("ca.pem", "app.pem", "app.key")
        standing = self.standing_connection(nodes[1])
        self.load()
        self.change(certificates.add_authority, *nodes)
        self.load()
        for node in nodes:
            self.change(partial(certificates.renew, f"node{node.number}", 30), node)
            self.assertEqual(
                self.cluster.certificate_shown(node),
                certificates.certificate(f"node{node.number}").public_bytes(Encoding.DER),
            )
            for load in self.loads:
                load.wait_for_more()
        certificates.renew("app", 30)
        self.load()
        self.change(certificates.drop_authorities, *nodes)
        self.load()
        self.cluster.restart(nodes[0], self.cluster.steps[1])  # it connects with the others by what is there now
        for load in self.loads:
            load.wait_for_more()
        with self.cluster.tls_client() as client:
            self.assertEqual(all_counted(self.loads, client.get), [])
        standing.sendall(b"PING\r\n")
        self.assertEqual(standing.recv(100), b"+PONG\r\n")
        new = Tls(*(self.cluster.path(name) for name in ("ca.pem", "app.pem", "app.key")))
        self.assert_not_let_in(Tls(new.ca, *old), "does not trust the CA of this client's certificate")
        self.assert_not_let_in(Tls(old_ca, new.certificate, new.key), "its certificate is not signed by a CA in")
        self.change(partial(certificates.revoke, "app"), nodes[1])
        self.assert_not_let_in(new, "this client's certificate was revoked")
