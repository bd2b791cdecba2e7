"""The rules of phase 1 and of what a leader makes of it (I4 to I7), checked from outside, slot by slot.

A promise is valid for every slot, and each slot is decided by its own set. So an Accept for a slot needs promises of a
quorum of that set, of nodes whose reports tell of the slot, and its value must be what these reports ask for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dkv.actor import Address
from dkv.ballot import ZERO, Ballot
from dkv.messages import Accept, Prepare, Promise
from dkv.records import SlotRecord, Value
from dkv.sim.chosen import Chosen
from dkv.sim.ondisk import OnDisk
from dkv.sim.simulated_node import SimulatedNode

Strength = tuple[bool, Ballot]
"""How much a report says for a value: that it is chosen, or the ballot in which it was accepted."""

NOTHING: Strength = (False, ZERO)
"""The strength of a report without the slot."""


@dataclass(slots=True)
class _Report:
    """The report of one promise. Slots up to ``settled_through`` are not in it: they were chosen before."""

    settled_through: int
    chunks: set[int] = field(default_factory=set)
    records: dict[int, SlotRecord] = field(default_factory=dict)
    whole: bool = False

    def strength(self, slot: int) -> Strength:
        """What it says of a slot."""
        record = self.records.get(slot)
        return NOTHING if record is None else (record.chosen, record.ballot)


class _Campaign:
    """Facts about one ballot: the life that began it, the reports that it got, and what its leader has announced."""

    def __init__(self, boot: int) -> None:
        self.boot = boot
        self.announced = False
        """Whether another node has heard of the ballot."""
        self.from_slots: dict[int, int] = {}
        self.reports: defaultdict[int, dict[int, _Report]] = defaultdict(dict)
        """The reports that have come, by node and number."""
        self.may_announce = False
        self.announced_through = 0

    def whole(self) -> list[tuple[int, _Report]]:
        """The reports of which all chunks have come, with their nodes."""
        return [(node, each) for node, reports in self.reports.items() for each in reports.values() if each.whole]

    def promised(self) -> set[int]:
        """The nodes whose promises count."""
        return {node for node, _ in self.whole()}


class Phase1Rules:
    """Hears of phase 1 and of Accepts, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(
        self,
        disks: Mapping[int, OnDisk],
        wiped: set[int],
        chosen: Chosen,
        window_slots_max: int,
        violated: Callable[[str], None],
    ) -> None:
        self._disks = disks
        self._wiped = wiped
        self._chosen = chosen
        self._window_slots_max = window_slots_max
        self._violated = violated
        self._campaigns: dict[Ballot, _Campaign] = {}

    # --- messages leaving a node, or sent within one ---

    def prepare(self, node: SimulatedNode, to: Address, message: Prepare) -> None:
        """A life of a node asks for promises: the ballot is its own, and reserved on its disk (I5)."""
        ballot = message.ballot
        campaign = self._campaigns.get(ballot)
        if campaign is None or (campaign.boot != node.boot and not campaign.announced):
            # If a crash kept a ballot from being reserved, nobody else has heard of it.
            campaign = self._campaigns[ballot] = _Campaign(node.boot)
        if ballot.node != node.number or campaign.boot != node.boot:
            self._violated(f"I5: ballot {ballot} was used by two lives of a node, or by a node it does not belong to")
        campaign.from_slots[to.node] = max(message.from_slot, campaign.from_slots.get(to.node, 0))
        if to.node != node.number:
            campaign.announced = True
            if self._disks[node.number].promised < ballot:
                self._violated(f"I5: node {node.number} sent Prepare {ballot} before its own acceptor had promised it")

    def accept(self, message: Accept) -> None:
        """A leader proposes a value, perhaps not for the first time."""
        ballot, slot = message.ballot, message.slot
        campaign = self._campaigns.get(ballot)
        if campaign is None:
            self._violated(f"I6: an Accept for slot {slot} left in ballot {ballot}, which nobody has begun")
            return
        if self._chosen.proposal(slot, ballot) is None and not self._may_propose(campaign, message):
            return
        if slot > message.chosen_through + self._window_slots_max:
            self._violated(f"I6: ballot {ballot} proposed slot {slot}, beyond its window")
        complaint = self._chosen.proposed(slot, ballot, message.value)
        if complaint is not None:
            self._violated(f"I3: {complaint}")
        self.mark(ballot, message.chosen_through)

    def _may_propose(self, campaign: _Campaign, message: Accept) -> bool:
        """Whether promises allow the first Accept of a ballot for a slot, and its value (I6)."""
        ballot, slot = message.ballot, message.slot
        config = self._chosen.config(slot)
        if config is None:
            self._violated(f"I6: ballot {ballot} proposed slot {slot}, and the log does not say yet who decides it")
            return False
        reports = campaign.whole()
        if not config.decides({node for node, _ in reports}):
            self._violated(f"I6: an Accept for slot {slot} left in ballot {ballot}, which no quorum has promised")
            return False
        if not config.decides({node for node, each in reports if each.settled_through < slot}):
            self._violated(f"I6: ballot {ballot} proposed slot {slot}, chosen before it began")
            return False
        # A value known to be chosen is right, whoever reported what.
        strongest = _strongest(reports, slot, message.value)
        heard = {node for node, each in reports if each.settled_through < slot and each.strength(slot) <= strongest}
        if not config.decides(heard) and self._chosen.values.get(slot) != message.value:
            self._violated(f"I6: ballot {ballot} proposed another value for slot {slot} than was reported to it")
            return False
        return True

    def mark(self, ballot: Ballot, through: int) -> None:
        """A leader announces only slots that were chosen before it began, or that it counted in its ballot (B25)."""
        campaign = self._campaigns.get(ballot)
        if campaign is None or not (campaign.may_announce or self._is_complete(campaign, through)):
            self._violated(f"I6: ballot {ballot} announced chosen slots before a quorum promised it")
            return
        for slot in range(campaign.announced_through + 1, through + 1):
            if not self._chosen.counted(slot, ballot) and self._chosen.proposal(slot, ballot) is not None:
                self._violated(f"I7: the leader of ballot {ballot} announced slot {slot} before a majority held it")
            elif slot not in self._chosen.values:
                self._violated(f"I7: the leader of ballot {ballot} announced slot {slot}, which is not chosen")
        campaign.announced_through = max(campaign.announced_through, through)

    # --- messages about to be handled ---

    def promise(self, sender: Address, message: Promise) -> None:
        """A Promise is at the proposer."""
        campaign = self._campaigns.get(message.ballot)
        if campaign is None:
            self._violated(f"I6: a Promise for ballot {message.ballot}, which nobody has begun")
            return
        # A vote that was on its way when a disk was lost had been on that disk.
        if self._disks[sender.node].promised < message.ballot and sender.node not in self._wiped:
            self._violated(f"I2: the Promise {message.ballot} of node {sender.node} was delivered before its commit")
        settled = max(message.chosen_through, message.compacted_through)
        report = campaign.reports[sender.node].setdefault(message.report, _Report(settled))
        report.chunks.add(message.chunk)
        report.records.update(message.records)
        if len(report.chunks) == message.chunks:
            report.whole = True
            self._check_report(sender.node, campaign, report, message)
            campaign.may_announce = campaign.may_announce or self._is_complete(campaign)

    def _check_report(self, node: int, campaign: _Campaign, report: _Report, message: Promise) -> None:
        """A report is whole: it has everything that was accepted before and may be chosen (I4)."""
        first = max(message.chosen_through + 1, campaign.from_slots.get(node, 0))
        for slot, record in self._disks[node].records.items():
            if slot >= first and record.ballot < message.ballot and not record.chosen and slot not in report.records:
                self._violated(f"I4: the Promise {message.ballot} of node {node} does not report slot {slot}")

    def _is_complete(self, campaign: _Campaign, announced: int = 0) -> bool:
        """Whether a quorum has promised of a set that decides the first slot behind what somebody knew to be chosen.

        The leader may know more than was reported to it: it shows that by what it has ``announced``.
        """
        promised = campaign.promised()
        settled = {each.settled_through for _, each in campaign.whole()} | ({announced} if announced else set())
        configs = [self._chosen.config(through + 1) for through in settled]
        return any(config is not None and config.decides(promised) for config in configs)


def _strongest(reports: list[tuple[int, _Report]], slot: int, value: Value) -> Strength:
    """What the reports say for ``value`` at most."""
    said = [each.strength(slot) for _, each in reports if slot in each.records and each.records[slot].value == value]
    return max(said, default=NOTHING)
