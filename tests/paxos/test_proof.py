"""The proof that a node can serve: of one moment at a time, by answers to what was said then or later."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.paxos.proof import Proof


class ProofTests(SynchronousTestCase):
    def test_b41_of_the_moment_of_the_question(self) -> None:
        """Ready from the moment that is proved, not from that of the answer: the node may be cut off since (B41)."""
        proof = Proof()
        self.assertFalse(proof.answered_by(0))
        self.assertTrue(proof.ask(5, 100.0))
        self.assertFalse(proof.ask(6, 101.0), "one at a time: on a slow network no proof would ever end otherwise")
        self.assertEqual([proof.answered_by(number) for number in (0, 4, 5, 6)], [False, False, True, True])
        self.assertEqual((proof.take(), proof.under_way, proof.answered_by(6)), (100.0, False, False))

    def test_another_leader(self) -> None:
        """What was asked of one leader is answered by no other."""
        proof = Proof()
        proof.ask(5, 100.0)
        proof.drop()
        self.assertFalse(proof.answered_by(9))
        self.assertTrue(proof.ask(1, 102.0))
