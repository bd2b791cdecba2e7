"""The part of the matrix that CI has the time for: programs with common libraries go on while the leader is killed.

The other part, and how it is run: ``tests.clients``.
"""

from __future__ import annotations

import atexit
import re
from functools import cache

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.clients.arena import Cluster
from tests.clients.entries import ENTRIES, Entry
from tests.clients.page import PAGE, Example, examples, run_example
from tests.clients.runner import run_entry
from tests.clients.toolbox import found

WRITES_MIN = 70
"""Each program writes so often at least: 20 times before the kill, and 50 times after it."""
EXAMPLES_IN_CI = (
    "redis-py",
    "redis-py, asyncio",
    "redis-py, Sentinel",
    "redis-py, MultiDBClient",
    "txredisapi",
    "ioredis",
    "ioredis, Sentinel",
    "node-redis",
    "node-redis, Sentinel",
    "Django",
    "Celery",
    "Express",
)
"""Examples of the page that need nothing but what these tests install, and Node.js."""


@cache
def cluster() -> Cluster:
    """Three nodes for all these tests: each kills the leader, and leaves all of them whole and empty."""
    made = Cluster()
    atexit.register(made.close)
    return made


class LibraryTests(SynchronousTestCase):
    """Each program by itself; where its library is not installed the test is skipped."""

    def try_entry(self, entry: Entry) -> None:
        """Run an entry's program."""
        tools = found()
        if tools.version(entry) is None:
            raise SkipTest(f"{entry.package} is not installed")
        outcome = run_entry(entry, cluster(), tools)
        if outcome.complaint:
            self.fail(outcome.complaint)
        if not entry.refused:
            self.assertGreaterEqual(outcome.report["writes"], WRITES_MIN)

    def try_example(self, example: Example) -> None:
        """What the page shows must work as it stands."""
        tools = found()
        if example.language == "js" and not tools.has_node_packages():
            raise SkipTest("node is not installed, or finds no packages")
        self.addCleanup(cluster().mend)
        self.assertEqual(run_example(example, cluster().ports(dying_first=False), tools), "")


def _add_tests() -> None:
    """A test for each entry and each example, so that a failure has its name."""
    for entry in (each for each in ENTRIES if each.in_ci):
        name = re.sub(r"\W+", "_", entry.name).lower()
        setattr(LibraryTests, f"test_{name}", lambda self, entry=entry: self.try_entry(entry))
    for example in examples(PAGE.read_text(encoding="utf-8")):
        if example.name in EXAMPLES_IN_CI:
            name = re.sub(r"\W+", "_", example.name).lower()
            setattr(LibraryTests, f"test_example_{name}", lambda self, example=example: self.try_example(example))


_add_tests()
