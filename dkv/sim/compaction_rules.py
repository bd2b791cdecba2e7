"""The rules of compaction (I12), checked from outside.

A node erases records only up to its mark, which is on disk before; the state on disk amounts to all slots up to the
mark; and nobody is told that a compacted slot is empty, or that another value is chosen there than is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv.keys import COMPACTED, unpack_compacted
from dkv.messages import ChosenOtherwise, GiveWay, Promise, PromiseSlot
from dkv.sim.chosen import Chosen
from dkv.sim.ondisk import OnDisk
from dkv.sim.simulated_node import SimulatedNode
from dkv.state_messages import ChosenSlots, CompactedThrough


class CompactionRules:
    """Hears of messages and of the log's commits, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, disks: Mapping[int, OnDisk], chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._disks = disks
        self._chosen = chosen
        self._violated = violated

    # --- disks ---

    def durable(self, node: SimulatedNode, writes: Mapping[bytes, bytes | None]) -> None:
        """Check the mark in a commit, before the erasures that come with it."""
        self._disks[node.number].erased_before = self._disks[node.number].erased_through
        stored = writes.get(COMPACTED)
        if stored is None:
            return
        disk = self._disks[node.number]
        through, digest = unpack_compacted(stored)
        if through < disk.compacted_through:
            self._violated(f"I12: compacted_through of node {node.number} fell from {disk.compacted_through}")
        if through > disk.applied_through:
            self._violated(
                f"I12: node {node.number} compacted its log through {through}, and its state on disk is that of slot"
                f" {disk.applied_through}"
            )
        if through > self._chosen.through:
            self._violated(f"I12: node {node.number} compacted slot {through}, which is not chosen")
        elif digest != self._chosen.digests[through] and not node.damaged:
            self._violated(f"I12: node {node.number} compacted slot {through} with the digest of another log")
        disk.compacted_through = through

    def erased(self, node: SimulatedNode, slot: int) -> None:
        """A record is on the disk no more."""
        disk = self._disks[node.number]
        if slot > disk.compacted_through:
            self._violated(
                f"I12: node {node.number} erased the record of slot {slot}; it has compacted {disk.compacted_through}"
            )
        disk.records.pop(slot, None)
        disk.erased_through = max(disk.erased_through, slot)

    # --- messages leaving a node ---

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """Check a message of a node to another before it leaves."""
        compacted = self._disks[node.number].compacted_through
        # A snapshot may be in force a moment before the acceptor hears of it, and what it said before that waits for a
        # commit, with which the first erasures may go. Until then it holds all that it accepted.
        erased = self._disks[node.number].erased_before
        match message:
            case Promise() if message.chosen_through < erased:
                self._violated(
                    f"I12: node {node.number} has erased the record of slot {erased}, and its Promise says that slot"
                    f" {message.chosen_through + 1} is open"
                )
            case Promise() | CompactedThrough() | GiveWay():
                self._check_mark(node.number, compacted, message)
            case PromiseSlot() if message.slot <= erased:
                self._violated(f"I12: node {node.number} promised slot {message.slot}, whose record it has erased")
            case ChosenSlots() if message.first_slot <= erased and not message.values:
                self._violated(f"I12: node {node.number} says that slot {message.first_slot}, compacted, is empty")
            case ChosenOtherwise() if self._is_chosen(message):
                self._violated(
                    f"I12: node {node.number} says that slot {message.slot} is chosen with another value than that of"
                    f" ballot {message.ballot}, which is not so"
                )

    def _check_mark(self, node: int, compacted: int, message: Promise | CompactedThrough | GiveWay) -> None:
        through = message.through if isinstance(message, CompactedThrough) else message.compacted_through
        if through > compacted:
            self._violated(f"I12: node {node} says that it has compacted slot {through}, before that is on its disk")

    def _is_chosen(self, message: ChosenOtherwise) -> bool:
        value = self._chosen.proposal(message.slot, message.ballot)
        return value is not None and self._chosen.values.get(message.slot) == value
