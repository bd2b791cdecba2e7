"""A three-node cluster with everything that can be on a disk, and copies of its directories."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from dkv.storage.data_directory import DirectoryError, load_members, open_directory
from dkv.storage.lives import votes_of
from dkv.storage.store import StoreFailed
from tests.integration.processes import RealCluster, RealNode, wait_until

CLUSTER, MEMBERS = "test", (1, 2, 3)

STRUCK = 3
"""The node whose directory is damaged. Nodes 1 and 2 are a majority without it."""

_LIVES = 3
_WRITES = 150
_SMALL_TABLES = """
import sys
from dkv.storage import leveldb
from twisted.scripts.twistd import run
leveldb._OPTIONS["write_buffer_size"] = 64 << 10
sys.argv[1:4] = []
run()
"""
"""Runs the command of a node so that its databases begin another log, and make a table, with each 64 KiB."""

_SETTINGS = """
[limits]
log_tail_slots_max = 160
poll_lag_slots_max = 160
disk_reserve_bytes = 2000
[timings]
write_back_seconds = 0.05
request_seconds = 2.0
reconnect_seconds_max = 0.2
"""


class FilledCluster:
    """A cluster that was written to in several lives of its nodes, and is stopped; ``expected`` is what it holds.

    Its logs have been compacted and their state written back. Each directory has tables, manifests and logs of both
    databases. Its peers keep all votes of the struck node: what it votes in the last half second of its life is
    nobody else's yet, and a log that loses it at its end looks whole. ``restore`` puts all directories back.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.cluster = RealCluster(settings=_SETTINGS, directory=directory)
        self.expected: dict[str, bytes] = {}
        self.older: list[Path] = []
        """Copies of the struck node's directory, from after each of its lives."""
        try:
            self._fill()
        except BaseException:
            self.cluster.close()
            raise
        self.kept = self.cluster.directory / "kept"
        for node in self.cluster.nodes:
            shutil.copytree(node.directory, self.kept / node.directory.name)

    @property
    def struck(self) -> RealNode:
        """The node whose directory is damaged."""
        return self.cluster.nodes[STRUCK - 1]

    @property
    def intact(self) -> Path:
        """A copy of its directory as it was."""
        return self.kept / self.struck.directory.name

    def restore(self) -> None:
        """All directories are as they were. No node runs."""
        for node in self.cluster.nodes:
            node.kill()
            shutil.rmtree(node.directory)
            shutil.copytree(self.kept / node.directory.name, node.directory)

    def close(self) -> None:
        """End what runs and remove all of it."""
        self.cluster.close()

    def _fill(self) -> None:
        for life in range(_LIVES):
            for node in self.cluster.nodes:
                node.start(sys.executable, "-c", _SMALL_TABLES)
            self.cluster.wait_ready()
            self._write(life)
            wait_until(self._votes_are_kept, 20.0, "the peers keep the votes of the struck node")
            for node in self.cluster.nodes:
                node.kill()  # a leader that is stopped hands over, and that is a vote which nobody keeps yet
            self.older.append(self.cluster.directory / f"older{life}")
            shutil.copytree(self.struck.directory, self.older[-1])

    def _write(self, life: int) -> None:
        """Values that stay, values that are overwritten, and some that are deleted; a slot each, or nearly."""
        for node in self.cluster.nodes:
            connection = node.connect()
            for number in range(_WRITES):
                key = f"life{life}-node{node.number}-{number % 30}"
                value = f"{key} {number} ".encode() * 8
                connection.call("SET", key, value)
                self.expected[key] = value
            connection.call("IDMP", f"producer{life}", node.number, "APPEND", "all", f"{life}{node.number} ")
            self.expected["all"] = self.expected.get("all", b"") + f"{life}{node.number} ".encode()
            gone = f"life{life}-node{node.number}-0"
            connection.call("DEL", gone)
            del self.expected[gone]
            connection.close()

    def _votes_are_kept(self) -> bool:
        """Whether the disks of the peers know all votes of the struck node; nobody writes now."""
        votes, kept = None, []
        with TemporaryDirectory() as scratch:
            for node in self.cluster.nodes:
                copy = Path(scratch) / node.directory.name
                try:
                    shutil.copytree(node.directory, copy)
                    store, states, _ = open_directory(str(copy), CLUSTER, node.number, print, MEMBERS)
                except (shutil.Error, DirectoryError, StoreFailed):
                    return False  # copied in the middle of a commit
                try:
                    if node is self.struck:
                        votes = votes_of(store)
                    else:
                        kept.append(load_members(store)[STRUCK].votes)
                finally:
                    states.close()
                    store.close()
        return votes is not None and all(each.covers(votes) for each in kept)
