"""The mesh: two nodes in memory, and once on real sockets."""

from __future__ import annotations

from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, RaisingMemoryReactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from dkv.actor import ACCEPTOR, ELECTOR, GATEWAY, PROPOSER, PUBSUB, Address
from dkv.ballot import Ballot
from dkv.messages import Accept, Accepted, Submit
from dkv.net import mesh
from dkv.net.door import Door
from dkv.net.mesh import Mesh
from dkv.net.outbound import POSTINGS_SHARE
from dkv.pubsub_messages import Published
from dkv.records import Batch, Value
from dkv.wire.codec import encode
from dkv.wire.frames import frame
from tests.net.nodes import BEAT, LIMITS, TIMINGS, MeshTestCase, Recorder, hello, mesh_of, proofs_of, say


class TwoMeshes(MeshTestCase):
    def test_both_come_up(self) -> None:
        """Nodes find each other by themselves, with the names of their lives: else batches could not be told apart."""
        self.assertEqual(self.inbox_one.events, [("up", 2, 0xB2, 1)])
        self.assertEqual(self.inbox_two.events, [("up", 1, 0xB1, 1)])
        self.assertEqual((self.one.connected, self.two.connected), ({2}, {1}))
        self.assertEqual([line["peer"] for line in self.inbox_one.lines("peer_found")], [2])

    def test_silence(self) -> None:
        """Clients are sent to a node that was heard, and to none that is gone or was never there."""
        heard = self.one.silence(2)
        assert heard is not None
        self.assertLess(heard, TIMINGS.silence_seconds)
        self.stop(self.two, 5102)
        self.network.pump()
        self.assertIsNone(self.one.silence(2))
        self.assertIsNone(self.one.silence(9))

    def test_messages_each_way(self) -> None:
        """Messages arrive in order, from whom they say: consensus rests on knowing whose vote it is."""
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        say(self.one, Address(2, PROPOSER), Address(1, ACCEPTOR), Accepted(Ballot(1, 1), 5))
        say(self.two, Address(1, PROPOSER), Address(2, GATEWAY), Submit(()))
        self.network.pump()
        self.assertEqual(
            self.inbox_two.delivered,
            [(ELECTOR, Address(1, ELECTOR), BEAT), (PROPOSER, Address(1, ACCEPTOR), Accepted(Ballot(1, 1), 5))],
        )
        self.assertEqual(self.inbox_one.delivered, [(PROPOSER, Address(2, GATEWAY), Submit(()))])

    def test_no_delay_both_ways(self) -> None:
        """Nagle's algorithm would add 40 ms to a write now and then."""
        for dialler, acceptor in self.network.links(5101) + self.network.links(5102):
            self.assertTrue(dialler.no_delay and acceptor.no_delay)

    def test_keepalive_both_ways(self) -> None:
        """A peer whose machine is gone does not hold a connection for hours."""
        for dialler, acceptor in self.network.links(5101) + self.network.links(5102):
            for end in (dialler, acceptor):
                tcp = {option: value for (level, option), value in end.options.items() if level == IPPROTO_TCP}
                self.assertEqual(tcp, {TCP_KEEPIDLE: 60, TCP_KEEPINTVL: 20, TCP_KEEPCNT: 3})
                self.assertEqual(end.options[SOL_SOCKET, SO_KEEPALIVE], 1)

    def test_encoded_once_for_several_peers(self) -> None:
        """A leader that encodes a megabyte once per follower is slow."""
        value = Value((Batch(1, 0xB1, 1, 1, b"x" * 100),))
        first, second = Accept(Ballot(1, 1), 1, value, 0), Accept(Ballot(1, 1), 2, value, 0)
        encoded = []

        def counting(message: Any) -> bytes:
            encoded.append(message)
            return encode(message)

        self.patch(mesh, "encode", counting)
        for message in (first, first, second):
            say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), message)
        self.network.pump()
        self.assertEqual(encoded, [first, second])
        self.assertEqual([message for _, _, message in self.inbox_two.delivered], [first, first, second])

    def test_one_write_for_what_is_sent_together(self) -> None:
        """Each write is a system call here and mostly another at the peer, which cost more than what they carry."""
        writes: list[bytes] = []
        self.patch(self.one.peers[2].outbound, "_send", writes.append)
        for _ in range(3):
            self.one.send(Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.assertEqual(writes, [])
        self.one.flush()
        self.one.flush()
        self.assertEqual(writes, [frame(encode(BEAT)) * 3])

    def test_why_a_peer_is_not_reached(self) -> None:
        """An operator sees which way is open, since when, and what is wrong with the other."""
        (told,) = self.one.status()
        self.assertEqual((told["node"], told["connected"], told["accepted"], told["problem"]), (2, True, True, None))
        self.assertIs(told["tls"], False)
        self.stop(self.two, 5102)
        (told,) = self.one.status()
        state = told["connected"], told["accepted"], told["problem"], told["tls"]
        self.assertEqual(state, (False, False, "the connection was lost", None))
        self.network.advance(30)
        (told,) = self.one.status()
        self.assertEqual((told["problem"], told["connected_seconds"]), ("connection refused", None))
        self.assertGreater(told["problem_seconds"], 29)
        self.assertEqual([line["reason"] for line in self.inbox_one.lines("peer_unreachable")], ["connection refused"])

    def test_one_way(self) -> None:
        """Node 2 cannot dial node 1, which dials it: what node 2 hears is not what it reaches."""
        self.network.closed.add(5101)
        for dialler, _ in self.network.links(5101):
            dialler.abortConnection()
        self.network.advance(10)
        (two,), (one,) = self.two.status(), self.one.status()
        self.assertEqual((two["connected"], two["accepted"], two["problem"]), (False, True, "connection refused"))
        self.assertEqual((one["connected"], one["accepted"], one["problem"]), (True, False, None))

    def test_a_refusal_is_shown(self) -> None:
        """That a peer belongs to another cluster is told by what it said, though its connection closed as well."""
        stranger, _ = self.start(3, members=3, cluster="green")
        self.network.advance(5)
        words = [told["problem"] for told in stranger.status()]
        self.assertTrue(all("belongs to cluster" in word for word in words), words)

    def test_silence_is_shown(self) -> None:
        """A connection that carries nothing is none."""
        self.network.silent.add(5102)
        self.network.advance(6)
        self.assertEqual(self.one.status()[0]["problem"], "connected, and silent")

    def test_not_connected_means_lost(self) -> None:
        """Sending to a node that is down or does not exist is no error: actors retransmit."""
        self.stop(self.two, 5102)
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        say(self.one, Address(77, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.network.advance(1)
        self.assertEqual(self.inbox_two.delivered, [])

    def test_peer_dies_and_returns(self) -> None:
        """A dead peer is noticed at once and once; back, it is dialled at once, not after a back-off."""
        self.stop(self.two, 5102)
        self.assertEqual(self.inbox_one.events[1:], [("down", 2)])
        self.assertEqual(self.one.connected, frozenset())
        self.network.advance(30)
        self.network.closed.clear()
        self.network.reactor.tcpServers[:] = [server for server in self.network.reactor.tcpServers if server[0] == 5101]
        _, inbox = self.start(2, boot=2)
        self.network.pump()  # no time passes: its Hello triggers the dial
        self.assertEqual(self.inbox_one.events[1:], [("down", 2), ("up", 2, 0xB2, 2)])
        self.assertEqual(inbox.events, [("up", 1, 0xB1, 1)])
        self.assertEqual(len(self.inbox_one.lines("peer_lost")), 1)

    def test_back_off_is_capped(self) -> None:
        """A peer that is down for a minute is dialled about once a second: neither a storm nor a long wait."""
        self.stop(self.two, 5102)
        before = self.network.dials
        self.network.advance(60)
        self.assertTrue(55 <= self.network.dials - before <= 70, self.network.dials - before)

    def test_nothing_told_after_stop(self) -> None:
        """A host that is closing its store must not be handed messages or events."""
        events = list(self.inbox_one.events)
        say(self.two, Address(1, ACCEPTOR), Address(2, PROPOSER), BEAT)
        stopped = self.one.stopService()
        self.network.pump()
        self.successResultOf(stopped)
        self.assertEqual((self.inbox_one.events, self.inbox_one.delivered), (events, []))

    def test_what_was_sent_before_stop_arrives(self) -> None:
        """A leader that resigns and stops must be heard, or its cluster waits for an election timeout."""
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.stop(self.one, 5101)
        self.assertEqual([message for _, _, message in self.inbox_two.delivered], [BEAT])

    def test_stop_does_not_wait_for_a_silent_peer(self) -> None:
        """Ctrl-C ends a node though a peer is frozen and takes nothing more."""
        self.network.silent |= {5101, 5102}
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.two._ticks.stop()  # frozen, it gives up on no connection either
        stopped = self.one.stopService()
        self.network.advance(TIMINGS.drain_seconds / 2)
        self.assertNoResult(stopped)
        self.network.advance(TIMINGS.drain_seconds)
        self.successResultOf(stopped)
        self.two.stopService()
        self.network.advance(TIMINGS.drain_seconds + 1)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_signs_of_life_keep_idle_connections(self) -> None:
        """An idle cluster keeps its connections: a reconnect each few seconds would look like failing peers."""
        dials = self.network.dials
        self.inbox_one.heard.clear()
        self.network.advance(60)
        self.assertEqual(self.network.dials, dials)
        self.assertEqual(len(self.inbox_one.events), 1)
        self.assertTrue(self.inbox_one.heard)

    def test_silent_connection_is_aborted_and_redialled(self) -> None:
        """A cut cable sends no FIN: silence is all there is to notice it by, and a new dial to get over it."""
        self.network.silent |= {5101, 5102}
        self.network.advance(TIMINGS.silence_seconds * 0.9)
        self.assertEqual(len(self.inbox_one.events), 1)
        self.network.advance(TIMINGS.silence_seconds * 0.4)
        self.assertEqual(self.inbox_one.events[1:], [("down", 2)])
        self.network.silent.clear()
        self.network.advance(TIMINGS.silence_seconds + TIMINGS.reconnect_seconds_max)
        self.assertEqual(self.inbox_one.events[-1], ("up", 2, 0xB2, 1))
        self.assertEqual(self.one.connected, {2})

    def test_own_pause_is_not_the_peers_silence(self) -> None:
        """A node that was stopped for ten seconds goes on with the connections it has: bytes wait in them."""
        self.network.reactor.advance(10)
        self.network.pump()
        self.assertEqual(len(self.inbox_one.events), 1)
        self.assertEqual(self.one.connected, {2})

    def test_loss_of_the_accepted_connection_is_told_once(self) -> None:
        """Either connection tells that a peer died; its return is told too, though the other one held."""
        ((dialler, _),) = self.network.links(5101)  # what node 2 dialled
        dialler.abortConnection()
        self.network.pump()
        self.assertEqual(self.inbox_one.events[1:], [("down", 2)])
        self.network.advance(TIMINGS.reconnect_seconds_max)
        self.assertEqual(self.inbox_one.events[1:], [("down", 2), ("up", 2, 0xB2, 1)])

    def test_pause_reading(self) -> None:
        """A node whose disk is behind takes in no more, and what waits is not lost or taken for silence."""
        self.two.pause_reading()
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.network.advance(TIMINGS.silence_seconds * 3)
        self.assertEqual(self.inbox_two.delivered, [])
        self.two.resume_reading()
        self.network.pump()
        self.assertEqual([message for _, _, message in self.inbox_two.delivered], [BEAT])
        self.assertEqual((len(self.inbox_one.events), len(self.inbox_two.events)), (1, 1))

    def test_accepted_while_reading_is_paused(self) -> None:
        """A reconnect is no way around the pause."""
        self.two.pause_reading()
        for dialler, _ in self.network.links(5102):
            dialler.abortConnection()
        self.network.advance(0.5)
        self.assertTrue(all(acceptor.paused for _, acceptor in self.network.links(5102)))
        self.assertEqual(self.one.connected, frozenset())
        self.two.resume_reading()
        self.network.pump()
        self.assertEqual(self.one.connected, {2})

    def test_peer_heard_is_throttled(self) -> None:
        """Failure detection costs a little per heartbeat, not per message."""
        self.network.advance(TIMINGS.heartbeat_seconds)
        self.inbox_two.heard.clear()
        for _ in range(50):
            say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
            self.network.pump()
        self.assertEqual(self.inbox_two.heard, [1])
        self.network.reactor.advance(TIMINGS.heartbeat_seconds)
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        self.network.pump()
        self.assertEqual(self.inbox_two.heard, [1, 1])

    def test_slow_peer_loses_messages_not_the_nodes_memory(self) -> None:
        """A peer that does not read costs its senders a bounded queue, one log line, and recovers."""
        self.network.silent.add(5102)
        message = Submit((Batch(1, 0xB1, 1, 1, b"x" * LIMITS.batch_bytes_max),))
        for _ in range(20):
            say(self.one, Address(2, PROPOSER), Address(1, GATEWAY), message)
        ((dialler, _),) = self.network.links(5102)
        self.assertTrue(len(dialler.unsent) <= LIMITS.peer_queue_bytes_max + 2**16, len(dialler.unsent))
        self.assertEqual(len(self.inbox_one.lines("peer_slow")), 1)
        self.network.silent.clear()
        self.network.pump()
        received = len(self.inbox_two.delivered)
        self.assertEqual(received, LIMITS.peer_queue_bytes_max // LIMITS.batch_bytes_max)
        say(self.one, Address(2, PROPOSER), Address(1, GATEWAY), message)
        self.network.pump()
        self.assertEqual(len(self.inbox_two.delivered), received + 1)
        self.assertEqual(len(self.inbox_one.lines("peer_slow_no_more")), 1)

    def test_what_clients_publish_keeps_no_vote_from_a_slow_peer(self) -> None:
        """However much is published while a peer does not read, votes get through, and are not dropped for it."""
        self.network.silent.add(5102)
        room = LIMITS.peer_queue_bytes_max // POSTINGS_SHARE
        sender, receiver = Address(1, PUBSUB), Address(2, PUBSUB)
        for number in range(1, 200):
            say(self.one, receiver, sender, Published(1, number, ((0, b"c", b"x" * (room // 10)),)))
        say(self.one, Address(2, ACCEPTOR), Address(1, PROPOSER), BEAT)
        ((dialler, _),) = self.network.links(5102)
        self.assertLess(len(dialler.unsent), room + 2**16)
        self.assertEqual(len(self.inbox_one.lines("peer_misses_postings")), 1)
        self.assertEqual(self.inbox_one.lines("peer_slow"), [])
        self.network.silent.clear()
        self.network.pump()
        numbers = [message.number for _, _, message in self.inbox_two.delivered[:-1]]
        self.assertEqual(numbers, [*range(1, len(numbers) + 1)])
        self.assertEqual(self.one.postings_dropped, 199 - len(numbers))
        self.assertEqual(self.inbox_two.delivered[-1][2], BEAT)
        say(self.one, receiver, sender, Published(1, 200, ((0, b"c", b"x"),)))
        self.network.pump()
        self.assertEqual(self.inbox_two.delivered[-1][2].number, 200)
        self.assertEqual(len(self.inbox_one.lines("peer_misses_postings_no_more")), 1)

    def test_slow_peer_while_another_is_delayed_on_order(self) -> None:
        """An order that concerns one peer must not lift the limit of all."""
        self.one.faults.delay(3, 0.05, 60.0)
        self.test_slow_peer_loses_messages_not_the_nodes_memory()

    def test_what_is_sent_between_flushes_is_bounded_too(self) -> None:
        """A node that is told everything by a peer that fell far behind keeps no more of it than for a slow one."""
        message = Submit((Batch(1, 0xB1, 1, 1, b"x" * LIMITS.batch_bytes_max),))
        for _ in range(20):
            self.one.send(Address(2, PROPOSER), Address(1, GATEWAY), message)
        self.one.flush()
        self.network.pump()
        self.assertEqual(len(self.inbox_two.delivered), LIMITS.peer_queue_bytes_max // LIMITS.batch_bytes_max)
        say(self.one, Address(2, PROPOSER), Address(1, GATEWAY), message)
        self.network.pump()
        self.assertEqual(self.inbox_two.delivered[-1][2], message)

    def test_a_message_longer_than_a_frame_is_not_sent(self) -> None:
        """A bug that builds a giant message costs that message, not the connection, over and over."""
        message = Submit((Batch(1, 0xB1, 1, 1, b"x" * LIMITS.frame_bytes_max),))
        say(self.one, Address(2, PROPOSER), Address(1, GATEWAY), message)
        say(self.one, Address(2, PROPOSER), Address(1, GATEWAY), BEAT)
        self.network.pump()
        self.assertEqual([message for _, _, message in self.inbox_two.delivered], [BEAT])
        self.assertEqual(len(self.inbox_one.lines("message_too_large")), 1)


class Listening(SynchronousTestCase):
    """The peer port."""

    def test_port_in_use(self) -> None:
        """A port in use is one clear line: the service needs the failure to write it."""
        taken = CannotListenError("", 5101, OSError("in use"))
        mesh, _ = mesh_of(RaisingMemoryReactor(listenException=taken), 1)
        self.failureResultOf(mesh.door.bind(), CannotListenError)

    def test_stop_without_start(self) -> None:
        """A service that failed to start can still be stopped."""
        mesh, _ = mesh_of(MemoryReactorClock(), 1)
        self.successResultOf(mesh.stopService())


class RealSockets(TestCase):
    """Once over loopback, since memory is kinder than a kernel."""

    @inlineCallbacks
    def test_over_tcp(self) -> Any:
        """Two nodes talk through real sockets, a large message included, and stop cleanly."""
        inboxes = {1: Recorder(), 2: Recorder()}
        one = self.mesh(1, {2: "tcp:127.0.0.1:1"}, inboxes[1])  # where nobody listens: only node 2 can dial
        yield one.door.bind()
        one.startService()
        up = inboxes[2].next_change()
        two = self.mesh(2, {1: f"tcp:127.0.0.1:{one.door.port.getHost().port}"}, inboxes[2])
        yield two.door.bind()
        two.startService()
        yield up
        self.assertEqual(inboxes[2].events, [("up", 1, 0xB1, 1)])
        message = Submit((Batch(2, 0xB2, 1, 1, b"x" * LIMITS.batch_bytes_max),))
        arrived = inboxes[1].next_change()
        say(two, Address(1, PROPOSER), Address(2, GATEWAY), message)
        yield arrived
        self.assertEqual(inboxes[1].delivered, [(PROPOSER, Address(2, GATEWAY), message)])
        down = inboxes[2].next_change()
        yield one.stopService()
        yield down
        self.assertEqual(inboxes[2].events[1:], [("down", 1)])
        yield two.stopService()

    def mesh(self, node: int, peers: dict[int, str], inbox: Recorder) -> Mesh:
        door = Door(real_reactor, "tcp:0:interface=127.0.0.1")
        return Mesh(real_reactor, hello(node), door, peers, {}, LIMITS, TIMINGS, inbox, inbox, proofs_of())
