"""A node whose log is not the others': it ends for good, and the others go on."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import APPLIED_THROUGH, DATABASE, DIGEST, RECORD, STATE, slot_of, unpack_number
from dkv.records import NO_DIGEST, NOOP, digest_after, pack_record, unpack_record
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.state_directories import FIRST_GENERATION, state_directory
from tests.integration.processes import RealCluster, RealNode, wait_until


def another_value(store: LevelDBStore) -> dict[bytes, bytes | None]:
    """The first slot that is no no-op holds nothing."""
    for key, data in store.scan(RECORD):
        record = unpack_record(data)
        if record.value.batches:
            return {key: pack_record(replace(record, value=NOOP))}
    raise AssertionError("nothing was written")


def own_digest(log: LevelDBStore, state: LevelDBStore) -> dict[bytes, bytes | None]:
    """The digest of the log as it is now: as if this had been applied."""
    digest = NO_DIGEST
    for key, data in log.scan(RECORD):
        if slot_of(key) <= unpack_number(state.get(APPLIED_THROUGH)):
            digest = digest_after(digest, unpack_record(data).value)
    return {DIGEST: digest}


class DivergenceTest(SynchronousTestCase):
    def written_back(self, node: RealNode) -> bool:
        """Whether what the node applied last is on its disk, in LevelDB's log."""
        return any(STATE + DATABASE + b"k3" in path.read_bytes() for path in node.directory.rglob("*.log"))

    def alter(self, node: RealNode) -> None:
        """Stop the node, and write another value into its log, with the digest of that."""
        node.stop()
        log = LevelDBStore(str(node.directory), print)
        state = LevelDBStore(state_directory(str(node.directory), FIRST_GENERATION), print)
        self.assertIsNotNone(state.get(DIGEST))
        log.commit_now(another_value(log))
        state.commit_now(own_digest(log, state))
        state.close()
        log.close()

    def test_one_of_three(self) -> None:
        """Its answers would be others than those of its peers, for ever, and everything would say "ready"."""
        cluster = RealCluster()
        self.addCleanup(cluster.close)
        cluster.start()
        bad, *good = cluster.nodes
        for node in cluster.nodes:
            self.assertEqual(node.call("PUT", f"k{node.number}", "v"), "OK")
        wait_until(lambda: all(self.written_back(node) for node in cluster.nodes), 10.0, "what was applied is on disk")
        self.alter(bad)
        for life in (1, 2):
            bad.start()
            assert bad.process is not None
            self.assertEqual(bad.process.wait(30), 3)
            bad.process = None
            self.assertEqual(len(bad.logged("fenced")), 1)
            lines = [line for line in bad.log_path.read_text().splitlines() if line.startswith("dkvnode: ")]
            self.assertEqual(len(lines), life, lines)
            self.assertIn("is not what nodes 2, 3 applied", lines[-1])
            self.assertIn("a new node take its place", lines[-1])
        self.assertEqual(bad.logged("fenced")[0]["level"], "critical")
        for node in good:
            wait_until(node.serves, 15.0, "the others serve")
            self.assertIsNone(node.process and node.process.poll())
            said = [line["peer"] for line in node.logged("digest_differs")]
            self.assertLessEqual(set(said), {bad.number})
        self.assertEqual([node.call("GET", "k1") for node in good], [b"v", b"v"])
