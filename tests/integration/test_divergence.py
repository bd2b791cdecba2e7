"""A node whose log is not the others': it ends for good, and the others go on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import DIGEST, GENERATION, STATE
from dkv.storage.leveldb import LevelDBStore
from tests.integration.processes import RealCluster, RealNode, wait_until


class DivergenceTest(SynchronousTestCase):
    def written_back(self, node: RealNode) -> bool:
        """Whether what the node applied last is on its disk, in LevelDB's log."""
        return any(STATE + GENERATION + b"k3" in path.read_bytes() for path in node.directory.glob("*.log"))

    def alter(self, node: RealNode, digest: bytes | None) -> None:
        """Stop the node, and write another digest into its directory, or none."""
        node.stop()
        store = LevelDBStore(str(node.directory), print)
        self.assertIsNotNone(store.get(DIGEST))
        store.commit_now({DIGEST: digest})
        store.close()

    def test_one_of_three(self) -> None:
        """Its answers would be others than those of its peers, for ever, and everything would say "ready"."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        bad, *good = cluster.nodes
        for node in cluster.nodes:
            self.assertEqual(node.call("PUT", f"k{node.number}", "v"), "OK")
        wait_until(lambda: all(self.written_back(node) for node in cluster.nodes), 10.0, "what was applied is on disk")
        self.alter(bad, b"of another log..")
        self.alter(good[0], None)  # as in a directory of an older format: it is made again from the log
        good[0].start()
        for life in (1, 2):
            bad.start()
            assert bad.process is not None
            self.assertEqual(bad.process.wait(30), 3)
            bad.process = None
            self.assertEqual(len(bad.logged("fenced")), 1)
            lines = [line for line in bad.log_path.read_text().splitlines() if line.startswith("dkvnode: ")]
            self.assertEqual(len(lines), life, lines)
            self.assertIn("is not what nodes 2, 3 applied", lines[-1])
            self.assertIn("replace the node", lines[-1])
        self.assertEqual(bad.logged("fenced")[0]["level"], "critical")
        for node in good:
            wait_until(node.serves, 15.0, "the others serve")
            self.assertIsNone(node.process and node.process.poll())
            said = [line["peer"] for line in node.logged("digest_differs")]
            self.assertLessEqual(set(said), {bad.number})
        self.assertEqual([node.call("GET", "k1") for node in good], [b"v", b"v"])
