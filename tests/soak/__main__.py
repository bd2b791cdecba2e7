"""``python -m tests.soak``: run a soak, print its figures, and end with 0 if every rule held."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from random import SystemRandom

from dkv.settings import LEADER, MODES
from tests.soak import sandbox
from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakCluster
from tests.soak.networks import Namespaces, Network, Orders
from tests.soak.run import Soak

INSIDE = "--inside"
"""Said to the process in the sandbox by the one outside."""

SEEDS = 10**6
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """0: every rule held. 1: one broke. 130: interrupted."""
    options = _options(arguments)
    seed = options.seed if options.seed is not None else SystemRandom().randrange(SEEDS)
    if options.network != "orders" and not options.inside:
        reason = sandbox.why_not()
        if not reason:
            command = [sys.executable, "-m", "tests.soak", *arguments, "--seed", str(seed), INSIDE]
            sandbox.enter(command)
        if options.network == "namespaces":
            print(f"no namespaces: {reason}", file=sys.stderr)
            return 2
        print(f"no namespaces ({reason}): faults of the network are orders, and no disk is filled")
    signal.signal(signal.SIGTERM, _interrupt)
    return _soak(options, seed)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, help="what faults and load are drawn from (default: any)")
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 5), help="voters at first (default: 3)")
    parser.add_argument("--mode", default=LEADER, choices=MODES, help=f"how they agree (default: {LEADER})")
    networks = ("auto", "namespaces", "orders")
    parser.add_argument("--network", default="auto", choices=networks, help="how faults of the network are made")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _soak(options: argparse.Namespace, seed: int) -> int:
    network: Network = Namespaces() if options.inside else Orders()
    cluster = SoakCluster(options.nodes, options.mode, network, disks=options.inside)
    began = time.monotonic()
    with (cluster.directory / "soak.log").open("w") as log:

        def tell(line: str) -> None:
            line = f"{time.monotonic() - began:8.1f} s  {line}"
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        tell(f"seed {seed}, {options.nodes} nodes, {options.mode} mode, {type(network).__name__.lower()}")
        status = 1
        kept = False
        try:
            for node in cluster.soaked:
                node.start()
            cluster.wait_ready()
            soak = Soak(cluster, network, seed, 60 * options.minutes, tell)
            try:
                soak.run()
                status = 0
            finally:
                for line in soak.summary():
                    tell(line)
                for line in soak.court.undecided:
                    tell(line)
            tell(f"PASS, seed {seed}")
        except RuleBroken as broken:
            tell(f"RULE BROKEN {broken}")
            kept = True
        except KeyboardInterrupt:
            tell("interrupted")
            status = INTERRUPTED
        except BaseException as error:
            tell(f"FAILED: {type(error).__name__}: {error}")
            kept = True
            raise
        finally:
            if kept:
                cluster.keep()
                tell(f"FAIL, seed {seed}; directories, logs and histories are in {cluster.directory}")
            else:
                cluster.close()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
