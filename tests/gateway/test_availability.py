"""What a client is told when its node cannot serve: its first word decides what the client does next."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.gateway.availability import LOADING, Availability
from dkv.gateway.belonging import Belonging
from dkv.settings import Timings

TIMINGS = Timings(request_seconds=4)
MEMBER = Belonging(1, first_configurations((1, 2, 3)))


class AvailabilityTests(SynchronousTestCase):
    """Whoever is told TRYAGAIN for ever, or CLUSTERDOWN during an election, gives up too late or too soon."""

    def setUp(self) -> None:
        self.availability = Availability(TIMINGS, False, MEMBER)
        self.availability.loading = False

    def word(self) -> str:
        """The first word of the refusal."""
        return self.availability.refusal.text.split()[0]

    def test_loading_comes_first(self) -> None:
        """Redis clients wait and ask again by themselves when a server is loading."""
        self.availability.loading = True
        self.availability.quorum_lost_at = 0.0
        self.assertEqual(self.availability.refusal_at_once(100.0), LOADING)

    def test_an_election_is_a_pause(self) -> None:
        """Without a leader, but with a quorum, requests wait; those that waited too long may be sent again."""
        self.assertIsNone(self.availability.refusal_at_once(100.0))
        self.assertEqual(self.word(), "TRYAGAIN")

    def test_no_quorum(self) -> None:
        """At once only when none was heard for as long as a request waits anyway."""
        self.availability.quorum_lost_at = 100.0
        self.assertEqual(self.word(), "CLUSTERDOWN")
        self.assertIsNone(self.availability.refusal_at_once(103.9))
        refusal = self.availability.refusal_at_once(104.0)
        self.assertEqual(refusal, self.availability.refusal)

    def test_a_leader_that_is_heard_has_a_quorum(self) -> None:
        """A node that hears a leader and few others must not send its clients away."""
        self.availability.quorum_lost_at = 0.0
        self.availability.leader_known = True
        self.assertIsNone(self.availability.refusal_at_once(100.0))
        self.assertEqual(self.word(), "TRYAGAIN")

    def test_the_texts_say_what_to_do(self) -> None:
        """In classic mode there is no leader to wait for."""
        self.assertIn("no leader answered within 4 s; the request was not applied", self.availability.refusal.text)
        self.assertIn("no majority answered", Availability(TIMINGS, True, MEMBER).refusal.text)
        self.assertIn("within 4 s: it may or may not take effect", self.availability.uncertain.text)
