"""``python -m tests.oracle --seconds 60 --seed 7``: look for differences for longer than the tests do."""

from __future__ import annotations

import argparse
import time

from tests.oracle.script_search import ScriptSearch
from tests.oracle.search import Search
from tests.oracle.servers import references


def main() -> int:
    """Look, and print what was found."""
    servers = references()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=sorted(servers), default=next(iter(servers)))
    parser.add_argument("--scripts", action="store_true", help="scripts of the installed libraries alone")
    options = parser.parse_args()
    reference = servers[options.server]()
    try:
        search = (ScriptSearch if options.scripts else Search)(reference, options.seed)
        differences = 0
        until = time.monotonic() + options.seconds
        while time.monotonic() < until:
            for found in search.find(1):
                differences += 1
                print(f"{found}\n", flush=True)
        asked = f"{search.sequences} sequences, {search.asked} requests"
        print(f"{options.server}, seed {options.seed}: {asked}, {differences} differences")
        return int(differences > 0)
    finally:
        reference.stop()


raise SystemExit(main())
