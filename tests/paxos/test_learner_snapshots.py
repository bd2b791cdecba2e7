"""The learner puts a received snapshot in force: as a whole, from scratch, and only if it is ahead."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, CHECKER, ELECTOR, GATEWAY, PROPOSER, RECEIVER, SURVEYOR, Address
from dkv.ballot import Ballot
from dkv.client_events import BatchApplied, Passed, Read, ReadResults, Replayed
from dkv.configurations import first_configurations
from dkv.events import (
    Compacted,
    Install,
    Installed,
    Origins,
    Outdated,
    ReportOrigins,
    WrittenBack,
)
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, COMPACTED, DIGEST, pack_compacted, pack_number
from dkv.kv.codes import APPEND, GET, IDMP, IDMP_NEW, PUT
from dkv.kv.machine import Machine
from dkv.paxos.learner import Learner
from dkv.records import NO_DIGEST, Batch, Entry, Value, digest_after
from dkv.replies import OK, Result
from dkv.settings import Limits, Timings
from dkv.state_messages import AppliedDigest, ChosenSlots, ReadChosen
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn, inject

ME = Identity("blue", 1, 0xB1, 3)
FIRST = first_configurations((1, 2, 3))


def batch(seq: int, *entries: Entry, node: int = 2, boot: int = 1) -> Value:
    """A value of one batch."""
    return Value((Batch(node, 0xB0 + node, boot, seq, encode_entries(list(entries))),))


def put(seq: int, key: str, value: str, node: int = 2, boot: int = 1) -> Value:
    """A value of one write."""
    return batch(seq, [PUT, key.encode(), value.encode()], node=node, boot=boot)


LOG: list[Value] = [
    put(1, "a", "1"),
    put(1, "mine", "1", node=1, boot=3),
    batch(2, [IDMP, b"p", 1, [APPEND, b"b", b"x", 99]]),
    batch(2, [IDMP_NEW], node=1, boot=3),
    put(3, "a", "2"),
    put(4, "c", "4"),
]
"""Slots 1 to 6. Those with node 1 and boot 3 are the node's own batches."""


class Node:
    """A learner with the real state machine, of the node that ``identity`` names."""

    def __init__(self, identity: Identity, replays: bool = False) -> None:
        self.node = identity.node
        self.turn = FakeTurn()
        self.learner = Learner(identity, Limits(), Timings(), Machine(decode_entries, FIRST))
        self.learner.start(self.turn)
        if not replays:
            self.give(ChosenSlots(1, (), 0))

    def give(self, message: Any, role: str = ACCEPTOR) -> list[tuple[str, Any]]:
        """Inject; (role, message) of what it sends within its node."""
        self.turn.take()
        sent = inject(self.learner, self.turn, Address(self.node, role), message)
        return [(to.role, message) for to, message in sent]

    def apply(self, first: int, last: int) -> list[tuple[str, Any]]:
        """Slots of the log are chosen."""
        return self.give(ChosenSlots(first, tuple(LOG[first - 1 : last]), last))

    def value(self, key: str) -> Result:
        """What a read of the key brings."""
        ((_, results),) = self.give(Read(9, 0, [[GET, key.encode()]]), GATEWAY)
        result: Result = results.results[0]
        return result

    def receive(self, donor: Node) -> int:
        """Write the state of another node into a new generation."""
        generation = self.turn.states.begin()
        self.turn.states.write(generation, dict(donor.turn.states.view().read(b"", 1 << 20)))
        return generation


class InstallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node, self.donor = Node(ME), Node(Identity("blue", 2, 0xB2, 1))

    def install(self, through: int) -> list[tuple[str, Any]]:
        """The donor has applied so much, and its state is received and put in force."""
        self.donor.apply(1, through)
        return self.node.give(Install(self.node.receive(self.donor), through), RECEIVER)

    def test_in_force(self) -> None:
        """The switch and the mark that the log begins behind it are in one commit, and nobody hears of it before."""
        self.node.apply(1, 1)
        sent = self.install(5)
        self.assertEqual(self.node.turn.states.installed, [2])
        digest = NO_DIGEST
        for value in LOG[:5]:
            digest = digest_after(digest, value)
        self.assertEqual(self.node.turn.persisted, {COMPACTED: pack_compacted(5, digest)})
        self.assertEqual(
            sent,
            [
                (ACCEPTOR, Compacted(5)),
                (RECEIVER, Installed(5)),
                (CHECKER, Installed(5)),
                (SURVEYOR, Installed(5)),
                (GATEWAY, Passed(2)),
                (ACCEPTOR, ReadChosen(6)),
            ],
        )
        self.assertEqual(self.node.turn.early, [], "all of it waits for the commit")
        self.assertEqual(self.node.turn.noted()[-1], "snapshot_installed")

    def test_b22_all_of_the_state(self) -> None:
        """Values, tokens, the last batch of each origin, the digest: the next slots come to the same on both nodes."""
        self.node.apply(1, 1)
        self.install(5)
        repeat = batch(4, [IDMP, b"p", 1, [APPEND, b"b", b"x", 99]], [IDMP_NEW])
        again, following = LOG[4], LOG[5]
        for each in (self.node, self.donor):
            each.give(ChosenSlots(6, (again, repeat, following), 8))
        held = dict(self.node.turn.stored)
        del held[COMPACTED]
        self.assertEqual(held, self.donor.turn.stored)
        self.assertEqual(self.node.value("b"), b"x")

    def test_from_scratch(self) -> None:
        """What memory knew of the old state is of another one: a producer or a mark of it must not live on."""
        self.node.apply(1, 1)
        self.node.give(ChosenSlots(2, (batch(2, [IDMP, b"q", 1, [PUT, b"q", b"q"]]),), 2))  # of another log
        self.install(5)
        marks = [message.marks for _, message in self.node.give(ReportOrigins(Ballot(4, 1), 5), PROPOSER)]
        self.assertEqual(marks, [((1, 0xB1, 3, 2), (2, 0xB2, 1, 3))])
        self.node.give(ChosenSlots(6, (batch(4, [IDMP, b"q", 1, [PUT, b"q", b"new"]]),), 6))
        self.assertEqual(self.node.value("q"), b"new")

    def test_not_ahead(self) -> None:
        """A state from before what is applied would take back what clients were told."""
        self.node.apply(1, 5)
        for through in (4, 5):
            self.assertEqual(self.install(through), [(RECEIVER, Outdated())])
        self.assertEqual((self.node.turn.states.installed, self.node.turn.states.abandoned), ([], [2, 3]))
        self.assertEqual(self.node.turn.persisted, {})

    def test_what_is_in_the_mailbox_still(self) -> None:
        """Slots that the snapshot stands for are applied already; one behind it is not to be missed."""
        self.node.apply(1, 1)
        self.install(5)
        self.assertEqual(self.node.apply(2, 4), [])
        self.assertEqual(self.node.turn.staged, {})
        self.node.apply(2, 6)
        self.assertEqual(self.node.turn.stored[APPLIED_THROUGH], pack_number(6))
        self.assertEqual(self.node.value("c"), b"4")

    def test_reads_that_wait(self) -> None:
        """Their barrier is passed: no slot that is still to come will serve them."""
        self.node.apply(1, 1)
        self.node.give(Read(1, 4, [[GET, b"a"]]), GATEWAY)
        self.node.give(Read(2, 6, [[GET, b"a"]]), GATEWAY)
        self.assertIn((GATEWAY, ReadResults(1, [b"2"], 5)), self.install(5))
        self.assertIn((GATEWAY, ReadResults(2, [b"2"], 6)), self.node.apply(6, 6))

    def test_origins_that_are_waited_for(self) -> None:
        """A proposer of this node takes no batch before it knows what is applied."""
        self.node.give(ReportOrigins(Ballot(4, 1), 4), PROPOSER)
        sent = dict(self.install(5))
        self.assertEqual(sent[PROPOSER], Origins(Ballot(4, 1), 5, ((1, 0xB1, 3, 2), (2, 0xB2, 1, 3))))

    def test_own_batches_of_another_life(self) -> None:
        """The gateway of this life has numbered none of them."""
        self.node = Node(Identity("blue", 1, 0xB1, 4))
        self.assertNotIn(GATEWAY, dict(self.install(5)))

    def test_own_batches_behind_it(self) -> None:
        """They take effect here, with results."""
        self.install(5)
        sent = self.node.give(ChosenSlots(6, (put(3, "mine", "3", node=1, boot=3),), 6))
        self.assertEqual([message for role, message in sent if role == GATEWAY], [BatchApplied(3, [OK])])

    def test_while_it_replays(self) -> None:
        """A node that was down for long serves as soon as its state is in force."""
        self.node = Node(ME, replays=True)
        self.install(5)
        self.assertEqual(self.node.give(ChosenSlots(6, (), 3)), [(role, Replayed(5)) for role in (GATEWAY, ELECTOR)])

    def test_digests(self) -> None:
        """It is compared with its peers as before, from the snapshot's slot on."""
        self.install(5)
        right = self.donor.turn.stored[DIGEST]
        self.assertEqual(self.node.give(AppliedDigest(5, right)), [])
        self.assertNotIn("digest_differs", self.node.turn.noted())
        self.node.give(AppliedDigest(5, bytes(16)))
        self.assertIn("digest_differs", self.node.turn.noted())

    def test_a_word_of_the_old_state(self) -> None:
        """What was written back of it says nothing about this one."""
        self.node.apply(1, 3)
        self.install(5)
        self.assertEqual(self.node.give(WrittenBack(3)), [])
