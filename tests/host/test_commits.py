"""What waits for which commit."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, LEARNER, Address
from dkv.host.commits import Commits

PEER, ACCEPTOR_HERE, LEARNER_HERE = Address(2, ACCEPTOR), Address(1, ACCEPTOR), Address(1, LEARNER)


class CommitsTests(SynchronousTestCase):
    """Persist, then send: a message that left with an earlier commit than its own would be a promise not kept."""

    def setUp(self) -> None:
        self.commits = Commits()

    def test_one_after_the_other(self) -> None:
        """A commit begins when the one before is on disk, and only then."""
        self.assertFalse(self.commits.under_way)
        self.commits.begin(1.0)
        self.assertEqual((self.commits.under_way, self.commits.begun, self.commits.durable), (True, 1, 0))
        self.assertRaises(AssertionError, self.commits.begin, 2.0)
        self.commits.end()
        self.assertEqual((self.commits.under_way, self.commits.begun, self.commits.durable), (False, 1, 1))

    def test_messages_wait_for_their_own_commit(self) -> None:
        """What rests on the next commit does not go with the one under way; each sender's order is kept."""
        self.commits.begin(1.0)
        self.commits.hold(1, ACCEPTOR_HERE, [(PEER, "a"), (LEARNER_HERE, "b")])
        self.commits.hold(2, ACCEPTOR_HERE, [(PEER, "next")])
        self.commits.hold(1, LEARNER_HERE, [(PEER, "c")])
        first = [(PEER, ACCEPTOR_HERE, "a"), (LEARNER_HERE, ACCEPTOR_HERE, "b"), (PEER, LEARNER_HERE, "c")]
        self.assertEqual(self.commits.end(), first)
        self.commits.begin(2.0)
        self.assertEqual(self.commits.end(), [(PEER, ACCEPTOR_HERE, "next")])
        self.commits.begin(3.0)
        self.assertEqual(self.commits.end(), [])

    def test_seconds(self) -> None:
        """A leader steps down by this number when its disk hangs."""
        self.commits.begin(10.0)
        self.assertEqual(self.commits.seconds(13.5), 3.5)
        self.commits.end()
        self.commits.begin(20.0)
        self.assertEqual(self.commits.seconds(20.5), 0.5)
