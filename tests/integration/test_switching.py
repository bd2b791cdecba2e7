"""A running cluster goes over to TLS, and to a secret of its peers, node by node: no request of a client fails."""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import RealNode, wait_until
from tests.integration.secure_cluster import SECONDS, Counting, SecureCluster, Step, all_counted

FIRST, SECOND = "the first secret that these nodes have\n", "the second one, which takes its place\n"


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
        nodes, dials_so = self.cluster.nodes, [[peers in {"prefer", "require"}] * 2] * 3
        wait_until(lambda: list(map(self.dialled_over_tls, nodes)) == dials_so, SECONDS, "nodes dial as status says")
        for load in self.loads:
            load.wait_for_more()

    def dialled_over_tls(self, node: RealNode) -> list[bool | None]:
        """Whether it has dialled each of its peers over TLS, as its status has it."""
        return [each["tls"] for each in self.cluster.status(node)["peers"]]

    def change_secret(self, *lines: str) -> None:
        """These are the secrets that each node knows from now on, node by node; nobody is restarted."""
        for node in self.cluster.nodes:
            taken = len(node.logged("credentials_taken_over"))
            self.secrets[node.number].write_text("".join(lines))
            node.signal(signal.SIGHUP)
            node.wait_logged("credentials_taken_over", taken + 1)
        for load in self.loads:
            load.wait_for_more()

    def test_from_plain_to_tls(self) -> None:
        """The steps of docs/security.md: clients move to the ports with TLS while both are there, and nodes learn to
        accept TLS, and the secret, before the first one insists on it."""
        for path in self.secrets.values():
            path.write_text(FIRST)
        self.step("allow", "allow", over_tls=True)
        self.load("tls", "between")
        self.step("prefer", "require", over_tls=True)
        with self.cluster.tls_client() as client:
            self.assertEqual(all_counted(self.loads[:1], client.get), [])  # it has gone over to TLS
        del self.loads[0]
        self.step("require", "require", over_tls=True, plain=False)
        self.change_secret(FIRST, SECOND)
        self.change_secret(SECOND, FIRST)
        self.change_secret(SECOND)
        self.cluster.restart(self.cluster.nodes[0], self.cluster.steps[1])  # it has to show the new one
        self.load("tls", "after")
        with self.cluster.tls_client() as client:
            self.assertEqual(all_counted(self.loads, client.get), [])
