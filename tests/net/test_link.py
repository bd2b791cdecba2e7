"""Connections between nodes, and what may come in on them: the wrong peers, strangers and damage."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, ELECTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.identity import Acquaintance, Votes
from dkv.messages import Accepted, PrepareSlot
from dkv.net.link import FRAME_SILENCES, HELLO_BYTES_MAX, TICKS_OF_SILENCE
from dkv.net.mesh import STRANGERS_MAX
from dkv.wire.codec import Refused, RefusedForGood
from dkv.wire.frames import frame
from tests.net.nodes import BEAT, HELLO, TIMINGS, Recorder, hello, mesh_of, said, starts, told
from tests.net.wires import Network


class Misfits(SynchronousTestCase):
    """Node 1 meets a node 2 that is not what it knows."""

    def meet(self, **options: Any) -> tuple[Recorder, Recorder]:
        network = Network()
        recorders = []
        for node, given in ((1, {}), (2, options)):
            mesh, recorder = mesh_of(network.reactor, node, **given)
            self.successResultOf(mesh.door.bind())
            mesh.startService()
            recorders.append(recorder)
        network.advance(20)
        one, two = recorders
        self.assertEqual(one.events + two.events, [])
        for recorder in recorders:
            reasons = [fields["reason"] for _, fields in recorder.logged]
            self.assertTrue(reasons)
            self.assertEqual(len(reasons), len(set(reasons)), "each reason is logged once")
            self.assertTrue(all(fields["address"] == "10.0.0.1" for _, fields in recorder.logged))
        return one, two

    def test_other_cluster(self) -> None:
        """Two clusters on one set of addresses must not vote in each other's elections."""
        one, _ = self.meet(cluster="green")
        self.assertIn("'green'", one.logged[0][1]["reason"])

    def test_other_mode(self) -> None:
        """Both modes write one acceptor state, but only if all members agree which runs."""
        one, _ = self.meet(mode="classic")
        self.assertIn("'classic'", one.logged[0][1]["reason"])

    def test_incarnation_that_node_one_was_told(self) -> None:
        """B12: a node whose disk was wiped must not vote under its old id; both operators are told what to do."""
        network = Network()
        one, inbox_one = mesh_of(network.reactor, 1, stored={2: Acquaintance(0xAA)})
        two, inbox_two = mesh_of(network.reactor, 2)
        for mesh in (one, two):
            self.successResultOf(mesh.door.bind())
            mesh.startService()
        network.advance(5)
        self.assertEqual(inbox_one.events + inbox_two.events, [])
        for inbox in (inbox_one, inbox_two):
            reasons = {fields["reason"] for _, fields in inbox.logged}
            self.assertEqual(len(reasons), 1)
            self.assertEqual(len(inbox.logged), 1)
            self.assertIn("`dkv replace 2`", reasons.pop())

    def test_protocol_of_another_version(self) -> None:
        """Versions that would misread each other say so instead."""
        one, _ = mesh_of(MemoryReactorClock(), 1)
        self.assertIn("protocol 9", str(one.objection(hello(protocol=9))))

    def test_good_hello(self) -> None:
        """A node that says what is expected of it is let in."""
        one, _ = mesh_of(MemoryReactorClock(), 1, stored={2: Acquaintance(0xB2)})
        self.assertIsNone(one.objection(HELLO))
        self.assertIsNone(one.objection(HELLO, 2))

    def test_answers_at_the_wrong_address(self) -> None:
        """Two addresses swapped in a configuration: a node's messages would reach another."""
        one, _ = mesh_of(MemoryReactorClock(), 1, members=3)
        self.assertIn("address of node 3", str(one.objection(HELLO, 3)))


class Strangers(SynchronousTestCase):
    """Bytes of all kinds that may come in on the peer port."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.mesh, self.inbox = mesh_of(self.reactor, 1)
        self.successResultOf(self.mesh.door.bind())
        self.mesh.startService()

    def accept(self, *data: bytes) -> tuple[Any, StringTransport]:
        """A connection from somewhere that says ``data``."""
        factory: Any = self.reactor.tcpServers[0][1]
        link = factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        for each in data:
            link.dataReceived(each)
        return link, transport

    def assert_refused(self, transport: StringTransport, words: str) -> None:
        (refused,) = said(transport.value())
        self.assertIsInstance(refused, Refused)
        self.assertIn(words, refused.reason)
        self.assertTrue(transport.disconnecting)
        self.assertEqual([line["reason"] for line in self.inbox.lines("peer_refused")], [refused.reason])

    def test_hello_is_answered(self) -> None:
        """The handshake: Hello for Hello, and messages from then on."""
        _, transport = self.accept(told(HELLO), told(BEAT))
        self.assertEqual(said(transport.value()), [hello(1)])
        self.assertEqual(self.inbox.delivered, [(ELECTOR, Address(2, ELECTOR), BEAT)])
        self.assertEqual(self.inbox.heard, [2])
        self.assertEqual(self.inbox.events, [], "up only when this node's own dial has succeeded")

    def test_one_byte_at_a_time(self) -> None:
        """Networks cut streams anywhere."""
        self.accept(*(bytes([byte]) for byte in told(HELLO) + told(BEAT)))
        self.assertEqual(self.inbox.delivered, [(ELECTOR, Address(2, ELECTOR), BEAT)])

    def test_own_id(self) -> None:
        """Two processes started as node 1 must not both be it."""
        _, transport = self.accept(told(hello(1)))
        self.assert_refused(transport, "own id")

    def test_nothing_more_is_read_after_a_refusal(self) -> None:
        """A second Hello behind a refused one does not open the door."""
        _, transport = self.accept(told(hello(cluster="green")) + told(HELLO) + told(BEAT))
        self.assert_refused(transport, "green")
        self.assertEqual((self.inbox.delivered, self.mesh.peers[2].inbound), ([], None))

    def test_not_a_member(self) -> None:
        """A node that is in its own configuration only is told so."""
        _, transport = self.accept(told(hello(9)))
        self.assert_refused(transport, "not known to node 1 as a member yet")

    def test_other_protocol(self) -> None:
        """A node of a later version is told so."""
        _, transport = self.accept(told(hello(protocol=9)))
        self.assert_refused(transport, "same version")

    def test_b34_refused_for_good(self) -> None:
        """A life whose directory has forgotten something is told so, by a node that says who it is."""
        self.accept(told(hello(boot=2)))
        _, transport = self.accept(told(hello(boot=1)))
        (refused,) = said(transport.value())
        self.assertEqual(refused, RefusedForGood(refused.reason, hello(1)))
        self.assertIn("a later start has taken its place", refused.reason)
        self.assertTrue(transport.disconnecting)
        (line,) = self.inbox.lines("peer_refused")
        self.assertTrue(line["for_good"])
        self.assertEqual(self.inbox.met, [(2, Acquaintance(0xB2, starts(2)[-1]))])

    def test_b34_votes_are_known_before_anybody_counts_them(self) -> None:
        """The next life of whoever voted must know of it, even if this node ends right after the vote."""
        link, _ = self.accept(told(hello()), told(Accepted(Ballot(1, 1), 7, 5)))
        link.connectionLost(Failure(ConnectionDone()))
        _, transport = self.accept(told(hello(boot=2, votes=Votes(Ballot(1, 1), 4))))
        (refused,) = said(transport.value())
        self.assertIn("has forgotten votes", refused.reason)

    def test_incarnation_is_pinned_by_the_first_hello(self) -> None:
        """B12: a member met first under one incarnation is refused under another, before any restart."""
        self.accept(told(HELLO))
        _, transport = self.accept(told(hello(incarnation=0xBAD)))
        self.assert_refused(transport, "incarnation")

    def assert_refused_quietly(self, *data: bytes) -> None:
        """Closed, logged once though it happens three times, nothing delivered."""
        for _ in range(3):
            _, transport = self.accept(*data)
            self.assertTrue(transport.disconnecting)
        (line,) = self.inbox.lines("peer_input_refused")
        self.assertEqual(line["address"], "192.168.1.1")
        self.assertEqual(self.inbox.delivered, [])

    def test_garbage(self) -> None:
        """A browser or port scanner on the peer port harms nothing."""
        self.assert_refused_quietly(b"GET / HTTP/1.1\r\nHost: node1\r\n\r\n")

    def test_bad_checksum(self) -> None:
        """A bit flipped on the way is not voted on."""
        data = bytearray(told(HELLO))
        data[-1] ^= 1
        self.assert_refused_quietly(bytes(data))

    def test_body_that_is_no_message(self) -> None:
        """Framing can be right and the content wrong."""
        self.assert_refused_quietly(frame(b"\x82\x01\x02"))

    def test_long_frame_before_hello(self) -> None:
        """A stranger that has not said who it is gets little memory."""
        self.assert_refused_quietly(frame(b"x" * (HELLO_BYTES_MAX + 1)))

    def test_words_of_the_other_mode(self) -> None:
        """No actor of this mode knows them: a node that took one in would end."""
        self.assert_refused_quietly(told(HELLO) + told(PrepareSlot(Ballot(1, 2), 1)))

    def test_message_before_hello(self) -> None:
        """A vote of nobody is no vote."""
        self.assert_refused_quietly(told(BEAT))

    def assert_ends_a_good_connection(self, data: bytes) -> None:
        _, transport = self.accept(told(HELLO), data, told(BEAT))
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.inbox.lines("peer_input_refused")), 1)
        self.assertEqual(self.inbox.delivered, [])

    def test_oversize_frame_after_hello(self) -> None:
        """A length field of 4 GiB must not be waited for."""
        self.assert_ends_a_good_connection(b"\xff\xff\xff\xff\0\0\0\0")

    def test_unknown_tag_after_hello(self) -> None:
        """A message that this version does not know cannot be half-handled."""
        self.assert_ends_a_good_connection(frame(b"\x83\x18\xfe\x01\x01"))

    def test_second_hello(self) -> None:
        """A connection does not change hands."""
        self.assert_ends_a_good_connection(told(HELLO))

    def test_never_says_hello(self) -> None:
        """A connection that says nothing, or a byte a second, is not kept for ever."""
        _, silent = self.accept()
        slow, transport = self.accept()
        for byte in told(HELLO)[:4]:
            self.reactor.pump([TIMINGS.silence_seconds / 8] * 3)
            slow.dataReceived(bytes([byte]))
        self.assertTrue(silent.disconnecting)
        self.assertTrue(transport.disconnecting)

    def test_a_frame_without_an_end(self) -> None:
        """A length damaged on its way would swallow a day of heartbeats, and the peer would count as heard."""
        link, transport = self.accept(told(HELLO))
        link.dataReceived(b"\0\1\0\0\0\0\0\0")
        tick = TIMINGS.silence_seconds / TICKS_OF_SILENCE
        for _ in range(FRAME_SILENCES * TICKS_OF_SILENCE):
            link.dataReceived(b"x")
            self.reactor.advance(tick)
        self.assertFalse(transport.disconnecting)
        link.dataReceived(b"x")
        self.reactor.advance(tick)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.inbox.lines("peer_frame_unfinished")), 1)

    def test_newer_connection_replaces_the_older(self) -> None:
        """A peer that redials is not heard twice, and the old connection's end is not taken for its death."""
        older, older_transport = self.accept(told(HELLO))
        newer, newer_transport = self.accept(told(HELLO))
        self.assertTrue(older_transport.disconnecting)
        self.assertFalse(newer_transport.disconnecting)
        older.dataReceived(told(BEAT))
        newer.dataReceived(told(BEAT))
        self.assertEqual(len(self.inbox.delivered), 1)

    def test_too_many_strangers(self) -> None:
        """A scanner that opens connections without end takes no descriptors from the disk, and locks no node out."""
        strangers = [self.accept() for _ in range(STRANGERS_MAX + 1)]
        ended = [transport.disconnecting for _, transport in strangers]
        self.assertEqual(ended, [True] + STRANGERS_MAX * [False])
        _, transport = self.accept(told(HELLO))
        self.assertFalse(transport.disconnecting)
        for _ in range(STRANGERS_MAX):
            self.accept()
        self.assertFalse(transport.disconnecting)  # It has said who it is.
        self.assertEqual(len(self.inbox.lines("peer_strangers_ended")), 1)

    def test_logged_again_after_it_was_well(self) -> None:
        """A connection that breaks again after it worked is news."""
        for _ in range(2):
            self.accept(b"\xff" * 8)
            self.accept(b"\xff" * 8)
            link, _ = self.dial()
            link.dataReceived(told(HELLO))
            self.hang_up(link)
        self.assertEqual(len(self.inbox.lines("peer_input_refused")), 2)

    def dial(self) -> tuple[Any, StringTransport]:
        """The connection that node 1 dialled, made."""
        factory: Any = self.reactor.tcpClients[-1][2]
        link = factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        return link, transport

    def hang_up(self, link: Any) -> None:
        """The connection is lost, and the time to the next attempt passes."""
        link.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(TIMINGS.reconnect_seconds_max)

    def test_message_on_a_dialled_connection(self) -> None:
        """Messages come on accepted connections only: else a peer could be heard twice and out of order."""
        link, transport = self.dial()
        self.assertEqual(said(transport.value()), [hello(1)])
        link.dataReceived(told(HELLO))
        self.assertEqual(self.inbox.events, [("up", 2, 0xB2, 1)])
        link.dataReceived(told(BEAT))
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.inbox.delivered, [])

    def test_refused_by_the_peer(self) -> None:
        """The operator of the refused node is told, once, what the other said; nothing is sent to it."""
        for _ in range(2):
            link, transport = self.dial()
            link.dataReceived(told(Refused("replace me")))
            self.assertTrue(transport.disconnecting)
            self.hang_up(link)
        (line,) = self.inbox.lines("refused_by_peer")
        self.assertEqual((line["peer"], line["reason"]), (2, "replace me"))
        self.assertEqual((self.inbox.events, self.mesh.connected), ([], frozenset()))

    def test_b34_refused_for_good_by_the_peer(self) -> None:
        """The directory is fenced with what the peer said; its operator reads it too."""
        link, _ = self.dial()
        link.dataReceived(told(RefusedForGood("it has forgotten votes", HELLO)))
        self.assertEqual(self.inbox.fenced, ["it has forgotten votes"])
        (line,) = self.inbox.lines("refused_by_peer")
        self.assertTrue(line["for_good"])

    def test_b34_only_a_peer_can_refuse_for_good(self) -> None:
        """A stranger at a peer's address, or a peer that lost its own directory, must not end a good node."""
        link, _ = self.dial()
        link.dataReceived(told(HELLO))
        self.hang_up(link)
        for by in (
            hello(cluster="green"),
            hello(cluster_key=b"lock"),
            hello(members=3),
            hello(incarnation=0xBAD),
            hello(3),
        ):
            link, transport = self.dial()
            link.dataReceived(told(RefusedForGood("it has forgotten votes", by)))
            self.assertTrue(transport.disconnecting)
            self.hang_up(link)
        self.assertEqual(self.inbox.fenced, [])

    def test_nothing_sent_before_the_peers_hello(self) -> None:
        """A message to a node that may still refuse us is lost at once, and not queued."""
        _, transport = self.dial()
        transport.clear()
        self.mesh.send(Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.assertEqual(transport.value(), b"")
