"""The learner tells its node who decides which slots: when the log has changed that, and when it takes force."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, GATEWAY, LEARNER, PROPOSER, RECEIVER, Address
from dkv.ballot import Ballot
from dkv.client_events import BatchApplied, Passed
from dkv.configurations import ALPHA, Configurations, first_configurations
from dkv.events import AppliedElsewhere, Install, MembersAre, Origins, ReportOrigins
from dkv.identity import Identity
from dkv.keys import (
    APPLIED_THROUGH,
    BATCH_MARK,
    COMPACTED,
    CONFIGURATIONS,
    DIGEST,
    pack_compacted,
    pack_number,
)
from dkv.kv.codes import MEMBERS, PUT
from dkv.kv.machine import Machine
from dkv.kv.membership import ADD, NAME, REMOVE
from dkv.paxos.learner import TOLD_OF_MEMBERS, Learner
from dkv.records import NOOP, Batch, Entry, Value
from dkv.replies import Simple
from dkv.settings import Limits, Timings
from dkv.state_messages import AppliedDigest, ChosenSlots
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn, inject

ME = Identity("blue", 1, 0xB1, 3)
FIRST = first_configurations((1, 2, 3))
NAMED: list[Any] = [[NAME, node, 0xA0 + node] for node in (1, 2, 3)]
CHANGE: list[Any] = [MEMBERS, 0, *NAMED, [ADD, 4, 0xA4, b"", b""], [REMOVE, 3]]


def batch(seq: int, *entries: Entry, node: int = 2, boot: int = 1) -> Value:
    """A value of one batch."""
    return Value((Batch(node, 0xB0 + node, boot, seq, encode_entries(list(entries))),))


class OneLearner(SynchronousTestCase):
    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.slot = 0
        self.begin()
        self.chosen()

    def begin(self) -> list[tuple[Address, Any]]:
        """A life on what is stored; what it says first."""
        self.learner = Learner(ME, Limits(), Timings(), Machine(decode_entries, FIRST))
        self.turn.take()
        self.learner.start(self.turn)
        return self.turn.take()

    def give(self, message: Any, role: str = ACCEPTOR) -> list[tuple[Address, Any]]:
        """Inject; what it sends."""
        self.turn.take()
        return inject(self.learner, self.turn, Address(1, role), message)

    def chosen(self, *values: Value) -> list[tuple[Address, Any]]:
        """The next slots are chosen; what the learner sends."""
        first = self.slot + 1
        self.slot += len(values)
        return self.give(ChosenSlots(first, values, self.slot))

    def told(self, sent: list[tuple[Address, Any]]) -> list[MembersAre]:
        """What it told of members, each time all actors that care."""
        found = [(to.role, message) for to, message in sent if type(message) is MembersAre]
        messages = [message for role, message in found if role == GATEWAY]
        self.assertEqual(found, [(role, message) for message in messages for role in TOLD_OF_MEMBERS])
        return messages

    @property
    def stored(self) -> Configurations:
        """The sets that it has come to."""
        machine: Any = self.learner._machine
        held: Configurations = machine.configurations
        return held


class TellTests(OneLearner):
    def test_nothing_to_tell(self) -> None:
        """Actors are made with the first members: as long as these are all, nothing more is said."""
        self.assertEqual(self.told(self.begin()), [])
        self.assertEqual(self.told(self.chosen(batch(1, [PUT, b"k", b"v"]), NOOP)), [])

    def test_a_change(self) -> None:
        """Told at its entry, and when it takes force: before that the next slots are still decided by the old set."""
        self.assertEqual(self.told(self.chosen(NOOP, batch(1, CHANGE), NOOP)), [MembersAre(self.stored, 2)])
        self.assertEqual(self.turn.noted()[-1], "members_changed")
        self.assertEqual(self.told(self.chosen(*[NOOP] * (ALPHA - 3))), [])
        self.assertEqual(self.slot, ALPHA)
        (in_force,) = self.told(self.chosen(NOOP, NOOP))
        self.assertEqual(in_force, MembersAre(self.stored, 2 + ALPHA - 1))
        self.assertEqual(in_force.configurations.in_force(in_force.applied).members, {1, 2, 4})
        self.assertEqual(self.told(self.chosen(*[NOOP] * 3)), [])

    def test_a_change_that_is_refused(self) -> None:
        """Nothing has changed, and nobody is told."""
        self.assertEqual(self.told(self.chosen(batch(1, [MEMBERS, 7, [REMOVE, 3]]))), [])

    def test_at_start(self) -> None:
        """A restarted node knows a pending set, and tells of its force in time."""
        self.chosen(NOOP, batch(1, CHANGE))
        self.turn.stored[COMPACTED] = pack_compacted(2, self.turn.load(DIGEST) or b"")
        made = self.stored
        self.assertEqual(self.told(self.begin()), [MembersAre(made, 2)])
        self.assertEqual(self.told(self.chosen(*[NOOP] * ALPHA)), [MembersAre(made, 1 + ALPHA)])

    def test_behind_results(self) -> None:
        """The gateway concludes that no earlier slot has a result that it has not heard of."""
        sent = self.chosen(batch(1, CHANGE, node=1, boot=3))
        self.assertEqual(sent[0], (Address(1, GATEWAY), BatchApplied(1, [Simple("OK 1")])))
        self.assertEqual(len(self.told(sent)), 1)

    def test_before_origins(self) -> None:
        """A proposer that begins to lead knows the sets of all slots that are applied."""
        self.give(ReportOrigins(Ballot(1, 1), 2), PROPOSER)
        sent = [type(message) for to, message in self.chosen(NOOP, batch(1, CHANGE)) if to.role == PROPOSER]
        self.assertEqual(sent, [MembersAre, Origins])

    def test_what_a_peer_has_applied(self) -> None:
        """A change may leave only nodes that know it and decide nothing: no leader says how far the log is then."""

        def heard(node: int, through: int) -> list[tuple[Address, Any]]:
            self.turn.take()
            return inject(self.learner, self.turn, Address(node, LEARNER), AppliedDigest(through, bytes(16)))

        self.assertEqual(heard(2, 9), [], "a leader says it, as long as members have never changed")
        self.chosen(batch(1, CHANGE))
        self.assertEqual(heard(3, 9), [(Address(1, ACCEPTOR), AppliedElsewhere(9, 3))])
        self.assertEqual(heard(9, 9), [(Address(1, ACCEPTOR), AppliedElsewhere(9, 9))], "a member by later slots")
        self.chosen(*[NOOP] * ALPHA)
        self.assertEqual(heard(3, 99), [], "one that was removed")
        self.assertEqual(heard(2, 1), [], "all of that is applied here")

    def test_digests(self) -> None:
        """Digests go to those who are members now: a new one is checked like all others."""
        self.chosen(batch(1, CHANGE), *[NOOP] * ALPHA)
        self.give(ChosenSlots(self.slot + 1, (NOOP,), self.slot + 1))
        timers = self.learner
        self.turn.take()
        timers._digests.tell_all(self.turn)
        told = [to for to, message in self.turn.take() if type(message) is AppliedDigest]
        self.assertEqual(told, [Address(2, LEARNER), Address(4, LEARNER)])


class InstallTests(OneLearner):
    def install(self, through: int, pairs: dict[bytes, bytes]) -> list[tuple[Address, Any]]:
        """Another node's state after slot ``through`` is put in force."""
        generation = self.turn.states.begin()
        self.turn.states.write(generation, pairs | {APPLIED_THROUGH: pack_number(through), DIGEST: bytes(16)})
        return self.give(Install(generation, through), RECEIVER)

    def test_in_force(self) -> None:
        """A snapshot has the sets that are pending (its donor's slots are decided by them), and they are told."""
        donor = FakeTurn()
        machine = Machine(decode_entries, FIRST)
        machine.begin_slot(donor, 5, 0)
        machine.apply(donor, batch(1, CHANGE).batches[0], False)
        sent = self.install(6, {CONFIGURATIONS: donor.load(CONFIGURATIONS) or b""})
        self.assertEqual(self.told(sent), [MembersAre(machine.configurations, 6)])
        self.slot = 6
        self.assertEqual(self.told(self.chosen(*[NOOP] * ALPHA)), [MembersAre(machine.configurations, 5 + ALPHA - 1)])

    def test_behind_own_batches(self) -> None:
        """The gateway hears of its batches in the snapshot before it concludes that others had no effect."""
        donor = FakeTurn()
        machine = Machine(decode_entries, FIRST)
        for slot, value in ((4, batch(1, [PUT, b"k", b"v"], node=1, boot=3)), (5, batch(1, CHANGE))):
            machine.begin_slot(donor, slot, value.time)
            machine.apply(donor, value.batches[0], False)
        pairs = {key: value for key, value in donor.staged.items() if value and key[:1] in (CONFIGURATIONS, BATCH_MARK)}
        sent = [type(message) for to, message in self.install(6, pairs) if to.role == GATEWAY]
        self.assertEqual(sent, [Passed, MembersAre])
