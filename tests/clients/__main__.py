"""``python -m tests.clients [NAME ...]``: run the matrix, or the entries named.

``--write`` puts the results on the page, docs/clients.md.
``--against redis`` proves the programs by a redis-server, where nobody is killed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.clients.arena import Arena, Cluster, RedisServer
from tests.clients.entries import ENTRIES, Entry
from tests.clients.page import Row, run_examples, seen, write
from tests.clients.runner import run_entry
from tests.clients.suites import Score, run_suites
from tests.clients.toolbox import Toolbox, found, install


def try_entry(entry: Entry, arena: Arena, tools: Toolbox) -> Row:
    """Run one entry, and say so."""
    version = tools.version(entry)
    if version is None:
        print(f"not here  {entry.name}", flush=True)
        return Row(entry, "", None)
    begun = time.monotonic()
    outcome = run_entry(entry, arena, tools)
    row = Row(entry, version, outcome)
    print(f"{'FAILED' if outcome.complaint else 'ok':<8}  {entry.name} {version} ", end="")
    print(f"({time.monotonic() - begun:.1f} s): {seen(row)}\n{outcome.complaint}".rstrip(), flush=True)
    return row


def try_suites(arena: Arena, folder: Path) -> list[Score]:
    """Run the tests of libraries against both servers."""
    redis = RedisServer()
    try:
        return run_suites(arena, redis, folder.resolve())
    finally:
        redis.close()


def main() -> int:
    """Status 0 if all that was tried works."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an entry, or how its name begins")
    parser.add_argument("--against", choices=("dkv", "redis"), default="dkv")
    parser.add_argument(
        "--install", type=Path, metavar="FOLDER", help="install redis-py 5 and packages of Node.js there"
    )
    parser.add_argument("--write", action="store_true", help="write the tables of docs/clients.md")
    given = parser.parse_args()
    whole = given.install and not given.names and given.against == "dkv"
    if given.write and not whole:
        parser.error("--write needs --install, and a run of all entries against dkv")
    tools = install(given.install.resolve()) if given.install else found()
    asked = [entry for entry in ENTRIES if not given.names or entry.name.startswith(tuple(given.names))]
    if given.against == "redis":
        asked = [entry for entry in asked if not entry.refused]
    arena: Arena = Cluster() if given.against == "dkv" else RedisServer()
    try:
        rows = [try_entry(entry, arena, tools) for entry in asked]
        wrong = [] if given.names else run_examples(arena, tools)
        scores = try_suites(arena, given.install / "suites") if whole else []
    finally:
        arena.close()
    wrong += [f"a test of {each.suite.package}: {name}" for each in scores for name in each.wrong]
    for each in wrong:
        print("FAILED   ", each)
    if given.write:
        write(rows, scores)
    failed = [row.entry.name for row in rows if row.outcome and row.outcome.complaint]
    print(f"{len(rows) - len(failed)} of {len(rows)} entries are well", f"; not: {failed}" if failed else "")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
