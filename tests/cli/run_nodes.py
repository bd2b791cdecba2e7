"""Runs one fake node as ``dkv cluster`` would, for a test that kills it: ``python -m tests.cli.run_nodes PORT LOG``."""

from __future__ import annotations

import sys
from pathlib import Path

from dkv.cli import nodes
from dkv.cli.nodes import NodeProcess, Signals, run
from dkv.client.blocking import Endpoint

FAKE_NODE = (sys.executable, str(Path(__file__).with_name("fake_node.py")))


def main(port: int, log_path: Path) -> None:
    """Run it until a signal."""
    nodes.TWISTD = FAKE_NODE
    node = NodeProcess(1, [str(port)], log_path, Endpoint("127.0.0.1", port))
    with Signals() as signals:
        run([node], signals, lambda: print("cluster ready", flush=True))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
