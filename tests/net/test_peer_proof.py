"""The proof of the peer secret by itself: what it is bound to, and what it must never say."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dkv.net.peer_proof import NONCE_BYTES, DialledProof, DiallersProof, PeerProofs, PeerSecrets
from dkv.wire.codec import Challenge, Hello, PeerProof
from dkv.wire.packing import CodecError
from tests.net.nodes import hello, proofs_of

OLD, NEW = b"the old secret of the cluster", b"the new secret of the cluster"


def meet(one: PeerProofs, two: PeerProofs, target: int = 2) -> tuple[str | None, str | None]:
    """Node 1 dials node 2: why node 2 does not believe node 1, and why node 1 does not believe node 2."""
    dialler = one.dialling(hello(1), target)
    dialled = two.dialled(hello(2), dialler.hello)
    if dialled.missing is not None:
        return dialled.missing, None
    challenge = dialled.challenge()
    if challenge is not None:
        answer = dialled.answer(dialler.challenged(challenge))
        if isinstance(answer, str):
            return answer, None
        dialler.proof_received(answer)
    return None, dialler.doubt(hello(2))


class Meetings(SynchronousTestCase):
    """Two nodes with this and that in their config files."""

    def test_the_same_secret(self) -> None:
        """Both are believed."""
        self.assertEqual(meet(proofs_of(NEW), proofs_of(NEW)), (None, None))

    def test_no_secret_at_all(self) -> None:
        """As before there were secrets."""
        self.assertEqual(meet(proofs_of(), proofs_of()), (None, None))

    def test_another_secret(self) -> None:
        """Refused, in a line that says which file is to be mended, also where nodes without a secret are let in."""
        for allow in (False, True):
            refusal, _ = meet(proofs_of(OLD, allow=allow), proofs_of(NEW, allow=allow))
            self.assertIn("first line of the peer_secret_file of node 1 must be a line of that of node 2", str(refusal))

    def test_one_has_none(self) -> None:
        """Each way the line names the node that has to get a secret."""
        refusal, _ = meet(proofs_of(), proofs_of(NEW))
        self.assertIn("set peer_secret_file in the config file of node 1", str(refusal))
        _, doubt = meet(proofs_of(NEW), proofs_of())
        self.assertIn("set peer_secret_file in the config file of node 2", str(doubt))

    def test_a_cluster_is_switched_over_node_by_node(self) -> None:
        """No secret, then allow, then require: nodes of neighbouring steps talk with each other, both ways."""
        steps = [proofs_of(), proofs_of(NEW, allow=True), proofs_of(NEW)]
        for one, two in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)):
            self.assertEqual(meet(steps[one], steps[two]), (None, None), (one, two))

    def test_the_secret_is_changed_node_by_node(self) -> None:
        """Added behind the old one, then moved to the front, then alone: neighbouring steps talk, both ways."""
        steps = [proofs_of(OLD), proofs_of(OLD, NEW), proofs_of(NEW, OLD), proofs_of(NEW)]
        for one in range(4):
            for two in range(max(0, one - 1), min(4, one + 2)):
                self.assertEqual(meet(steps[one], steps[two]), (None, None), (one, two))
        self.assertIsNotNone(meet(steps[0], steps[3])[0])

    def test_an_address_of_another_node(self) -> None:
        """The line is about the address, not about the secret, which is right."""
        refusal, _ = meet(proofs_of(NEW), proofs_of(NEW), target=3)
        self.assertIn("node 1 dials node 3 and reaches node 2", str(refusal))


class Bound(SynchronousTestCase):
    """A proof fits one handshake."""

    def setUp(self) -> None:
        self.proofs = proofs_of(NEW)
        self.dialler = self.proofs.dialling(hello(1), 2)
        self.dialled, self.challenge = self.listen(self.dialler.hello)
        self.proof = self.dialler.challenged(self.challenge)

    def listen(self, said: Hello) -> tuple[DialledProof, Challenge]:
        """Node 2 reads a Hello, and challenges its sender."""
        dialled = self.proofs.dialled(hello(2), said)
        challenge = dialled.challenge()
        assert challenge is not None
        return dialled, challenge

    def test_it_fits(self) -> None:
        """Else the rest proves nothing."""
        self.assertIsInstance(self.dialled.answer(self.proof), PeerProof)

    def test_the_dialled_nodes_nonce(self) -> None:
        """A Hello and a PeerProof that were recorded do not open another connection."""
        again, _ = self.listen(self.dialler.hello)
        self.assertIsInstance(again.answer(self.proof), str)

    def test_the_diallers_hello(self) -> None:
        """Nobody gets in as another node, or with other votes, by what somebody else has proven."""
        for changed in (
            replace(self.dialler.hello, node=3),
            replace(self.dialler.hello, incarnation=1),
            replace(self.dialler.hello, nonce=bytes(NONCE_BYTES)),
        ):
            dialled = DialledProof(PeerSecrets((NEW,)), hello(2), changed, lambda: self.challenge.nonce)
            dialled.challenge()
            self.assertIsInstance(dialled.answer(self.proof), str, changed)

    def test_the_target(self) -> None:
        """A proof for node 2 is not turned into one for node 3."""
        self.assertIsInstance(self.dialled.answer(replace(self.proof, target=3)), str)

    def test_the_dialled_nodes_hello(self) -> None:
        """The dialler believes the Hello that was proven and no other."""
        answer = self.dialled.answer(self.proof)
        assert isinstance(answer, PeerProof)
        self.dialler.proof_received(answer)
        self.assertIsNone(self.dialler.doubt(hello(2)))
        self.assertIsNotNone(self.dialler.doubt(hello(2, incarnation=1)))
        self.assertIsNotNone(self.dialler.doubt(hello(3)))

    def test_the_diallers_nonce(self) -> None:
        """An answer that was recorded does not make a dialler believe on the next connection."""
        answer = self.dialled.answer(self.proof)
        assert isinstance(answer, PeerProof)
        again = self.proofs.dialling(hello(1), 2)
        again.challenged(self.challenge)
        again.proof_received(answer)
        self.assertIsNotNone(again.doubt(hello(2)))

    def test_the_role(self) -> None:
        """A dialler's own proof, sent back to it, proves nothing."""
        self.dialler.proof_received(self.proof)
        self.assertIsNotNone(self.dialler.doubt(hello(1)))
        self.assertIsNotNone(self.dialler.doubt(hello(2)))

    def test_no_proof_behind_a_challenge(self) -> None:
        """A node that asks for a proof must show one itself, also where nodes without a secret are let in."""
        for proofs in (proofs_of(NEW), proofs_of(NEW, allow=True)):
            dialler = proofs.dialling(hello(1), 2)
            dialler.challenged(self.challenge)
            self.assertIsNotNone(dialler.doubt(hello(2)))

    def test_out_of_turn(self) -> None:
        """Each message once, in its place; a nonce that is no news is none."""
        plain = proofs_of().dialling(hello(1), 2)
        fresh = self.proofs.dialling(hello(1), 2)
        for dialler, challenge in (
            (plain, self.challenge),
            (self.dialler, self.challenge),
            (fresh, Challenge(b"")),
            (fresh, Challenge(fresh.hello.nonce)),
        ):
            self.assertRaises(CodecError, dialler.challenged, challenge)
        self.assertRaises(CodecError, fresh.proof_received, self.proof)
        self.dialler.proof_received(self.proof)
        self.assertRaises(CodecError, self.dialler.proof_received, self.proof)

    def test_nonces_are_fresh(self) -> None:
        """Of every handshake, at both ends."""
        dialled = [self.listen(self.dialler.hello)[1].nonce for _ in range(50)]
        dialling = [self.proofs.dialling(hello(1), 2).hello.nonce for _ in range(50)]
        self.assertEqual(len({*dialled, *dialling}), 100)
        self.assertEqual({len(nonce) for nonce in dialled + dialling}, {NONCE_BYTES})


class Unsaid(SynchronousTestCase):
    def test_secrets_are_not_shown(self) -> None:
        """A secret in a log or a traceback is a secret no more."""
        secrets = PeerSecrets((OLD, NEW))
        shown = f"{secrets!r} {secrets} {proofs_of(OLD).secrets!r} {DiallersProof(secrets, hello(1), 2)!r}"
        self.assertNotIn("secret of the cluster", shown)
