"""Nodes that know each other by their certificates: who gets in, and what both operators read if one does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ELECTOR, Address
from dkv.config.tls_settings import ALLOW, OFF, PREFER, REQUIRE, TlsSettings
from dkv.net.mesh import Mesh
from dkv.net.peer_tls import NO_TLS, PeerTls
from dkv.tls.credentials import load_credentials
from dkv.tls.policy import TlsPolicy
from tests.certificates import Certificates, Pair
from tests.net.nodes import BEAT, Recorder, mesh_of, proofs_of, say
from tests.net.wires import Network

CLUSTER = "blue"
UP = [("up", 2, 0xB2, 1)]


class PeerTestCase(SynchronousTestCase):
    """Nodes 1 and 2 of the cluster, joined in memory."""

    certificates: Certificates

    def setUp(self) -> None:
        self.network = Network()
        self.certificates = Certificates(Path(self.mktemp()), CLUSTER)
        self.meshes: list[Mesh] = []
        self.refused: dict[int, list[str]] = {1: [], 2: []}

    def tls(self, node: int, peers: str, pair: Pair | None = None) -> PeerTls:
        """TLS as node ``node`` has it, with its own certificate or that of ``pair``."""
        if peers == OFF:
            return NO_TLS
        own, folder = self.certificates, self.certificates.directory
        pair = pair or Pair(folder / f"node{node}.pem", folder / f"node{node}.key")
        # "off", for a node that means no good does not look whose certificate it has.
        settings = TlsSettings(str(own.ca), str(pair.certificate), str(pair.key), str(own.crl), OFF)
        policy = TlsPolicy(
            self.network.reactor,
            load_credentials(settings, node, CLUSTER),
            lambda port, address, reason: self.refused[node].append(reason),
        )
        return PeerTls(policy, peers in (PREFER, REQUIRE), peers == REQUIRE)

    def start(self, node: int, tls: PeerTls, **more: Any) -> Recorder:
        mesh, inbox = mesh_of(self.network.reactor, node, tls=tls, **more)
        self.successResultOf(mesh.door.bind())
        mesh.startService()
        self.meshes.append(mesh)
        return inbox

    def meet(self, one: PeerTls, two: PeerTls, **more: Any) -> tuple[Recorder, Recorder]:
        """What both are told and say in some seconds; ``more`` is about node 2."""
        inboxes = self.start(1, one), self.start(2, two, **more)
        self.network.advance(5)
        self.inboxes = inboxes
        return inboxes

    def reasons(self, inbox: Recorder, node: int) -> list[str]:
        """Why node ``node`` says that it is not connected with the other one, as its log has it."""
        logged = [fields["reason"] for _, fields in inbox.logged if "reason" in fields]
        return list(dict.fromkeys([*logged, *self.refused[node]]))


class Agreeing(PeerTestCase):
    """Nodes with good certificates, at neighbouring steps of a cluster that is being switched over."""

    def assert_met(self, one: str, two: str, *secured: bool) -> None:
        inboxes = self.meet(self.tls(1, one), self.tls(2, two))
        self.assertEqual(inboxes[0].events, UP, self.reasons(inboxes[0], 1))
        say(self.meshes[0], Address(2, ELECTOR), Address(1, ELECTOR), BEAT)
        self.network.advance(0.1)
        self.assertEqual(inboxes[1].delivered, [(ELECTOR, Address(1, ELECTOR), BEAT)])
        found = [line["tls"] for inbox in inboxes for line in inbox.lines("peer_found")]
        self.assertEqual(found, list(secured))
        self.assertEqual([self.reasons(inboxes[0], 1), self.reasons(inboxes[1], 2)], [[], []])

    def test_off(self) -> None:
        """Plain both ways."""
        self.assert_met(OFF, OFF, False, False)

    def test_off_and_allow(self) -> None:
        """Plain both ways: a node that takes TLS does not dial with it."""
        self.assert_met(OFF, ALLOW, False, False)

    def test_allow_and_prefer(self) -> None:
        """Each dials as it does, on one port."""
        self.assert_met(ALLOW, PREFER, False, True)

    def test_prefer_and_require(self) -> None:
        """TLS both ways."""
        self.assert_met(PREFER, REQUIRE, True, True)

    def test_require(self) -> None:
        """TLS both ways."""
        self.assert_met(REQUIRE, REQUIRE, True, True)

    def test_with_a_secret_too(self) -> None:
        """Both must be right where both are configured."""
        one = self.start(1, self.tls(1, REQUIRE), proofs=proofs_of(b"secret"))
        self.start(2, self.tls(2, REQUIRE), proofs=proofs_of(b"secret"))
        self.network.advance(5)
        self.assertEqual(one.events, UP)

    def test_a_connection_outlives_new_credentials(self) -> None:
        """What was replaced counts for connections that begin."""
        one, two = self.meet(self.tls(1, REQUIRE), self.tls(2, REQUIRE))
        for node, mesh in enumerate(self.meshes, 1):
            self.certificates.node(node)
            new: Any = self.tls(node, REQUIRE).security
            policy: Any = mesh.tls.security
            policy.adopt(new.credentials)
        self.network.advance(5)
        self.assertEqual((one.events, len(two.events)), (UP, 1))
        self.network.links(5102)[0][0].abortConnection()
        self.network.advance(5)
        self.assertEqual([event[0] for event in one.events], ["up", "down", "up"])

    def test_a_stop_is_heard(self) -> None:
        """What was sent before it arrives, over TLS as without."""
        _, two = self.meet(self.tls(1, REQUIRE), self.tls(2, REQUIRE))
        say(self.meshes[0], Address(2, ELECTOR), Address(1, ELECTOR), BEAT)
        stopped = self.meshes[0].stopService()
        self.network.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(two.delivered, [(ELECTOR, Address(1, ELECTOR), BEAT)])
        self.assertEqual(two.events[-1], ("down", 1))


class Refusing(PeerTestCase):
    """Node 2 is not as it should be; ``node 1`` requires TLS unless told otherwise."""

    def assert_refused(self, one: PeerTls, two: PeerTls, here: str, there: str, **more: Any) -> None:
        """Nobody was met, and each node's log has a line with these words, and few others."""
        inboxes = self.meet(one, two, **more)
        self.assertEqual([(inbox.met, inbox.events, inbox.fenced) for inbox in inboxes], [([], [], [])] * 2)
        for node, inbox, words in zip((1, 2), inboxes, (here, there), strict=True):
            reasons = self.reasons(inbox, node)
            self.assertTrue(any(words in reason for reason in reasons), (words, reasons))
            self.assertLessEqual(len(reasons), 2, "one for each way")
            self.assertNotIn("Traceback", "".join(reasons))

    def with_pair(self, pair: Pair, here: str, there: str) -> None:
        self.assert_refused(self.tls(1, REQUIRE), self.tls(2, REQUIRE, pair), here, there)

    def test_another_cluster(self) -> None:
        """From the same CA, so only the name tells."""
        pair = self.certificates.other_cluster(2)
        self.with_pair(pair, "has the certificate of dkv://elsewhere/node/2", "certificate of dkv://elsewhere/node/2")

    def test_another_node(self) -> None:
        """Node 2 with the certificate of node 3: a node that was taken over cannot be all others, too."""
        folder = self.certificates.directory
        pair = Pair(folder / "node3.pem", folder / "node3.key")
        self.with_pair(pair, "give it one with the name dkv://blue/node/2", "has the certificate of dkv://blue/node/3")
        told = "the node at the address of node 2 has the certificate of dkv://blue/node/3"
        self.assertTrue(
            any(told in line["reason"] for line in self.inboxes[1].lines("refused_by_peer")), "when dialled"
        )

    def test_a_client(self) -> None:
        """Whoever may read a key is no node."""
        pair = self.certificates.client("app")
        self.with_pair(pair, "names no node", "give it one with the name dkv://blue/node/2")

    def test_expired(self) -> None:
        """Both say that it has."""
        self.with_pair(self.certificates.expired(2), "has expired", "has expired")
        (line,) = self.inboxes[1].lines("refused_by_peer")
        self.assertEqual(line["reason"], "the other end says that this end's certificate has expired")

    def test_revoked(self) -> None:
        """The list counts at this port, too."""
        self.with_pair(self.certificates.revoked(2), "is revoked", "is revoked")

    def test_of_another_ca(self) -> None:
        """With all the right names."""
        self.with_pair_of_a_stranger(self.certificates.other_authority(2), "is of another CA")

    def test_self_signed(self) -> None:
        """With all the right names."""
        self.with_pair_of_a_stranger(self.certificates.self_signed(2), "is signed by itself")

    def with_pair_of_a_stranger(self, pair: Pair, here: str) -> None:
        """A node that would not start with this certificate, as it is: so another one brings it along."""
        tls: Any = self.tls(2, REQUIRE)
        for context in (tls.security.credentials.contexts.dialling, *self.contexts(tls)):
            context.use_certificate_file(str(pair.certificate))
            context.use_privatekey_file(str(pair.key))
        self.assert_refused(self.tls(1, REQUIRE), tls, here, "does not know the CA of this end's certificate")

    def contexts(self, tls: Any) -> list[Any]:
        return list(tls.security.credentials.contexts.listening.values())

    def test_none(self) -> None:
        """A node without TLS where it is required: its own dials are answered in words, and TLS is none to it."""
        self.assert_refused(
            self.tls(1, REQUIRE), NO_TLS, "node 2 dials without TLS, and node 1 requires it", "add [tls] with peers"
        )

    def test_tls_without_a_certificate(self) -> None:
        """It is encrypted, and it is nobody."""
        two: Any = self.tls(2, REQUIRE)
        held = two.security.credentials
        bare = SSL.Context(SSL.TLS_METHOD)
        two.security.adopt(replace(held, contexts=replace(held.contexts, dialling=bare)))
        here, there = "it has shown no certificate", "the other end wants a certificate, and this end has shown none"
        self.assert_refused(self.tls(1, ALLOW), two, here, there)

    def test_tls_against_a_plain_port(self) -> None:
        """The dialler reads that there is no TLS, and the other end what to add."""
        one, two = self.meet(self.tls(1, PREFER), NO_TLS)
        self.assertEqual(one.events, [])
        self.assertIn("no TLS with the node at its address: it does not speak TLS", self.reasons(one, 1))
        (reason,) = self.reasons(two, 2)
        self.assertIn('add [tls] with peers = "allow"', reason)

    def test_the_right_certificate_and_the_wrong_hello(self) -> None:
        """The certificate of node 2 opens the door to node 2 of this cluster and its data directory alone."""
        words = "has another cluster key"
        self.assert_refused(self.tls(1, REQUIRE), self.tls(2, REQUIRE), words, words, cluster_key=b"lock")

    def test_the_right_certificate_and_the_name_of_another_node(self) -> None:
        """Node 2, with its own certificate, says that it is node 3."""
        one = self.start(1, self.tls(1, REQUIRE), members=3)
        pair = Pair(self.certificates.directory / "node2.pem", self.certificates.directory / "node2.key")
        three = self.start(3, self.tls(2, REQUIRE, pair), members=3)
        self.network.advance(5)
        self.assertEqual((one.met, three.met, one.events), ([], [], []))
        lines = [line["reason"] for line in one.lines("peer_refused")]
        self.assertEqual(len(lines), 2, "one for each way")
        self.assertTrue(all("node 3 has the certificate of dkv://blue/node/2" in line for line in lines), lines)

    def test_a_client_that_says_hello(self) -> None:
        """A certificate for reading a key is not one for voting, whatever its owner says in its Hello."""
        self.with_pair(self.certificates.client("node2"), "names no node", "give it one")

    def test_no_secret_behind_a_certificate(self) -> None:
        """Both must be right where both are configured."""
        one = self.start(1, self.tls(1, REQUIRE), proofs=proofs_of(b"secret"))
        self.start(2, self.tls(2, REQUIRE), proofs=proofs_of())
        self.network.advance(5)
        self.assertEqual((one.met, one.events), ([], []))
        self.assertIn("node 2 has no peer secret", " ".join(self.reasons(one, 1)))
