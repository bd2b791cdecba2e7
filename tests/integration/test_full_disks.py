"""Disks that fill: small file systems in memory, filled with writes and with other files. Only root may mount them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.settings import CLASSIC, LEADER, MIB
from dkv.storage.room import RESERVE_NAME, room_of
from tests.integration.processes import HOST, RealCluster, RealNode, Refused, child_environment, wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures" / "disk-full.md"
DISK_BYTES = 320 * MIB
MINIMUM, RESERVE = 60 * MIB, 16 * MIB
SETTINGS = f"[limits]\ndisk_free_bytes_min = {MINIMUM}\ndisk_reserve_bytes = {RESERVE}\n"
CHECKED = "[limits]\nstate_check_bytes_per_second = 65536\n[timings]\nstate_check_seconds = 2\n"
"""A check of the state that takes longer than the test: while it reads, nothing that is erased makes room."""

VALUE = bytes(range(256)) * 256
WRITES_MAX = 40_000
LARGER_BYTES = 1_400 * MIB


class SmallDisks(RealCluster):
    """A cluster with a small disk under the directories of some nodes."""

    def __init__(
        self, small: Collection[int], mode: str = LEADER, settings: str = SETTINGS, disk_bytes: int = DISK_BYTES
    ) -> None:
        self.small = small
        self._disk_bytes = disk_bytes
        super().__init__(settings=settings, mode=mode)

    def initialise(self, node: RealNode) -> None:
        """Mount first what the directory is to be on."""
        if node.number in self.small:
            disk = self.disk(node)
            disk.mkdir()
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={self._disk_bytes}", "dkv-test", str(disk)], check=True
            )
            node.directory = disk / "data"
        super().initialise(node)

    def disk(self, node: RealNode) -> Path:
        """Where the small disk of a node is mounted."""
        return self.directory / f"disk{node.number}"

    def leave_free(self, node: RealNode, free_bytes: int) -> None:
        """A file of somebody else takes all but so much of the disk."""
        with (self.disk(node) / "of-others").open("ab") as file:
            grow = room_of(str(self.disk(node))).free_bytes - free_bytes
            os.posix_fallocate(file.fileno(), 0, file.tell() + grow)

    def clear(self, node: RealNode) -> None:
        """That file is removed."""
        (self.disk(node) / "of-others").unlink()

    def close(self) -> None:
        """End all processes, and unmount."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            if node.number in self.small:
                subprocess.run(["umount", str(self.disk(node))], check=True)
        super().close()


def word(node: RealNode, *request: bytes | str | int) -> str:
    """The first word of a refusal; empty if the request is served."""
    try:
        node.call(*request)
    except Refused as refusal:
        return str(refusal).partition(" ")[0]
    return ""


def status(node: RealNode) -> dict[str, Any]:
    """What a node says of itself."""
    found = json.loads(node.call("DKV.STATUS"))
    assert isinstance(found, dict)
    return found


class FullDiskTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root may mount a file system")

    def begin(
        self, small: Collection[int], mode: str = LEADER, settings: str = SETTINGS, disk_bytes: int = DISK_BYTES
    ) -> SmallDisks:
        """A cluster that serves."""
        self.cluster = SmallDisks(small, mode, settings, disk_bytes)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        return self.cluster

    def fill_with_writes(self, node: RealNode) -> list[str]:
        """Write through ``node`` until it refuses; the keys that were acknowledged."""
        connection = node.connect()
        self.addCleanup(connection.close)
        written: list[str] = []
        for index in range(WRITES_MAX):
            try:
                connection.call("SET", f"key{index}", VALUE)
            except Refused as refusal:
                self.assertTrue(str(refusal).startswith("MISCONF the disk of node "), refusal)
                return written
            written.append(f"key{index}")
        raise AssertionError("no write was refused")

    def wait_refused(self, node: RealNode, small: Collection[int]) -> None:
        """Wait until ``node`` knows that just these disks are short."""
        wait_until(lambda: status(node)["writes_refused_for_space"] == [*small], 10, "all know which are short")

    def wait_served(self, node: RealNode) -> None:
        """Wait until ``node`` serves a write that grows data."""
        wait_until(lambda: word(node, "SET", "after", "v") == "", 15, "writes are served again")

    def test_deletes_make_room(self) -> None:
        """Whoever deletes what he does not need any more is served again, and has to do nothing else.

        LevelDB merges up to 200 MB at a time, so the disk is not as small as the others. Others have half of it.
        """
        cluster = self.begin((2,), settings=CHECKED, disk_bytes=LARGER_BYTES)
        node = cluster.nodes[0]
        cluster.leave_free(cluster.nodes[1], LARGER_BYTES // 2)
        written = self.fill_with_writes(node)
        self.assertGreater(len(written) * len(VALUE), LARGER_BYTES // 5)
        for start in range(0, len(written), 50):
            self.assertEqual(node.call("DEL", *written[start : start + 50]), len(written[start : start + 50]))
        wait_until(lambda: word(node, "SET", "after", VALUE) == "", 60, "writes are served again")

    def check_filled_and_cleared(self, small: Collection[int], mode: str = LEADER) -> None:
        """All nodes refuse what grows data and serve the rest; and it ends by itself when there is room."""
        cluster = self.begin(small, mode)
        nodes = cluster.nodes
        short = [node for node in nodes if node.number in small]
        wait_until(lambda: all((node.directory / RESERVE_NAME).exists() for node in nodes), 10, "reserves are made")
        for node in short:
            cluster.leave_free(node, MINIMUM + 12 * MIB)
        self.assertEqual(nodes[0].call("IDMP", "alice", 1, "APPEND", "once", "x"), 1)
        written = self.fill_with_writes(nodes[0])
        self.assertGreater(len(written), 10)
        for node in short:
            cluster.leave_free(node, MINIMUM - 4 * MIB)
        for node in nodes:
            self.wait_refused(node, small)
            self.assertEqual(word(node, "SET", "a", "b"), "MISCONF")
            self.assertEqual(word(node, "APPEND", "a", "b"), "MISCONF")
            self.assertEqual(node.call("IDMP", "alice", 1, "APPEND", "once", "x"), 1, "it was executed before")
            self.assertEqual(word(node, "IDMP", "alice", 2, "APPEND", "once", "x"), "MISCONF")
            self.assertEqual(node.call("DEL", written.pop()), 1)
            self.assertEqual(node.call("GET", written[-1]), VALUE)
            self.assertEqual(status(node)["ready"], True)
        for node in short:
            self.assertLess(status(node)["free_bytes"], MINIMUM)
            cluster.clear(node)
        for node in nodes:
            self.wait_served(node)
            self.assertEqual(status(node)["writes_refused_for_space"], [])
            self.assertGreater(len(node.logged("growth_refused")), 0)
            node.wait_logged("growth_served")
            self.assertEqual(node.logged("node_failed"), [])
        self.assertEqual(nodes[2].call("IDMP", "alice", 2, "APPEND", "once", "x"), 2)
        for key in written:
            self.assertEqual(nodes[1].call("GET", key), VALUE)

    def test_one_node(self) -> None:
        """Writes that two nodes would take must not fill the disk of the third."""
        self.check_filled_and_cleared((2,))

    def test_two_nodes(self) -> None:
        """A majority is short."""
        self.check_filled_and_cleared((1, 3))

    def test_all_nodes(self) -> None:
        """As it comes where all machines are alike."""
        self.check_filled_and_cleared((1, 2, 3))

    def test_one_node_of_classic_mode(self) -> None:
        """Nobody leads, and all nodes refuse all the same."""
        self.check_filled_and_cleared((2,), CLASSIC)

    def test_the_page(self) -> None:
        """docs/failures/disk-full.md: what it shows is seen, and its command ends when there is room, not before."""
        (wait,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("until ")]
        cluster = self.begin((2,))
        cluster.leave_free(cluster.nodes[1], MINIMUM - 4 * MIB)
        for node in cluster.nodes:
            self.wait_refused(node, (2,))
        put = [sys.executable, "-m", "dkv.cli.main", "put", "greeting", "hello"]
        endpoints = ",".join(f"{HOST}:{node.port}" for node in cluster.nodes)
        environment = child_environment() | {"DKV_ENDPOINTS": endpoints}
        refused = subprocess.run(put, env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("dkv: refused: MISCONF the disk of node 2 has ", refused.stderr)
        self.assertIn("delete keys, or make room there", refused.stderr)
        script = wait.replace("dkv put greeting hello", shlex.join(put))
        waiting = subprocess.Popen(["sh", "-c", script], env=environment, stderr=subprocess.PIPE)
        self.addCleanup(waiting.kill)
        assert waiting.stderr is not None
        self.assertIn(b"MISCONF", waiting.stderr.readline())
        self.assertIsNone(waiting.poll())
        cluster.clear(cluster.nodes[1])
        waiting.communicate(timeout=60)
        self.assertEqual((waiting.returncode, cluster.nodes[2].call("GET", "greeting")), (0, b"hello"))

    def test_start_on_a_full_disk(self) -> None:
        """A node whose disk has not one free byte starts, thanks to its reserve, and makes it again later."""
        cluster = self.begin((2,))
        node = cluster.nodes[1]
        wait_until((node.directory / RESERVE_NAME).exists, 10, "the reserve is made")
        for index in range(100):
            node.call("SET", f"key{index}", VALUE)
        node.kill()
        cluster.leave_free(node, 0)
        node.start()
        cluster.wait_ready()
        self.assertEqual(len(node.wait_logged("reserve_given_up")), 1)
        self.assertFalse((node.directory / RESERVE_NAME).exists())
        wait_until(lambda: word(cluster.nodes[2], "SET", "a", "b") == "MISCONF", 10, "growth is refused")
        self.assertEqual(cluster.nodes[2].call("DEL", "key1"), 1)
        self.assertEqual(node.call("GET", "key2"), VALUE)
        cluster.clear(node)
        wait_until((node.directory / RESERVE_NAME).exists, 10, "the reserve is made again")
        self.wait_served(node)

    def test_a_disk_that_refuses_a_write(self) -> None:
        """A disk that fills between two looks ends its node; the others serve, and the node comes back."""
        cluster = self.begin((2,), settings=SETTINGS.replace(str(RESERVE), "0"))
        node, other = cluster.nodes[1], cluster.nodes[0]
        node.signal(signal.SIGSTOP)  # it must not look at its disk before that is full
        cluster.leave_free(node, 0)
        node.signal(signal.SIGCONT)
        process = node.process
        assert process is not None
        for _ in range(300):
            if process.poll() is not None:
                break
            wait_until(lambda: word(other, "DEL", "nothing") == "", 10, "deletes are served")
        wait_until(lambda: process.poll() is not None, 10, "the node ends")
        self.assertIn("No space left on device", node.logged("node_failed")[0]["error"])
        self.wait_served(other)  # a node that is down is waited for a moment only
        node.process = None
        node.start()
        self.assertIsNotNone(node.process)
        assert node.process is not None
        self.assertEqual(node.process.wait(15), 1, "without a reserve it cannot start")
        node.process = None
        cluster.clear(node)
        node.start()
        cluster.wait_ready()
