"""The mesh while members come, move and go: whom it talks with, whom it turns away, and in which words."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport

from dkv.actor import ACCEPTOR, PROPOSER, Address
from dkv.configurations import Configuration, Configurations, MemberRecord
from dkv.identity import Start
from dkv.net.door import Door
from dkv.net.link import HELLO_BYTES_MAX
from dkv.net.mesh import ADDRESSES_TOLD, LEAVING_SECONDS, Mesh
from dkv.net.outbound import Outbound
from dkv.wire.codec import Removed
from tests.net.nodes import BEAT, LIMITS, TIMINGS, MeshTestCase, Recorder, hello, mesh_of, proofs_of, said, say, told

FIRST = Configuration(0, 1, frozenset((1, 2)))
JOINED = Configuration(10, 74, FIRST.voters, frozenset((3,)))
REPLACED = Configuration(100, 164, frozenset((1, 3)))
"""Nodes 1 and 2 begin; node 3 joins; node 2 leaves."""

ADDRESSES = {node: f"tcp:127.0.0.1:{5100 + node}" for node in range(1, 5)}
CLIENTS = ("db1:7379", "db3:7379")


def held(*sets: Configuration, incarnation: int = 0xB3) -> Configurations:
    """The sets that the log has led to. It names the incarnation of node 3, once that has joined."""
    records = (MemberRecord(3, incarnation, "127.0.0.1:5103", "db3:7379"),) if len(sets) > 1 else ()
    return Configurations(sets, records, max(max(each.members) for each in sets))


JOINING = held(FIRST, JOINED)
LEFT = held(FIRST, JOINED, REPLACED)


class Members(MeshTestCase):
    """Nodes 1 and 2 of two; node 3 may join, or node 2 may leave."""

    def tell(self, mesh: Mesh, configurations: Configurations, applied: int) -> None:
        """The log of ``mesh`` says who the members are."""
        others = configurations.contacts(mesh.me.node, applied)
        mesh.members_are(configurations, applied, {node: ADDRESSES[node] for node in others}, CLIENTS)

    def join(self, **options: Any) -> tuple[Mesh, Recorder]:
        """Node 3 starts. It began with the members 1 and 2, as its peers did."""
        mesh, recorder = self.start(3, **({"members": 2} | options))
        self.network.advance(3)
        return mesh, recorder


class Coming(Members):
    def test_not_known_yet(self) -> None:
        """A member that is behind has not heard of a new one: the new one must not take that for its removal."""
        _, inbox = self.join()
        self.assertIn("node 3 is not known to node", inbox.lines("refused_by_peer")[0]["reason"])
        self.assertEqual((inbox.removals, inbox.events), ([], []))

    def test_let_in_as_soon_as_the_log_knows_it(self) -> None:
        """A node that waits for its entry takes part from the moment at which its peers apply that."""
        three, inbox = self.join()
        self.assertEqual(self.one.connected, {2})
        self.tell(self.one, JOINING, 10)
        self.network.advance(TIMINGS.reconnect_seconds_max)
        self.assertEqual((self.one.connected, three.connected), ({2, 3}, {1}))
        self.assertEqual(self.inbox_one.events[1:], [("up", 3, 0xB3, 1)])
        say(self.one, Address(3, ACCEPTOR), Address(1, PROPOSER), BEAT)
        say(three, Address(1, ACCEPTOR), Address(3, PROPOSER), BEAT)
        self.network.pump()
        self.assertEqual([message for _, _, message in inbox.delivered + self.inbox_one.delivered], [BEAT, BEAT])
        self.assertEqual([each["node"] for each in self.one.status()], [2, 3])

    def test_in_the_config_file_before_the_log_names_it(self) -> None:
        """A peer that was about to be let go is a member by a later entry: it is not let go, and may connect again."""
        self.one.members_are(held(FIRST), 0, {2: ADDRESSES[2], 3: ADDRESSES[3]})
        self.tell(self.one, held(FIRST), 1)
        self.tell(self.one, JOINING, 10)
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.join()
        self.assertEqual(self.one.connected, {2, 3})

    def test_told_before_it_is_there(self) -> None:
        """A member that is added and down is dialled like any other."""
        self.tell(self.one, JOINING, 10)
        self.network.advance(5)
        self.assertEqual(self.one.status()[1]["problem"], "connection refused")
        self.join()
        self.assertEqual(self.one.connected, {2, 3})

    def test_another_incarnation_than_the_logs(self) -> None:
        """B12: the log names the directory of a new member, so another one is refused by those who never met it."""
        self.tell(self.one, JOINING, 10)
        self.tell(self.two, JOINING, 10)
        self.network.closed.add(5103)
        _, inbox = self.join(incarnation=0xBAD)
        reasons = [line["reason"] for line in inbox.lines("refused_by_peer")]
        self.assertEqual(len(reasons), 2)
        for reason in reasons:
            self.assertIn("`dkv replace 3`", reason)
        self.assertEqual(self.inbox_one.events[1:], [])

    def test_the_log_knows_better_than_what_was_met(self) -> None:
        """What one node met by mistake must not keep the right directory away."""
        self.one.acquaintances.meet(hello(3, incarnation=0xBAD))
        self.tell(self.one, JOINING, 10)
        self.assertIsNone(self.one.objection(hello(3)))

    def test_what_was_met_counts_until_the_log_says_more(self) -> None:
        """B12: the log does not name the first members before the first change."""
        self.tell(self.one, JOINING, 10)
        self.assertIsNotNone(self.one.objection(hello(2, incarnation=0xBAD)))

    def test_a_second_process_of_a_new_node(self) -> None:
        """B34: a copy of a directory that was never started is as new as the first one; the first one is let in."""
        self.tell(self.one, JOINING, 10)
        self.assertIsNone(self.one.objection(hello(3)))
        self.one.acquaintances.meet(hello(3))
        objection = self.one.objection(hello(3, starts=(Start(1, 9),)))
        assert objection is not None
        self.assertTrue(objection.for_good)

    def test_no_address(self) -> None:
        """A member whose address nobody has told cannot be dialled. It can dial, and its operator's peer says why."""
        self.one.members_are(JOINING, 10, {2: ADDRESSES[2], 3: ""})
        three, _ = self.join()
        told = self.one.status()[1]
        self.assertEqual((told["connected"], told["accepted"]), (False, True))
        self.assertEqual(told["problem"], "its address is not known")
        self.assertEqual(three.connected, {1})

    def test_an_address_that_is_none(self) -> None:
        """What an operator wrote into the log must not end the nodes that apply it."""
        self.one.members_are(JOINING, 10, {2: ADDRESSES[2], 3: "nonsense:"})
        self.network.advance(3)
        self.assertIn("is no address", self.one.status()[1]["problem"])


class Moving(Members):
    def test_another_address(self) -> None:
        """A node that was moved to another machine is found there, and its old address is dialled no more."""
        self.stop(self.two, 5102)
        self.network.advance(2)
        self.one.members_are(held(FIRST), 0, {2: ADDRESSES[4]})
        door, inbox = Door(self.network.reactor, "tcp:5104"), Recorder()
        self.successResultOf(door.bind())
        me, peers = hello(2, boot=2), {1: ADDRESSES[1]}
        moved = Mesh(self.network.reactor, me, door, peers, {}, LIMITS, TIMINGS, inbox, inbox, proofs_of())
        moved.startService()
        self.network.advance(TIMINGS.reconnect_seconds_max)
        self.assertEqual((self.one.connected, moved.connected), ({2}, {1}))
        self.assertEqual([line["address"] for line in self.inbox_one.lines("peer_moved")], [ADDRESSES[4]])

    def test_a_connection_lasts(self) -> None:
        """A node is moved while it runs: its address changes, and nothing is lost."""
        dials = self.network.dials
        self.one.members_are(held(FIRST), 0, {2: ADDRESSES[4]})
        self.network.advance(5)
        self.assertEqual((self.network.dials, self.one.connected), (dials, {2}))

    def test_the_same_address(self) -> None:
        """Sets that change say nothing new of most members."""
        for _ in range(2):
            self.tell(self.one, held(FIRST), 7)
        self.assertEqual(self.inbox_one.lines("peer_moved"), [])


class Going(Members):
    def remove_two(self) -> None:
        """Node 1 applies that node 2 is no member any more."""
        self.tell(self.one, LEFT, 163)

    def test_it_hears_the_last_slots(self) -> None:
        """A node that is let go at once would never learn that it was."""
        self.remove_two()
        self.network.advance(LEAVING_SECONDS - TIMINGS.silence_seconds)
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.network.pump()
        self.assertEqual([message for _, _, message in self.inbox_two.delivered], [BEAT])
        self.assertEqual(self.inbox_two.removals, [])

    def test_it_is_told(self) -> None:
        """A node that does not know that it was removed asks for votes for ever, and its clients wait."""
        self.remove_two()
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.assertEqual(self.inbox_two.removals, [(100, CLIENTS)])
        self.assertEqual(self.inbox_one.events[1:], [("down", 2)])
        self.assertEqual([each["node"] for each in self.one.status()], [3])

    def test_b39_it_is_quiet_from_then_on(self) -> None:
        """A removed node dials nobody that has told it so, also if its own log, which is behind, names them."""
        self.remove_two()
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.tell(self.two, held(FIRST), 7)
        self.stop(self.one, 5101)
        dials = self.network.dials
        self.network.advance(30)
        self.assertEqual((self.network.dials, self.two.connected), (dials, frozenset()))

    def test_it_serves_a_member_that_knows_less(self) -> None:
        """Slots before the removal may be on the disks of removed nodes alone: without them nobody could go on."""
        self.remove_two()
        self.tell(self.two, LEFT, 163)
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.assertEqual(self.inbox_two.removals, [(100, CLIENTS)])
        three, _ = self.join()
        self.tell(three, LEFT, 90)
        self.network.advance(TIMINGS.reconnect_seconds_max)
        self.assertEqual((three.connected, self.two.connected), ({1, 2}, {3}))
        say(self.two, Address(3, ACCEPTOR), Address(2, PROPOSER), BEAT)
        self.network.pump()

        self.tell(three, LEFT, 163)
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.assertEqual((three.connected, self.two.connected), ({1}, frozenset()))
        self.assertEqual(self.inbox_two.removals, [(100, CLIENTS)] * 2)

    def test_it_dials_again_who_has_dialled(self) -> None:
        """A member that has told it so, and starts on a log that is behind, is answered again."""
        self.remove_two()
        self.tell(self.two, LEFT, 163)
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.stop(self.one, 5101)
        self.network.closed.clear()
        one, _ = self.start(1, boot=2)
        self.network.advance(TIMINGS.reconnect_seconds_max)
        self.assertEqual((one.connected, self.two.connected), ({2}, {1}))

    def test_it_was_away(self) -> None:
        """A removed node that is started again hears so with the first answer, and its operator reads what to do."""
        self.stop(self.two, 5102)
        self.remove_two()
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.network.closed.clear()
        two, inbox = self.start(2, boot=2)
        self.network.pump()
        self.assertEqual(inbox.removals, [(100, CLIENTS)])
        (line,) = inbox.lines("refused_by_peer")
        self.assertIn("its id is never used again", line["reason"])
        self.assertIn("`dkv replace 2`", line["reason"])
        self.assertEqual(two.connected, frozenset())
        self.assertEqual([fields for _, fields in self.inbox_one.logged if fields.get("for_good")], [])

    def test_a_removal_that_is_to_come(self) -> None:
        """Slots below the one at which the set takes force still need the node that leaves."""
        self.tell(self.one, LEFT, 162)
        self.network.advance(LEAVING_SECONDS * 2)
        self.assertEqual((self.inbox_two.removals, 2 in self.one.connected), ([], True))

    def test_whom_it_lets_in(self) -> None:
        """Those that the log remembers. To be refused by it is no removal."""
        last = Configuration(200, 264, frozenset((3,)))
        self.tell(self.two, held(FIRST, JOINED, REPLACED, last), 263)
        for node in (1, 3):
            self.assertIsNone(self.two.objection(hello(node)))
        objection = self.two.objection(hello(4))
        assert objection is not None
        self.assertIn("node 4 is not known to node 2", objection.reason)
        self.assertEqual((objection.for_good, objection.removed_at), (False, None))

    def test_own_id(self) -> None:
        """A removed node that meets a copy of itself is told about that, whatever the log says."""
        self.tell(self.two, LEFT, 163)
        self.assertIn("own id", str(self.two.objection(hello(2))))

    def test_the_last_words_fit(self) -> None:
        """A frame beyond what is read of a stranger would be lost, and the node would never know."""
        long = tuple("x" * 255 for _ in range(ADDRESSES_TOLD * 2))
        self.one.members_are(LEFT, 163, {3: ADDRESSES[3]}, long)
        objection = self.one.objection(hello(2))
        assert objection is not None
        frame = self.one.refusal(objection)
        self.assertLess(len(frame), HELLO_BYTES_MAX)
        (message,) = said(frame)
        self.assertEqual(message.addresses, long[:ADDRESSES_TOLD])

    def test_before_the_start(self) -> None:
        """A node that starts with members of its disk never dials who is none by that."""
        mesh, _ = mesh_of(self.network.reactor, 1, members=3)
        mesh.members_are(LEFT, 163, {3: ADDRESSES[3]})
        self.assertEqual(set(mesh.peers), {3})

    def test_orders_about_it(self) -> None:
        """An order about a node that is gone would keep every write on the slow way."""
        self.one.faults.drop(2, 1.0, 60.0)
        self.remove_two()
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        self.assertFalse(self.one.faults)
        self.assertEqual(self.one.faults.peers, {3})


class Links(Members):
    """A link may outlive its peer: whatever it reports then must not end the process."""

    def gone(self) -> None:
        self.tell(self.one, LEFT, 163)
        self.network.reactor.advance(LEAVING_SECONDS * 2)  # nothing is carried meanwhile

    def test_dialled_and_gone(self) -> None:
        """The connection is made in the moment in which the peer is let go."""
        peer = self.one.peers[2]
        self.gone()
        link, transport = Outbound(self.one, peer), StringTransport()
        link.makeConnection(transport)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.value(), b"")

    def test_lost_and_gone(self) -> None:
        """Connections of a peer that was let go end later, whichever end closes them."""
        self.gone()
        self.network.pump()
        self.assertEqual(self.inbox_one.events[1:], [("down", 2)])
        self.assertEqual(self.one.connected, frozenset())

    def test_removed_while_it_is_dialled(self) -> None:
        """The attempt is given up: a node that is no peer is not dialled."""
        self.stop(self.two, 5102)
        self.one.members_are(held(FIRST, JOINED, Configuration(200, 264, frozenset((1,)))), 263, {})
        self.network.advance(LEAVING_SECONDS + TIMINGS.silence_seconds)
        dials = self.network.dials
        self.network.advance(10)
        self.assertEqual(self.network.dials, dials)


class Believed(Members):
    def test_only_a_member_is_believed(self) -> None:
        """A stranger at a peer's address must not silence a good node, nor one that lost its own directory."""
        link = self.one.peers[2].outbound
        assert link is not None
        for by in (hello(cluster="green"), hello(cluster_key=b"lock"), hello(members=3), hello(incarnation=0xBAD)):
            self.one.told_removed(link, Removed("gone", 5, (), by))
        self.assertEqual((self.inbox_one.removals, self.one.connected), ([], {2}))
        self.one.told_removed(link, Removed("gone", 5, (), hello()))
        self.network.advance(TIMINGS.silence_seconds)
        self.assertEqual((self.inbox_one.removals, self.one.connected), ([(5, ())], frozenset()))

    def test_only_on_a_dialled_connection(self) -> None:
        """Whoever dials says Hello, and then messages: it has no word about the other's membership."""
        link = self.two.peers[1].inbound
        assert link is not None
        link.dataReceived(told(Removed("gone", 5, (), hello(1))))
        self.network.pump()
        self.assertEqual((len(self.inbox_two.lines("peer_input_refused")), self.inbox_two.removals), (1, []))
