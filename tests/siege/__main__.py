"""``python -m tests.siege``: a hundred thousand strangers at each port of a real cluster, whose users are served."""

from __future__ import annotations

import argparse
import sys

from tests.integration.processes import RealCluster
from tests.siege.beginnings import ADMIN, BEGINNINGS, CLIENT, PEER
from tests.siege.besieged import Assault, assail

PORTS = {CLIENT: "port", PEER: "peer_port", ADMIN: "admin_port"}


def main() -> int:
    """0: every rule held. 1: one broke."""
    options = _options()
    cluster = RealCluster()
    status = 0
    try:
        cluster.start()
        node = cluster.leader()
        connects = [each.connect for each in cluster.nodes]
        for kind, attribute in PORTS.items():
            for name, beginning in BEGINNINGS[kind].items():
                if beginning.tls or beginning.users or (options.only and name not in options.only):
                    continue
                for at_once in (1, options.at_once):
                    count = options.count
                    outcome = assail(
                        [Assault(node, node.host, getattr(node, attribute), kind, name, count, at_once)], connects
                    )
                    print(*outcome.lines(), sep="\n", flush=True)
                    for line in outcome.broken():
                        print("  BROKEN", line, flush=True)
                        status = 1
    finally:
        cluster.close()
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.siege", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many strangers for each beginning [100000]")
    parser.add_argument("--at-once", type=int, default=1_000, help="how many of them at the same time [1000]")
    parser.add_argument("--only", action="append", help="only this beginning; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
