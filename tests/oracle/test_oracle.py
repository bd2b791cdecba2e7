"""dkv answers as a real server does, byte for byte, except where the list of differences says so."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.oracle.script_search import ScriptSearch
from tests.oracle.search import Search
from tests.oracle.servers import references

SEQUENCES = 400
SCRIPT_SEQUENCES = 200
SEED = 1


class OracleTests(SynchronousTestCase):
    """``python -m tests.oracle`` looks for longer, and with other seeds."""

    def look(self, name: str, search: type[Search] = Search, sequences: int = SEQUENCES) -> None:
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference = start()
        self.addCleanup(reference.stop)
        for found in search(reference, SEED).find(sequences):
            self.fail(f"\n{found}")

    def test_as_valkey(self) -> None:
        """A program that was written for Valkey must meet nothing unexpected."""
        self.look("valkey")

    def test_as_redis(self) -> None:
        """A program that was written for Redis must meet nothing unexpected."""
        self.look("redis")

    def test_scripts_as_valkey(self) -> None:
        """A script of a library that does something else here than there breaks the library in silence."""
        self.look("valkey", ScriptSearch, SCRIPT_SEQUENCES)

    def test_scripts_as_redis(self) -> None:
        """The same, and the numbers of scripts are compared in all their forms."""
        self.look("redis", ScriptSearch, SCRIPT_SEQUENCES)

    def test_as_fakeredis(self) -> None:
        """Where no server is installed, the values at least are compared."""
        self.look("fake")
