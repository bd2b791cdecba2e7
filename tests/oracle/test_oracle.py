"""dkv answers as a real server does, byte for byte, except where the list of differences says so."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.oracle.comparison import Comparison
from tests.oracle.reference import Reference, installed
from tests.oracle.search import Search

SEQUENCES = 400
SEED = 1


class OracleTests(SynchronousTestCase):
    """``python -m tests.oracle`` looks for longer, and with other seeds."""

    def look(self, name: str) -> None:
        command = installed().get(name)
        if command is None:
            raise SkipTest(f"{name} is not installed")
        reference = Reference(command)
        self.addCleanup(reference.stop)
        search = Search(reference, SEED, Comparison())
        for found in search.find(SEQUENCES):
            self.fail(f"\n{found}")

    def test_as_valkey(self) -> None:
        """A program that was written for Valkey must meet nothing unexpected."""
        self.look("valkey")

    def test_as_redis(self) -> None:
        """A program that was written for Redis must meet nothing unexpected."""
        self.look("redis")
