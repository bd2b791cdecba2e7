"""The version of dkv before this one, taken from the history of the repository, to run beside it."""

from __future__ import annotations

import atexit
import subprocess
import tempfile
from pathlib import Path

from tests.integration.processes import CLUSTER_KEY, RealCluster, RealNode

BEFORE = "3250ee35351f41d8e98737633b5c3715e7b9dac6"
"""The last commit with directories of format 6, and with the protocol before this one."""

ROOT = Path(__file__).resolve().parents[2]
_sources: list[str] = []


def sources_before() -> str | None:
    """A directory with the sources of that version; None if this checkout does not have its history."""
    if not _sources:
        archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            return None
        directory = tempfile.TemporaryDirectory(prefix="dkv-before-")
        atexit.register(directory.cleanup)
        subprocess.run(["tar", "-x", "-C", directory.name], input=archive.stdout, check=True)
        _sources.append(directory.name)
    return _sources[0]


class OldCluster(RealCluster):
    """Three nodes whose directories the version before has made, and which run it until they are upgraded."""

    def __init__(self, sources: str) -> None:
        self._under = ("env", f"PYTHONPATH={sources}")
        super().__init__()

    def initialise(self, node: RealNode) -> None:
        """What `dkv init` of that version does."""
        subprocess.run(
            [*self._under, *node.init_command(), "--cluster-key", CLUSTER_KEY.hex()], check=True, capture_output=True
        )

    def start(self) -> None:
        """Start all nodes, in the version before."""
        for node in self.nodes:
            self.start_old(node)
        self.wait_ready()

    def start_old(self, node: RealNode) -> None:
        """Start a node in the version before."""
        node.start(*self._under)

    def run_old(self, node: RealNode) -> subprocess.CompletedProcess[str]:
        """Run a node of the version before that is expected to end at once."""
        return subprocess.run(
            [*self._under, *node.command()], capture_output=True, text=True, timeout=30.0, check=False
        )
