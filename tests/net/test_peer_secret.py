"""Meshes with a peer secret: what both operators read if it is wrong, and what a stranger costs before it is right."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ELECTOR, Address
from dkv.net.link import HELLO_BYTES_MAX, TICKS_OF_SILENCE
from dkv.net.peer_proof import NONCE_BYTES, PeerProofs
from dkv.wire.codec import Alive, Challenge, PeerProof, Refused, RefusedForGood, Removed
from tests.net.nodes import BEAT, HELLO, TIMINGS, Recorder, hello, mesh_of, proofs_of, said, say, told
from tests.net.wires import Network

SECRET, OTHER = b"the secret of all nodes", b"another secret"


class Pairs(SynchronousTestCase):
    """Nodes 1 and 2, each with what its config file says."""

    def meet(self, one: PeerProofs, two: PeerProofs, **more: Any) -> tuple[Recorder, Recorder]:
        network = Network()
        self.meshes, inboxes = [], []
        for node, proofs, given in ((1, one, {}), (2, two, more)):
            mesh, inbox = mesh_of(network.reactor, node, proofs=proofs, **given)
            self.successResultOf(mesh.door.bind())
            mesh.startService()
            self.meshes.append(mesh)
            inboxes.append(inbox)
        network.advance(10)
        self.network = network
        return inboxes[0], inboxes[1]

    def test_both_know_it(self) -> None:
        """They come up, and messages pass."""
        one, two = self.meet(proofs_of(SECRET), proofs_of(SECRET))
        self.assertEqual((one.events, two.events), ([("up", 2, 0xB2, 1)], [("up", 1, 0xB1, 1)]))
        say(self.meshes[0], Address(2, ELECTOR), Address(1, ELECTOR), BEAT)
        self.network.pump()
        self.assertEqual(two.delivered, [(ELECTOR, Address(1, ELECTOR), BEAT)])
        self.assertEqual((one.lines("peer_refused"), two.lines("peer_refused")), ([], []))

    def assert_refused(self, one: Recorder, two: Recorder, *words: str) -> None:
        """Nobody was met; each of these is the whole of what one node says of the other, once, at both."""
        self.assertEqual([one.events, two.events, one.met, two.met], [[], [], [], []])
        for inbox in (one, two):
            lines = [fields["reason"] for event, fields in inbox.logged if event in ("peer_refused", "refused_by_peer")]
            self.assertEqual(len(lines), len(words), lines)
            for word in words:
                self.assertEqual(sum(word in line for line in lines), 1, (word, lines))

    def test_wrong_secret(self) -> None:
        """Each end says it once of the connection that was dialled to it, and once as it is told so."""
        one, two = self.meet(proofs_of(SECRET), proofs_of(OTHER))
        self.assert_refused(
            one,
            two,
            "peer_secret_file of node 1 must be a line of that of node 2",
            "peer_secret_file of node 2 must be a line of that of node 1",
        )

    def test_wrong_secret_of_one_that_is_being_switched_over(self) -> None:
        """A secret that is shown must be right: a slip is noticed at the first node, not when all require it."""
        one, two = self.meet(proofs_of(SECRET, allow=True), proofs_of(OTHER, allow=True))
        self.assertEqual(one.events + two.events, [])

    def test_no_secret(self) -> None:
        """Whichever dials, the line is about the one without."""
        one, two = self.meet(proofs_of(SECRET), proofs_of())
        lines = [fields["reason"] for inbox in (one, two) for _, fields in inbox.logged if "reason" in fields]
        self.assertTrue(lines and all("set peer_secret_file in the config file of node 2" in line for line in lines))
        self.assertEqual([one.events, two.events, one.met], [[], [], []])

    def test_switching_over(self) -> None:
        """A node without a secret talks with one that allows it, and that one with a node that requires a proof."""
        for pair in (
            (proofs_of(), proofs_of(SECRET, allow=True)),
            (proofs_of(SECRET, allow=True), proofs_of(SECRET)),
        ):
            one, two = self.meet(*pair)
            self.assertEqual((one.events, two.events), ([("up", 2, 0xB2, 1)], [("up", 1, 0xB1, 1)]))

    def test_a_change_of_secret_without_a_restart(self) -> None:
        """What is connected stays so, and the next connection is made with the new secret."""
        one, two = self.meet(proofs_of(SECRET), proofs_of(SECRET))
        for mesh in self.meshes:
            mesh.proofs.secrets = proofs_of(OTHER).secrets
        self.network.advance(5)
        self.assertEqual((one.events, two.events), ([("up", 2, 0xB2, 1)], [("up", 1, 0xB1, 1)]))
        dialler, _ = self.network.links(5102)[0]
        dialler.abortConnection()
        self.network.advance(5)
        self.assertEqual([event[0] for event in one.events], ["up", "down", "up"])

    def test_the_right_secret_and_the_wrong_hello(self) -> None:
        """The secret opens the door to a member of this cluster, and to nobody else who has it."""
        one, two = self.meet(proofs_of(SECRET), proofs_of(SECRET), cluster="green")
        self.assertEqual([one.events, two.events, one.met, two.met], [[], [], [], []])
        (line,) = one.lines("peer_refused")
        self.assertIn("belongs to cluster 'green'", line["reason"])


class Strangers(SynchronousTestCase):
    """What comes in at the peer port of node 1, which has a secret."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.mesh, self.inbox = mesh_of(self.reactor, 1, proofs=proofs_of(SECRET))
        self.successResultOf(self.mesh.door.bind())
        self.mesh.startService()
        self.node_two = proofs_of(SECRET).dialling(HELLO, 1)

    def accept(self, *data: bytes) -> tuple[Any, StringTransport]:
        factory: Any = self.reactor.tcpServers[0][1]
        link = factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        for each in data:
            link.dataReceived(each)
        return link, transport

    def assert_nothing_happened(self) -> None:
        """Nobody was met, heard or counted, and nothing was delivered."""
        inbox, two = self.inbox, self.mesh.peers[2]
        self.assertEqual([inbox.met, inbox.events, inbox.heard, inbox.delivered, inbox.fenced], [[], [], [], [], []])
        self.assertEqual((two.inbound, self.mesh.connected), (None, frozenset()))

    def test_the_handshake(self) -> None:
        """Hello, Challenge, PeerProof, and then this node's proof ahead of its Hello."""
        link, transport = self.accept(told(self.node_two.hello))
        (challenge,) = said(transport.value())
        self.assert_nothing_happened()
        transport.clear()
        link.dataReceived(told(self.node_two.challenged(challenge)))
        proof, answer = said(transport.value())
        self.node_two.proof_received(proof)
        self.assertEqual((answer, self.node_two.doubt(answer)), (hello(1), None))
        self.assertEqual([node for node, _ in self.inbox.met], [2])
        link.dataReceived(told(BEAT))
        self.assertEqual(self.inbox.delivered, [(ELECTOR, Address(2, ELECTOR), BEAT)])

    def test_nothing_else_in_place_of_a_proof(self) -> None:
        """Votes, a second Hello, a long frame: the connection ends, and nobody has heard anything."""
        proof = told(PeerProof(1, bytes(32)))
        for words in (told(BEAT), told(HELLO), told(Challenge(bytes(NONCE_BYTES))), told(RefusedForGood("end", HELLO))):
            _, transport = self.accept(told(self.node_two.hello) + words + proof)
            self.assertTrue(transport.disconnecting)
            self.assert_nothing_happened()

    def test_memory_before_the_proof(self) -> None:
        """A stranger who claims to be a node still gets no more than a stranger's memory."""
        _, transport = self.accept(told(self.node_two.hello), (HELLO_BYTES_MAX + 1).to_bytes(4, "big") + bytes(4))
        self.assertTrue(transport.disconnecting)

    def test_a_replay(self) -> None:
        """A Hello and a PeerProof that were recorded are refused in words, and touch nothing."""
        link, transport = self.accept(told(self.node_two.hello))
        (challenge,) = said(transport.value())
        recorded = told(self.node_two.hello) + told(self.node_two.challenged(challenge)) + told(BEAT)
        link.abort()
        _, transport = self.accept(recorded)
        _, refused = said(transport.value())
        self.assertIsInstance(refused, Refused)
        self.assertIn("node 2 does not know the peer secret of node 1", refused.reason)
        (line,) = self.inbox.lines("peer_refused")
        self.assertEqual(line["reason"], refused.reason)
        self.assert_nothing_happened()

    def test_silence_before_the_proof(self) -> None:
        """One byte now and then is silence, as long as nothing is proven."""
        link, transport = self.accept(told(self.node_two.hello))
        proof = told(PeerProof(1, bytes(32)))
        for byte in proof[: TICKS_OF_SILENCE + 1]:
            self.assertFalse(transport.disconnecting)
            link.dataReceived(bytes((byte,)))
            self.reactor.advance(TIMINGS.silence_seconds / TICKS_OF_SILENCE)
        self.assertTrue(transport.disconnecting)

    def test_anything_in_any_order(self) -> None:
        """Whatever strangers say, at the port or where they answer, in whatever order: it ends, and touches nothing."""
        random = Random(19)
        members = [hello(node, boot=boot) for node in (1, 2, 9) for boot in (1, 7)]
        for number in range(600):
            nonces = [b"", bytes(NONCE_BYTES), random.randbytes(NONCE_BYTES)]
            words: list[Any] = [replace(random.choice(members), nonce=random.choice(nonces)) for _ in range(3)]
            words += [Challenge(nonce) for nonce in nonces]
            words += [PeerProof(random.choice((1, 2)), random.randbytes(size)) for size in (0, 32)]
            words += [Refused("no"), RefusedForGood("end", random.choice(members)), Alive(), BEAT]
            words.append(Removed("gone", 7, (), random.choice(members)))
            link, _ = self.dial() if number % 2 else self.accept()
            for message in random.choices(words, k=random.randint(1, 6)):
                link.dataReceived(told(message))
            link.connectionLost(Failure(ConnectionDone()))
            self.reactor.advance(TIMINGS.reconnect_seconds_max)
            self.assert_nothing_happened()
            self.assertEqual(self.inbox.removals, [])

    def dial(self) -> tuple[Any, StringTransport]:
        """The connection that node 1 dials next, made."""
        factory: Any = self.reactor.tcpClients[-1][2]
        link = factory.buildProtocol(None)
        transport = StringTransport()
        link.makeConnection(transport)
        return link, transport

    def test_an_older_version(self) -> None:
        """It is told what is wrong, although it can prove nothing."""
        _, transport = self.accept(told(hello(protocol=7)))
        (refused,) = said(transport.value())
        self.assertIn("run the same version on both", refused.reason)

    def test_no_word_of_this_node_before_the_proof(self) -> None:
        """A scanner learns neither the cluster's name nor its keys."""
        _, transport = self.accept(told(self.node_two.hello))
        _, other = self.accept(told(hello(cluster="green")))
        self.assertNotIn(b"blue", transport.value() + other.value())
