"""The judgement of Hellos: strangers are refused, and for good whoever has forgotten what it said (B33, B34)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.identity import STARTS_KEPT, Acquaintance, Start, Votes, members_hash
from dkv.messages import Accepted, Heartbeat, Prepare, Promise, Voted
from dkv.net.acquaintances import Acquaintances, Objection
from tests.net.nodes import hello, starts

KNOWN_VOTES = Votes(Ballot(5, 2), 40)


class Judge(SynchronousTestCase):
    """Node 1 of three, which knows node 2 by its start ``boot``."""

    def judge(self, boot: int | None = 5, votes: Votes = KNOWN_VOTES) -> Acquaintances:
        known = {} if boot is None else {2: Acquaintance(0xB2, starts(boot)[-1], votes)}
        return Acquaintances(hello(1, members=3), (2, 3), known)

    def objection(self, judge: Acquaintances, living: tuple[Start, ...] = (), **fields: Any) -> Objection | None:
        return judge.objection(hello(2, members=3, **({"votes": KNOWN_VOTES} | fields)), living=living)

    def assert_refused(self, *words: str, for_good: bool = False, boot: int | None = 5, **fields: Any) -> None:
        objection = self.objection(self.judge(boot), **fields)
        assert objection is not None
        self.assertEqual(objection.for_good, for_good)
        self.assertNotIn("\n", objection.reason)
        for word in words:
            self.assertIn(word, objection.reason)


class Strangers(Judge):
    def test_b33_other_members(self) -> None:
        """A node that counts majorities of another list of members would make a second one."""
        self.assert_refused("node 2 began with other first members than node 1", members_hash=members_hash((1, 2)))

    def test_order_of_members_is_no_difference(self) -> None:
        """A list may be written down in any order."""
        self.assertIsNone(self.objection(self.judge(), boot=5, members_hash=members_hash((3, 1, 2))))

    def test_other_key(self) -> None:
        """Two new clusters with the default name must not take each other's nodes; the key is not shown."""
        self.assert_refused("another cluster key", "two clusters named 'blue'", "--cluster-key", cluster_key=b"lock")
        objection = self.objection(self.judge(), cluster_key=b"lock")
        assert objection is not None
        self.assertNotIn(b"lock".hex(), objection.reason)

    def test_other_frames(self) -> None:
        """A node that takes only smaller frames would be in catch-up for ever."""
        self.assert_refused("limits.frame_bytes_max = 4096", str(hello().frame_bytes_max), frame_bytes_max=4096)

    def test_no_start(self) -> None:
        """What comes from the network may be anything."""
        self.assert_refused("names no start", starts=())

    def test_strangers_are_not_refused_for_good(self) -> None:
        """Only what this cluster's node forgot proves anything about its directory."""
        self.assert_refused("incarnation", incarnation=0xBAD, boot=5, starts=starts(1))


class Lives(Judge):
    def test_the_life_that_was_met(self) -> None:
        """A connection that was lost is made again; the life has voted since its Hello was written."""
        self.assertIsNone(self.objection(self.judge(), boot=5, votes=Votes(Ballot(1, 2), 1)))

    def test_a_restart(self) -> None:
        """The next life is let in, whatever it was that ended the one before; so are those that nobody met."""
        for boot in (6, 9, 5 + STARTS_KEPT, 500):
            self.assertIsNone(self.objection(self.judge(), boot=boot))

    def test_a_member_that_was_never_met(self) -> None:
        """At the first start of a cluster nobody knows anybody; nor are lives known from older formats."""
        self.assertIsNone(self.objection(self.judge(None), boot=1))
        judge = Acquaintances(hello(1, members=3), (2, 3), {2: Acquaintance(0xB2)})
        self.assertIsNone(self.objection(judge, boot=1))

    def test_b34_an_older_life(self) -> None:
        """Of two processes on one directory the later one has its place."""
        self.assert_refused("runs as start 4", "has met start 5", for_good=True, boot=5, starts=starts(4))

    def test_b34_a_second_life_with_one_number(self) -> None:
        """Two copies started within a second number their batches alike."""
        self.assert_refused("runs twice", for_good=True, starts=(*starts(4), Start(5, 0xBAD)))

    def test_b34_an_older_copy(self) -> None:
        """A directory that was put back does not know of the start that its peers have met."""
        self.assert_refused("older copy", "start 5", for_good=True, starts=(*starts(4), Start(9, 9)))

    def test_b34_a_copy_from_before_the_first_start(self) -> None:
        """All that it remembers is younger, and yet it should remember more."""
        self.assert_refused("older copy", for_good=True, starts=(Start(9, 9),))

    def test_b34_a_copy_of_a_life_under_way(self) -> None:
        """It knows of every start, and not of the last votes: its disk says so."""
        for votes in (Votes(Ballot(4, 3), 40), Votes(Ballot(5, 2), 39)):
            self.assert_refused("has forgotten votes", "5.2", "40", for_good=True, starts=starts(6), votes=votes)

    def test_another_process_is_connected(self) -> None:
        """While the one before may live the next one waits; the same one may have two connections."""
        judge, (old, new) = self.judge(), starts(6)[-2:]
        objection = self.objection(judge, boot=6, living=(old,))
        assert objection is not None
        self.assertFalse(objection.for_good)
        self.assertIn("has to wait", objection.reason)
        self.assertIsNone(self.objection(judge, boot=6, living=(new,)))


class Knowing(Judge):
    def test_meets_each_life_once(self) -> None:
        """What is stored once per life costs nothing per connection."""
        judge = self.judge(None)
        first = hello(2, members=3, votes=KNOWN_VOTES)
        self.assertEqual(judge.meet(first), Acquaintance(0xB2, first.start, KNOWN_VOTES))
        self.assertIsNone(judge.meet(first))
        self.assertEqual(judge.meet(hello(2, boot=2)), Acquaintance(0xB2, starts(2)[-1], KNOWN_VOTES))

    def test_b34_votes_are_remembered_as_they_come(self) -> None:
        """Every word that rests on a peer's disk raises what its next life must know."""
        ballot = Ballot(7, 2)
        for message, votes in (
            (Promise(ballot, 0, 0, 1, 0, 1, (), 41), Votes(ballot, 41)),
            (Accepted(Ballot(1, 1), 7, 41), Votes(Ballot(5, 2), 41)),
            (Voted(ballot, 41), Votes(ballot, 41)),
            (Prepare(ballot, 99), Votes(ballot, 40)),
            (Heartbeat(ballot, 99, 99, 99, 0), Votes(ballot, 40)),
            (Accepted(Ballot(1, 1), 99, 3), KNOWN_VOTES),
        ):
            judge = self.judge()
            judge.heard(2, message)
            self.assertIsNone(self.objection(judge, boot=6, votes=votes))
            for less in (Votes(Ballot(votes.ballot.round - 1, 9), votes.count), Votes(votes.ballot, votes.count - 1)):
                self.assertIsNotNone(self.objection(judge, boot=6, votes=less), (message, less))
