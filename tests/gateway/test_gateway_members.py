"""A gateway serves while its node is a member, and after that its clients hear where to go."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import Passed, ReadResults
from dkv.configurations import Configuration, Configurations, MemberRecord
from dkv.events import MembersAre, RemovalTold
from dkv.messages import Barrier, Want
from dkv.replies import OK
from dkv.settings import Limits
from tests.gateway.one_gateway import FIRST, IDENTITY, NODE_2, OneGateway, append, get, here, put, requests

FORCE = 74
WITHOUT_1 = Configurations(
    (*FIRST.sets, Configuration(10, FORCE, frozenset((2, 3)), frozenset((4,)))),
    (MemberRecord(1, 77), MemberRecord(2, 2), MemberRecord(3, 3), MemberRecord(4, 4, "four:7401", "four:7001")),
    4,
)
LATER = Configurations((*WITHOUT_1.sets, Configuration(100, 164, frozenset((2, 3)))), WITHOUT_1.records, 4)
WITH_1 = Configurations(
    (Configuration(0, 1, frozenset((2, 3))), Configuration(10, FORCE, frozenset((2, 3)), frozenset((1,)))), (), 3
)
BEFORE_1 = Configurations(WITH_1.sets[:1], (), 0)
REMOVED = (
    "TRYAGAIN this node was removed from the cluster; the request was not applied: send it to node 2, node 3, four:7001"
)


class Members(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = OneGateway()

    def members(self, configurations: Configurations, applied: int) -> None:
        """The learner says who the members are."""
        self.node.give(MembersAre(configurations, applied), sender=here("learner"))

    def texts(self) -> list[tuple[int, list[str]]]:
        """What clients were told since the last call."""
        return [(connection, [reply.text for reply in replies]) for connection, replies in self.node.answers()]


class RemovedTests(Members):
    """Node 1 leaves."""

    def test_until_it_takes_force(self) -> None:
        """While the removal is pending the node is a member like all others."""
        self.members(WITHOUT_1, 10)
        self.node.give(requests(1, put("a")), requests(2, get("b")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("a")])])
        self.node.applied(1, OK)
        self.assertEqual(self.node.answers(), [(1, [OK])])

    def test_clients_are_told_where_to_go(self) -> None:
        """One clear line, at once, with the addresses that the log knows."""
        self.members(WITHOUT_1, FORCE - 1)
        self.node.give(requests(1, put("a"), get("a")))
        self.assertEqual(self.texts(), [(1, [REMOVED, REMOVED])])
        self.assertEqual((self.node.batches(), self.node.barriers()), ([], []))

    def test_what_is_under_way_never_takes_effect(self) -> None:
        """A batch that no slot before has is skipped in all later ones: its client need not wait to hear UNCERTAIN."""
        self.node.give(requests(1, append("a", "x"), get("a")))
        self.members(WITHOUT_1, FORCE - 1)
        self.assertEqual(self.texts(), [(1, [REMOVED, REMOVED])])
        refused = [fields for event, fields in self.node.turn.measures if event == "refused"]
        self.assertEqual(refused, [{"reason": "TRYAGAIN", "count": 2}])
        self.node.batches()
        self.node.leader(2)
        self.node.give(Want(IDENTITY.boot, 1))
        self.node.wait(6.0)
        self.assertEqual(
            (self.node.batches(), self.node.answers()), ([], []), "nor is it sent again, or answered twice"
        )

    def test_what_took_effect_before(self) -> None:
        """A result that came before is the answer."""
        self.node.give(requests(1, append("a", "x")))
        self.node.give(requests(2, append("b", "x")))
        self.node.applied(1, 1)
        self.members(WITHOUT_1, FORCE - 1)
        self.assertEqual(self.node.answers()[0], (1, [1]))
        self.assertEqual(self.texts(), [])

    def test_reads_and_what_stalls_behind_them(self) -> None:
        """All that a connection has asked is answered, in order, whatever it waits for."""
        self.node.give(requests(1, get("a")))
        self.node.give(requests(1, put("a")))
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, get("b")))
        self.node.give(Barrier(IDENTITY.boot, 1, 5))
        self.members(WITHOUT_1, FORCE - 1)
        self.assertEqual(self.texts(), [(1, [REMOVED]), (2, [REMOVED]), (1, [REMOVED]), (1, [REMOVED])])
        self.node.wait(6.0)
        self.assertEqual(self.node.answers(), [])

    def test_reads_at_the_learner(self) -> None:
        """A read that is being evaluated comes back later, and nobody waits for it."""
        self.node.give(requests(1, get("a")))
        self.node.give(Barrier(IDENTITY.boot, 1, 5))
        (read,) = self.node.reads
        self.members(WITHOUT_1, FORCE - 1)
        self.node.answers()
        self.node.give(ReadResults(read.number, [b"1"]), sender=here("learner"))
        self.assertEqual(self.node.answers(), [])

    def test_a_snapshot_of_the_slot_before(self) -> None:
        """The marks in it say which batches took effect; the others never do."""
        self.node.give(requests(1, put("a")))
        self.node.give(requests(2, put("b")))
        self.node.give(Passed(1), sender=here("learner"))
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"])])
        self.members(WITHOUT_1, FORCE - 1)
        self.assertEqual(self.texts(), [(2, [REMOVED])])

    def test_a_snapshot_of_a_later_slot(self) -> None:
        """The marks of this node are gone: nobody knows what became of its batches."""
        for applied, held in ((FORCE, WITHOUT_1), (163, LATER)):
            self.node = OneGateway()
            self.node.give(requests(1, put("a"), get("a")))
            self.members(held, applied)
            self.assertEqual(self.node.words(), [(1, ["UNCERTAIN", "TRYAGAIN"])])

    def test_told_by_a_member(self) -> None:
        """A node that was cut off may never apply its removal: new requests are refused, those under way uncertain."""
        self.node.give(requests(1, put("a")))
        self.node.give(RemovalTold(10, ("four:7001", "five:7001")))
        self.node.give(requests(2, put("b")))
        text = REMOVED.replace("node 2, node 3, four:7001", "four:7001, five:7001")
        self.assertEqual(self.texts(), [(2, [text])])
        self.node.wait(6.0)
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"])])
        self.members(WITHOUT_1, 10)
        self.node.give(requests(2, put("b")))
        self.assertEqual(self.texts(), [(2, [text])], "what its own log says so far is older")

    def test_classic(self) -> None:
        """In classic mode reads ride on batches, and have the same end."""
        self.node = OneGateway(Limits(batches_outstanding_max=1), classic=True)
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, put("b")))
        self.node.give(requests(3, get("c")))
        self.members(WITHOUT_1, FORCE - 1)
        self.assertEqual(sorted(self.texts()), [(number, [REMOVED]) for number in (1, 2, 3)])
        self.node.batches()
        self.node.give(requests(1, get("a")))
        self.assertEqual(self.node.batches(), [])


class JoiningTests(Members):
    """Node 1 joins a cluster that began without it."""

    def setUp(self) -> None:
        self.node = OneGateway(first=BEFORE_1)

    def test_nothing_is_numbered_too_early(self) -> None:
        """A batch in a slot before its node is a member is skipped, and all later ones wait for it for ever."""
        for applied in (5, 10, FORCE - 2):
            self.members(WITH_1, applied)
            self.node.give(requests(1, put("a"), get("a")))
            self.assertEqual(self.node.words(), [(1, ["TRYAGAIN", "TRYAGAIN"])])
            self.assertEqual((self.node.batches(), self.node.barriers()), ([], []))

    def test_before_the_log_names_it(self) -> None:
        """A node that nobody has added says so."""
        self.node.give(requests(1, put("a")))
        text = "TRYAGAIN this node is no member of the cluster yet; the request was not applied, retry"
        self.assertEqual(self.texts(), [(1, [text])])

    def test_serves_as_a_standby(self) -> None:
        """From the slot on at which the set with it takes force, its clients are served."""
        self.members(WITH_1, FORCE - 1)
        self.node.give(requests(1, put("a")), requests(2, get("b")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("a")])])
        self.assertEqual(len(self.node.barriers()), 1)
