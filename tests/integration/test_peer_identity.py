"""Real nodes that prove to each other who they are: by a secret, by certificates, and by new ones while they run."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import Certificates
from tests.integration.processes import RealCluster, RealNode, wait_until

SECRET, OTHER = "a secret of 32 characters or more\n", "another secret, of 32 characters or more\n"
SECONDS = 20.0


class PeerIdentityTests(SynchronousTestCase):
    """Nodes 1 and 2 are as they should be. Node 3 is not, until that is mended."""

    def cluster_of(self, top: str = "", settings: str = "") -> RealCluster:
        cluster = RealCluster(top=top, settings=settings)
        self.addCleanup(cluster.close)
        return cluster

    def config_of_node_three(self, cluster: RealCluster, old: str, new: str) -> None:
        """Node 3's own config file, with ``new`` in place of ``old``."""
        path = cluster.directory / "node3.toml"
        text = cluster.config_path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        cluster.nodes[2].config_path = path

    def wait_said(self, node: RealNode, words: str, *events: str) -> None:
        """Until the node's log gives this reason, once for each other node at most."""

        def said() -> list[str]:
            lines = [line for event in events for line in node.logged(event)]
            return [line["reason"] for line in lines if words in line["reason"]]

        wait_until(said, SECONDS, lambda: f"node {node.number} says {words!r}: {node.cluster.tail(node)}")
        self.assertLessEqual(len(said()), 4, "not once a second")

    def assert_left_out(self, cluster: RealCluster) -> None:
        """The others serve, and node 3 takes no part."""
        one, two, three = cluster.nodes
        wait_until(lambda: one.serves() and two.serves(), SECONDS, "the other two serve")
        self.assertEqual(one.call("SET", "x", "1"), "OK")
        self.assertFalse(three.serves())
        self.assertEqual([node.logged("fenced") for node in cluster.nodes], [[], [], []])

    def test_a_wrong_secret_is_mended_while_the_node_runs(self) -> None:
        """Both logs say which file is wrong. When it is right, the node takes part, and was not started again."""
        cluster = self.cluster_of(top='peer_secret_file = "peer.secret"')
        one, _, three = cluster.nodes
        (cluster.directory / "peer.secret").write_text(SECRET)
        wrong = cluster.directory / "wrong.secret"
        wrong.write_text(OTHER)
        cluster.start()
        three.stop()
        self.config_of_node_three(cluster, "peer.secret", "wrong.secret")
        three.start()
        self.assert_left_out(cluster)
        words = "node 3 does not know the peer secret of node 1"
        self.wait_said(one, words, "peer_refused")
        self.wait_said(three, words, "refused_by_peer")
        wrong.write_text(SECRET)
        three.signal(signal.SIGHUP)
        cluster.wait_ready()
        self.assertEqual(three.call("GET", "x"), b"1")
        self.assertEqual(len(three.logged("started")), 2, "before, and with what was wrong")
        for node in cluster.nodes:
            self.assertNotIn(b"32 characters", node.log_path.read_bytes(), "no log has a secret")

    def test_certificates(self) -> None:
        """A node with one that has expired is left out; with a new one it takes part, and was not started again."""
        cluster = self.cluster_of()
        certificates = Certificates(cluster.directory / "certs", cluster.name)
        with cluster.config_path.open("a") as file:
            file.write(certificates.settings(peers="require"))
        one, _, three = cluster.nodes
        cluster.start()
        three.stop()
        certificates.expired(3, "node3")
        three.start()
        self.assert_left_out(cluster)
        self.wait_said(one, "has expired", "tls_refused")
        self.wait_said(three, "has expired", "refused_by_peer")
        certificates.node(3)
        three.signal(signal.SIGHUP)
        cluster.wait_ready()
        self.assertEqual(three.call("GET", "x"), b"1")
        self.assertEqual(len(three.logged("started")), 2, "before, and with what was wrong")
        found = [line["tls"] for node in cluster.nodes for line in node.logged("peer_found")]
        self.assertEqual(set(found), {True})
        three.stop()
        self.config_of_node_three(cluster, 'peers = "require"', 'peers = "off"')
        three.start()
        words = "node 3 dials without TLS, and node 1 requires it"
        self.wait_said(one, words, "peer_refused")
        self.wait_said(three, words, "refused_by_peer")
        self.assertEqual(one.call("SET", "x", "2"), "OK")

    def test_a_file_that_is_no_secret(self) -> None:
        """A node does not start as if there were none: it would take part with everybody, or with nobody."""
        cluster = self.cluster_of(top='peer_secret_file = "peer.secret"')
        node = cluster.nodes[0]
        for content, words in ((None, "cannot read"), ("sesame\n", "could be guessed")):
            if content is not None:
                Path(cluster.directory / "peer.secret").write_text(content)
            node.start()
            assert node.process is not None
            self.assertNotEqual(node.process.wait(SECONDS), 0)
            node.process = None
            self.assertIn(words, node.log_path.read_text())
        self.assertNotIn("sesame", node.log_path.read_text())
