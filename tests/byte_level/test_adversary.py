"""The peer secret against somebody on the network who records, replays, reflects, relays and cuts, byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.net import peer_proof
from dkv.net.inbound import Inbound
from dkv.net.mesh import Mesh
from dkv.net.outbound import Outbound
from dkv.net.peer_proof import NONCE_BYTES, DialledProof, DiallersProof, PeerSecrets
from dkv.wire.codec import Challenge, Hello, PeerProof, RefusedForGood, Removed
from tests.byte_level.adversary import Adversary
from tests.byte_level.members import Meeting

SEEDS = 20
FIND_SEEDS = 60


def attacked(seed: int) -> Meeting:
    """Some seconds among three nodes that have a secret, one of them impersonated now and then if ``seed`` is odd."""
    meeting = Meeting(3, seed, secret=True)
    try:
        meeting.net.run(2.0)
        assert meeting.all_well()
        before = meeting.what_is_known()
        adversary = Adversary(meeting, dials_only=seed % 2 == 0)
        meeting.net.run(6.0)
        adversary.rest()
        if seed % 2 == 0:
            assert meeting.what_is_known() == before, "a connection of two nodes was lost to him"
        assert adversary.attempts > 50, adversary.attempts
        meeting.settle()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return meeting


class Attacks(SynchronousTestCase):
    def test_he_is_nobody(self) -> None:
        """Without the secret nobody is heard, believed or obeyed, and no node loses another to him."""
        refused = 0
        for seed in range(SEEDS):
            for member in attacked(seed).members.values():
                refused += len(member.inbox.lines("peer_refused"))
        self.assertGreater(refused, SEEDS, "he did get as far as a proof")


class PlantedBugs(SynchronousTestCase):
    """Each rule of the handshake, left out: these storms must find that, or they prove little."""

    def assert_found(self, owner: Any, name: str, bug: Any) -> None:
        """With ``bug`` in place of ``owner``'s part ``name``, something forbidden happens."""
        self.patch(owner, name, bug)
        for seed in range(FIND_SEEDS):
            try:
                attacked(seed)
            except AssertionError as error:
                self.assertIsInstance(error.__cause__, AssertionError, "the bug itself is broken")
                return
        self.fail(f"{name} is broken, and {FIND_SEEDS} seeds do not notice")

    def test_the_proof_is_not_looked_at(self) -> None:
        self.assert_found(PeerSecrets, "used_for", lambda secrets, mac, statement: secrets.own)

    def test_the_dialled_node_uses_a_nonce_again(self) -> None:
        def challenge(proof: DialledProof) -> Challenge:
            proof._challenge = b"n" * NONCE_BYTES
            return Challenge(proof._challenge)

        self.assert_found(DialledProof, "challenge", challenge)

    def test_the_dialler_uses_a_nonce_again(self) -> None:
        """And with it, a recorded answer fits if the Challenge is a recorded one, too."""

        def dialling(proofs: Any, me: Hello, target: int) -> DiallersProof:
            hello = replace(me, nonce=b"n" * NONCE_BYTES)
            return DiallersProof(proofs.secrets, hello, target)

        self.assert_found(peer_proof.PeerProofs, "dialling", dialling)

    def test_both_roles_prove_the_same(self) -> None:
        statement = peer_proof._statement

        def without_a_role(role: bytes, target: int, challenge: bytes, dialler: Hello, dialled: Any = None) -> bytes:
            return statement(b"", target, challenge, dialler)

        self.assert_found(peer_proof, "_statement", without_a_role)

    def test_a_proof_for_another_node_is_taken(self) -> None:
        answer: Callable[[DialledProof, PeerProof], PeerProof | str] = DialledProof.answer

        def taken(proof: DialledProof, shown: PeerProof) -> PeerProof | str:
            me = proof._me
            proof._me = replace(me, node=shown.target)
            try:
                return answer(proof, shown)
            finally:
                proof._me = me

        self.assert_found(DialledProof, "answer", taken)

    def test_who_proves_nothing_is_let_in(self) -> None:
        self.assert_found(PeerSecrets, "required", False)

    def test_who_challenges_need_not_prove(self) -> None:
        """As a node would have it that minds only whether it is asked."""
        self.assert_found(DiallersProof, "doubt", lambda proof, dialled: None)

    def test_a_stranger_is_remembered_before_its_proof(self) -> None:
        received = Inbound._hello_received

        def met(link: Any, hello: Hello) -> None:
            mesh: Mesh = link._mesh
            if mesh.objection(hello) is None:
                mesh._meet(hello)
            received(link, hello)

        self.assert_found(Inbound, "_hello_received", met)

    def test_orders_need_no_proof(self) -> None:
        """To fence a directory, or to call a node removed, is what the least harmless stranger would like most."""

        def obeyed(link: Outbound, message: Any) -> None:
            link.told_refused(message)
            if isinstance(message, RefusedForGood):
                link._mesh.refused_for_good(link, message)
            elif isinstance(message, Removed):
                link._mesh.told_removed(link, message)

        self.assert_found(Outbound, "_refused", obeyed)
