"""What happens to keys is told as a real server tells it."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.kv import key_events
from tests.oracle.event_streams import EventSearch
from tests.oracle.reference import RealReference
from tests.oracle.servers import references

SEQUENCES = 250
SEED = 1


class EventStreamTests(SynchronousTestCase):
    """Programs that listen to keys must hear of them what they heard before, in that order."""

    def look(self, name: str) -> None:
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference = start()
        self.addCleanup(reference.stop)
        assert isinstance(reference, RealReference)
        search = EventSearch(reference, SEED)
        for found in search.find(SEQUENCES):
            self.fail(f"\n{found}")
        every = {each.name for each in vars(key_events).values() if isinstance(each, key_events.Event)}
        self.assertEqual(every - search.events, set() if name == "redis" else {b"expired"})

    def test_as_redis(self) -> None:
        """All events and their order, but that of ``expired``, which Redis tells when it comes by."""
        self.look("redis")

    def test_as_valkey(self) -> None:
        """The same, but for requests with a deadline that has passed already."""
        self.look("valkey")
