"""A running cluster goes over to TLS, and to a secret of its peers, node by node: no request of a client fails."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.secure_cluster import Counting, SecureCluster, Step, all_counted

SECRET = "the secret that these nodes have\n"


class SwitchingTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = SecureCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.secrets = {node.number: self.cluster.directory / f"secret{node.number}" for node in self.cluster.nodes}
        self.loads: list[Counting] = []
        self.load("plain", "before")

    def load(self, kind: str, key: str) -> None:
        """One more client under load, of the plain ports or of those with TLS, with a ``key`` of its own."""
        client = self.cluster.plain_client() if kind == "plain" else self.cluster.tls_client()
        self.loads.append(Counting(client, key))
        self.addCleanup(self.loads[-1].stop)
        self.loads[-1].wait_for_more()

    def step(self, peers: str, secret: str = "", **ports: bool) -> None:
        """Restart all nodes with this word for TLS between them, and this one for their secret, and see that all
        clients go on."""
        lines = [f'peer_secret_file = "{self.cluster.directory}/secret{{id}}"', f'peer_secret = "{secret}"']
        for node in self.cluster.nodes:
            top = "\n".join(lines).replace("{id}", str(node.number)) if secret else ""
            self.cluster.restart(node, Step(top, self.cluster.settings(peers=peers) if peers else "", **ports))
        for load in self.loads:
            load.wait_for_more()

    def test_from_plain_to_tls(self) -> None:
        """The steps of docs/security.md: clients move to the ports with TLS while both are there, and nodes learn to
        accept TLS, and the secret, before the first one insists on it."""
        for path in self.secrets.values():
            path.write_text(SECRET)
        self.step("allow", "allow", over_tls=True)
        self.load("tls", "between")
        self.step("prefer", "require", over_tls=True)
        with self.cluster.tls_client() as client:
            self.assertEqual(all_counted(self.loads[:1], client.get), [])  # it has gone over to TLS
        del self.loads[0]
        self.step("require", "require", over_tls=True, plain=False)
        self.load("tls", "after")
        with self.cluster.tls_client() as client:
            self.assertEqual(all_counted(self.loads, client.get), [])
