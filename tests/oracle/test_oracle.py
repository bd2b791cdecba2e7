"""dkv answers as a real server does, byte for byte, except where the list of differences says so."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.oracle.search import Search
from tests.oracle.servers import references

SEQUENCES = 400
SEED = 1


class OracleTests(SynchronousTestCase):
    """``python -m tests.oracle`` looks for longer, and with other seeds."""

    def look(self, name: str) -> None:
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference = start()
        self.addCleanup(reference.stop)
        for found in Search(reference, SEED).find(SEQUENCES):
            self.fail(f"\n{found}")

    def test_as_valkey(self) -> None:
        """A program that was written for Valkey must meet nothing unexpected."""
        self.look("valkey")

    def test_as_redis(self) -> None:
        """A program that was written for Redis must meet nothing unexpected."""
        self.look("redis")

    def test_as_fakeredis(self) -> None:
        """Where no server is installed, the values at least are compared."""
        self.look("fake")
