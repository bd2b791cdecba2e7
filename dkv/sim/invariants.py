"""The invariants of the protocol, checked from outside at every message and every commit.

Each check looks at disks and at messages on their way, never at what an actor believes, and says in one English
sentence what is wrong. docs/known-bugs.md explains I1 to I12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv import noted
from dkv.actor import ACCEPTOR, CATCHUP, LEARNER, PROPOSER, Address, Note
from dkv.ballot import ZERO, Ballot
from dkv.client_events import BatchApplied, Passed, Read, ReadResults, Survey
from dkv.host.layers import Layers
from dkv.keys import (
    APPLIED_KEYS,
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    DIGEST,
    GENERATION,
    PROMISE,
    RECORD,
    SUMMED,
    record_key,
    slot_of,
    unpack_number,
)
from dkv.kv.sessions import Bounds
from dkv.messages import (
    Accept,
    Accepted,
    AcceptedSlot,
    Barrier,
    BarrierRequest,
    ChosenMark,
    Confirm,
    Confirmed,
    Prepare,
    Promise,
    PromiseSlot,
)
from dkv.records import unpack_record
from dkv.sim.answer_rules import AnswerRules
from dkv.sim.batch_rules import BatchRules
from dkv.sim.chosen import Chosen
from dkv.sim.compaction_rules import CompactionRules
from dkv.sim.memory import MemoryStore
from dkv.sim.ondisk import OnDisk, ballot_of
from dkv.sim.phase1_rules import Phase1Rules
from dkv.sim.read_rules import ReadRules
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.slots import SlotRules
from dkv.sim.snapshot_rules import SnapshotRules
from dkv.state_messages import ChosenSlots, SnapshotChunk
from dkv.storage.store import Store


def applied_state(store: Store | Layers) -> dict[bytes, bytes]:
    """The state that the log has made on a node's disk, keys and values as stored."""
    return {key: value for prefix in sorted(SUMMED) for key, value in store.scan(prefix)}


class Invariants:
    """Hears of everything, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(
        self, members: tuple[int, ...], window_slots_max: int, bounds: Bounds, violated: Callable[[str], None]
    ) -> None:
        self.chosen = Chosen(members, bounds)
        self._violated = violated
        self._disks = {node: OnDisk() for node in members}
        self._wiped: set[int] = set()
        self._slots = SlotRules(self._disks, self._wiped, self.chosen, violated)
        self._phase1 = Phase1Rules(self._disks, self._wiped, self.chosen, window_slots_max, violated)
        self._compaction = CompactionRules(self._disks, self.chosen, violated)
        self._snapshots = SnapshotRules(self.chosen, violated)
        self._reads = ReadRules(self.chosen, violated)
        self._answers = AnswerRules(self.chosen, violated)
        self._batches = BatchRules(self.chosen, self._reads.acknowledged, violated)

    @property
    def acknowledged_through(self) -> int:
        """The highest slot that a client may know of: any request from now on comes after it."""
        return self._reads.acknowledged_through

    def may_vote(self, node: SimulatedNode) -> bool:
        """Whether its directory is known to be the node's: the log names it, or all first members have met it."""
        record = self.chosen.members.records.get(node.number)
        return node.members_seen() if record is None else record.incarnation == node.incarnation

    # --- disks ---

    def joined(self, node: int) -> None:
        """A node that is to become a member has an empty disk."""
        self._disks[node] = OnDisk()

    def wiped(self, node: int) -> None:
        """The node's disk was lost. Its votes still count, and it remembers none of them."""
        self._disks[node] = OnDisk()
        self._wiped.add(node)

    def set_back(self, node: SimulatedNode) -> None:
        """An older copy replaced the node's disk. Its votes still count, and it remembers those of the copy."""
        self._disks[node.number] = OnDisk.of(node.disk.log, node.disk.states.current)
        self._wiped.add(node.number)

    def durable(self, node: SimulatedNode, writes: dict[bytes, bytes | None]) -> None:
        """Check a whole commit that has just become durable."""
        disk = self._disks[node.number]
        # The bounds are those of the commit before: the order within one is not known.
        bounds = {slot_of(key): disk.bound(slot_of(key), node.classic) for key in writes if key[:1] == RECORD}
        for slot, bound in bounds.items():
            stored = writes[record_key(slot)]
            if stored is not None:
                self._check_record(node, disk, slot, stored, bound)
        if PROMISE in writes:
            promised = ballot_of(writes[PROMISE])
            if promised < disk.promised:
                self._violated(f"I1: the promise of node {node.number} fell from {disk.promised} to {promised}")
            disk.promised = promised
        if CHOSEN_THROUGH in writes:
            self._check_chosen_through(node.number, disk, unpack_number(writes[CHOSEN_THROUGH]))
        if GENERATION in writes and (node.up or COMPACTED in writes):  # or a crash kept it; else the disk is a new one
            state = node.disk.states.stores[unpack_number(writes[GENERATION])]
            through = unpack_number(state.get(APPLIED_THROUGH))
            self._check_applied_through(node, disk, through, state)
            self._check_digest(node, through, state.get(DIGEST))
            self._snapshots.switched(node, through, writes)
        if any(key[:1] in APPLIED_KEYS for key in writes):
            self._violated(f"I9: node {node.number} wrote state into its log")
        self._slots.durable(node.number, writes)
        self._compaction.durable(node, writes)
        for slot in bounds:
            if writes[record_key(slot)] is None:
                self._compaction.erased(node, slot)

    def state_durable(self, node: SimulatedNode, generation: int, writes: dict[bytes, bytes | None]) -> None:
        """Check a write-back that has just become durable."""
        if generation > node.disk.states.in_force:  # Nobody counts on it before it is in force.
            self._snapshots.written(node, generation, writes)
        if generation != node.disk.states.in_force:  # Nor on one whose place a snapshot has taken.
            return
        if APPLIED_THROUGH in writes:
            disk = self._disks[node.number]
            self._check_applied_through(node, disk, unpack_number(writes[APPLIED_THROUGH]), node.disk.states.current)
            self._check_digest(node, disk.applied_through, writes.get(DIGEST))
            if disk.applied_through > disk.compacted_through and disk.applied_through not in disk.records:
                self._violated(f"I9: the state of node {node.number} is ahead of its log")
        else:
            self._violated(f"I9: node {node.number} wrote state without the slot that it amounts to")

    def _check_record(self, life: SimulatedNode, disk: OnDisk, slot: int, stored: bytes, bound: Ballot) -> None:
        node = life.number
        record, held = unpack_record(stored), disk.records.get(slot)
        disk.records[slot] = record
        if record.ballot == ZERO and not record.chosen:
            self._violated(f"I7: node {node} stored a value for slot {slot} that was neither accepted nor chosen")
        if held is not None and record.ballot < held.ballot:
            self._violated(f"I1: node {node} lowered the ballot of slot {slot} from {held.ballot} to {record.ballot}")
        if held is not None and held.chosen and (not record.chosen or record.value != held.value):
            self._violated(f"I8: node {node} changed the chosen value of slot {slot}")
        elif held is not None and held.ballot == record.ballot and held.value != record.value and not record.chosen:
            self._violated(f"I3: node {node} changed the value of slot {slot} that it had accepted in {record.ballot}")
        voted = record.ballot != ZERO and (held is None or record.ballot > held.ballot)
        if voted and record.ballot < bound:
            self._violated(f"I1: node {node} accepted slot {slot} in {record.ballot} after it promised {bound}")
        # A learned value has the ballot of a vote, which may have been for another value.
        if voted and (not record.chosen or self.chosen.proposal(slot, record.ballot) == record.value):
            self._complain(self.chosen.voted(node, slot, record.ballot, record.value))
            if life.classic:
                disk.slot_ballot = max(disk.slot_ballot, record.ballot)
            else:
                disk.voted = max(disk.voted, record.ballot)
        if record.chosen and self.chosen.values.get(slot) != record.value:
            self._violated(f"I7: node {node} stored slot {slot} as chosen with a value that no majority holds")

    def _check_chosen_through(self, node: int, disk: OnDisk, through: int) -> None:
        if through < disk.chosen_through:
            self._violated(f"I8: chosen_through of node {node} fell from {disk.chosen_through} to {through}")
        for slot in range(max(disk.chosen_through, disk.compacted_through) + 1, through + 1):
            record, chosen = disk.records.get(slot), self.chosen.values.get(slot)
            if record is None or record.value != chosen:
                what = "nothing" if record is None else "another value"
                self._violated(f"I7: node {node} counts slot {slot} as chosen and holds {what} for it")
        disk.chosen_through = through

    def _check_applied_through(self, node: SimulatedNode, disk: OnDisk, through: int, state: MemoryStore) -> None:
        if through < disk.applied_through:
            self._violated(f"I8: applied_through of node {node.number} fell from {disk.applied_through} to {through}")
        disk.applied_through = through
        if through > self.chosen.through:
            self._violated(f"I8: node {node.number} applied slot {through}, which is not chosen")
            return
        self._check_state(node, through, state)

    def _check_digest(self, node: SimulatedNode, through: int, digest: bytes | None) -> None:
        """``applied_through`` and the digest are stored together (I9)."""
        if through <= self.chosen.through and digest != self.chosen.digests[through] and not node.damaged:
            self._violated(f"I9: node {node.number} stored slot {through} as applied, with the digest of another log")

    def started(self, node: SimulatedNode) -> None:
        """A life begins on a disk that holds what its marks say."""
        applied = unpack_number(node.disk.states.current.get(APPLIED_THROUGH))
        if applied > self.chosen.through:
            self._violated(f"I8: node {node.number} begins with slot {applied} applied, which is not chosen")
        else:
            self._check_state(node, applied, node.disk.states.current)

    def _check_state(self, node: SimulatedNode, through: int, state: MemoryStore) -> None:
        """The state on disk is the one that applying every slot up to ``through`` makes, no more and no less (I9)."""
        if node.damaged:
            return  # Reading a flipped byte is an error, and the node has to notice it by itself.
        held = applied_state(state)
        expected = self.chosen.reference.state_at(through)
        if held != expected:
            keys = sorted(key for key in held.keys() | expected.keys() if held.get(key) != expected.get(key))
            first = keys[0]
            self._violated(
                f"I9: node {node.number} has applied slot {through} and holds {held.get(first)!r} for key {first!r}"
                f" where {expected.get(first)!r} follows from the log"
            )

    # --- what a node says of itself ---

    def noted(self, node: SimulatedNode, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""
        if event is noted.surveyed:
            self._answers.surveyed(node, **fields)

    # --- messages leaving a node ---

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """Check a message to another node before it leaves."""
        self._compaction.sending(node, message)
        match message:
            case Promise() | Accepted() | AcceptedSlot() if node.number in self._wiped:
                self._violated(f"node {node.number} voted though its disk was lost: it may have voted before")
            case Promise() | Accepted() | PromiseSlot() | AcceptedSlot() if not self.may_vote(node):
                self._violated(f"B12: node {node.number} voted before it had met every other member, or was named")
            case SnapshotChunk():
                self._snapshots.sending(node, message)
            case Accept():
                self._accept(message)
            case ChosenMark():
                self._mark(message)
            case Prepare():
                self._phase1.prepare(node, to, message)
            case Confirmed():
                promised = self._disks[node.number].bound(0, False)
                if promised > message.ballot:
                    self._violated(
                        f"I11: node {node.number} confirmed ballot {message.ballot} though it had promised {promised}"
                    )
            case BarrierRequest():
                self._reads.asked(node.number, message)
            case Confirm():
                self._reads.round_begun(message)
            case Barrier():
                self._reads.answered(node.number, to.node, message)
            case _:
                self._slots.sending(node, to, message)

    # --- messages about to be handled ---

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """Check a message that an actor is about to handle, from its own node or another.

        Messages of a node to itself harm nobody once it was set back, except replies to its clients.
        """
        if node.number in self._wiped and sender.node == node.number and not isinstance(message, BatchApplied):
            return
        match message:
            case Promise():
                self._phase1.promise(sender, message)
            case Accepted() | AcceptedSlot():
                self._check_accepted(sender, message)
            case ChosenSlots() if role in (LEARNER, CATCHUP):
                self._check_chosen_slots(node.number, role, message)
            case BatchApplied():
                self._batches.applied(node, message)
            case Read() if role == LEARNER:
                self._answers.asked(node, message)
            case ReadResults():
                self._answers.told(node, message)
            case Survey():
                self._answers.survey_begins(node, message)
            case Passed():
                self._batches.passed(node, message)
            case BarrierRequest() if role == PROPOSER:
                if sender.node == node.number:
                    self._reads.asked(node.number, message)
                self._reads.arrived(node.number, sender, message)
            case Confirm() if sender.node == node.number:
                self._reads.round_begun(message)
            case Confirmed() if role == PROPOSER:
                self._reads.confirmed(sender, message)
            case Barrier() if message.boot == node.boot:  # A message for an earlier life is ignored.
                if sender.node == node.number:
                    self._reads.answered(node.number, node.number, message)
                self._reads.served(node.number, message)
            case Prepare() if role == ACCEPTOR and sender.node == node.number:
                self._phase1.prepare(node, Address(node.number, ACCEPTOR), message)
            case Accept() if sender.node == node.number:
                self._accept(message)
            case ChosenMark() if sender.node == node.number and role == ACCEPTOR:
                self._reads.counted(message.ballot, message.chosen_through)
            case _:
                self._slots.delivered(node, role, sender, message)

    def _accept(self, message: Accept) -> None:
        """A leader proposes, and shows how far it has counted."""
        self._phase1.accept(message)
        self._reads.counted(message.ballot, message.chosen_through)

    def _mark(self, message: ChosenMark) -> None:
        self._phase1.mark(message.ballot, message.chosen_through)
        self._reads.counted(message.ballot, message.chosen_through)

    def _check_accepted(self, sender: Address, message: Accepted | AcceptedSlot) -> None:
        slot, ballot, disk = message.slot, message.ballot, self._disks[sender.node]
        record, proposal = disk.records.get(slot), self.chosen.proposal(slot, ballot)
        if proposal is None:
            self._violated(f"I6: node {sender.node} accepted slot {slot} in ballot {ballot}, which did not propose it")
        elif sender.node not in self._wiped and not self.chosen.has_voted(sender.node, slot, ballot):
            settled = slot <= disk.settled_through or (record is not None and record.chosen)
            if not settled and (record is None or record.ballot < ballot):
                self._violated(
                    f"I2: the Accepted of node {sender.node} for slot {slot} in ballot {ballot}"
                    " was delivered before its commit"
                )
            else:  # A value known chosen, or accepted later in the same commit, is on the disk in its place.
                self._complain(self.chosen.voted(sender.node, slot, ballot, proposal))

    def _check_chosen_slots(self, node: int, role: str, message: ChosenSlots) -> None:
        for slot, value in enumerate(message.values, message.first_slot):
            chosen = self.chosen.values.get(slot)
            if chosen != value:
                why = "which is not chosen" if chosen is None else "with another value than the chosen one"
                self._violated(f"I7: the {role} of node {node} was told that slot {slot} is chosen, {why}")

    def _complain(self, complaint: str | None) -> None:
        if complaint is not None:
            self._violated(f"I3: {complaint}")
