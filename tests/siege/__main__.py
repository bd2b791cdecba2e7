"""``python -m tests.siege``: a hundred thousand strangers at each port of a real cluster, whose users are served."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tests.siege.beginnings import BEGINNINGS
from tests.siege.besieged import Assault, assail
from tests.siege.fortress import Fortress


def main() -> int:
    """0: every rule held. 1: one broke."""
    options = _options()
    fortress = Fortress(peers="allow")
    broken = []
    try:
        fortress.start()
        for assault in _assaults(fortress, options):
            for line in _carry_out(assault, fortress):
                print(f"  BROKEN {line}", flush=True)
                broken.append(line)
    finally:
        fortress.close()
    print(f"{len(broken)} rules were broken" if broken else "every user was served, and every stranger turned away")
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.siege", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many strangers for each beginning [100000]")
    parser.add_argument("--at-once", type=int, default=1_000, help="how many of them at the same time [1000]")
    parser.add_argument("--port", choices=tuple(BEGINNINGS), action="append", help="only this port; may be repeated")
    parser.add_argument("--only", action="append", metavar="BEGINNING", help="only this one; may be repeated")
    return parser.parse_args()


def _assaults(fortress: Fortress, options: argparse.Namespace) -> Iterator[Assault]:
    """Each beginning twice: the strangers one after the other, and many at once."""
    node = fortress.fortress_nodes[fortress.leader().number - 1]
    for kind, beginnings in BEGINNINGS.items():
        for name in beginnings:
            if kind in (options.port or (kind,)) and name in (options.only or (name,)):
                for at_once in (1, options.at_once):
                    yield Assault(node, node.host, node.port_of(kind), kind, name, options.count, at_once)


def _carry_out(assault: Assault, fortress: Fortress) -> list[str]:
    """The rules that are broken."""
    outcome = assail([assault], fortress.users())
    print(*outcome.lines(), sep="\n", flush=True)
    return list(outcome.broken())


if __name__ == "__main__":
    sys.exit(main())
