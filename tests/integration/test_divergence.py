"""A node whose log is not the others': it ends for good, and the others go on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import DIGEST
from dkv.storage.leveldb import LevelDBStore
from tests.integration.processes import RealCluster, wait_until


class DivergenceTest(SynchronousTestCase):
    def test_one_of_three(self) -> None:
        """Its answers would be others than those of its peers, for ever, and everything would say "ready"."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        bad, *good = cluster.nodes
        for node in cluster.nodes:
            self.assertEqual(node.call("PUT", f"k{node.number}", "v"), "OK")
        bad.stop()
        store = LevelDBStore(str(bad.directory), print)
        store.commit_now({DIGEST: b"of another log.."})
        store.close()
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
