"""The rule of a shortage of disk space: the decision is the cluster's, and no node judges by itself (B50).

It is checked from outside, by messages. The nodes' words lead to what a leader's heartbeats must name, or to what a
node of classic mode must go by. What a gateway is told must be a decision that its node heard or had to make. What a
gateway numbers while it is told of a shortage must not grow data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv import noted
from dkv.actor import ELECTOR, GATEWAY, PROPOSER, Address, Note
from dkv.ballot import ZERO
from dkv.client_events import ShortOfSpace
from dkv.events import DiskMeasured, Leading, TimerFired
from dkv.kv.codes import IDMP
from dkv.kv.growth import GROWS
from dkv.messages import DiskSpace, Heartbeat, Submit
from dkv.paxos import space
from dkv.records import Batch, ShortDisk
from dkv.sim.in_force import SetsInForce
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode
from dkv.wire.codec import decode_entries

Disks = tuple[ShortDisk, ...]


class _Life:
    """What one life of a node has heard."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.words: dict[int, tuple[DiskSpace | DiskMeasured, float]] = {}
        """The last word of each node about its disk, and when it was heard, on the node's own clock."""
        self.highest = ZERO
        """The highest ballot whose leader was heard; this node may be the leader itself."""
        self.beat = 0
        """The last heartbeat of its own, and the disks that it named."""
        self.beat_named: Disks = ()
        self.decisions: list[Disks] = [()]
        """The decisions since the one that the gateway was told last, with that one."""
        self.told: Disks = ()
        self.at_tick: Disks = ()
        """The last decision at the last tick."""
        self.numbered: dict[int, bool] = {}
        """For each batch by its number, whether the gateway had been told of a shortage."""


class SpaceRules:
    """Hears of what nodes say and do, and calls ``violated(sentence)`` if the rule is broken."""

    def __init__(self, sets: SetsInForce, violated: Callable[[str], None]) -> None:
        self._sets = sets
        self._violated = violated
        self._lives: dict[int, _Life] = {}

    def refuses(self, node: SimulatedNode) -> bool:
        """Whether the node's gateway goes by a shortage."""
        return bool(self._of(node).told)

    def _of(self, node: SimulatedNode) -> _Life:
        heard = self._lives.get(node.number)
        if heard is None or heard.life != node.life:
            heard = self._lives[node.number] = _Life(node.life)
        return heard

    # --- messages about to be handled ---

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """An actor is about to handle a message."""
        if role == ELECTOR:
            self._heard(node, self._of(node), sender, message)
        elif role == GATEWAY and isinstance(message, ShortOfSpace):
            self._check_told(node, self._of(node), message.disks)
        elif role == PROPOSER and isinstance(message, Submit) and sender.node == node.number:
            self._check_submit(node, message)

    def _heard(self, node: SimulatedNode, heard: _Life, sender: Address, message: Any) -> None:
        match message:
            case DiskSpace() | DiskMeasured():
                heard.words[sender.node] = message, node.clock.seconds()
                if node.classic:
                    heard.decisions.append(self._by_words(node, heard))
            case Heartbeat() if message.ballot >= heard.highest and message.ballot.node == sender.node:
                heard.highest = message.ballot
                heard.decisions.append(message.short)
            case Leading() if message.ballot >= heard.highest:
                heard.highest = message.ballot
                heard.decisions.append(self._by_words(node, heard))
            case TimerFired("tick"):
                self._check_news(node, heard)
                if node.classic or heard.highest.node == node.number:
                    heard.decisions.append(self._by_words(node, heard))

    def _by_words(self, node: SimulatedNode, heard: _Life) -> Disks:
        """What follows from the words that still count: those of voters."""
        now, voters = node.clock.seconds(), self._sets.of(node).voters
        return tuple(
            ShortDisk(number, word.free_bytes, word.wanted_bytes)
            for number, (word, at) in sorted(heard.words.items())
            if number in voters and word.short and now - at < space.WORD_SECONDS
        )

    def _check_told(self, node: SimulatedNode, heard: _Life, disks: Disks) -> None:
        """The gateway goes by what was decided, and by nothing else."""
        if disks not in heard.decisions:
            self._violated(f"B50: node {node.number} goes by {_named(disks)}, which nobody has decided")
            return
        heard.told = disks
        heard.decisions = heard.decisions[heard.decisions.index(disks) :]

    def _check_news(self, node: SimulatedNode, heard: _Life) -> None:
        """What was decided before the last tick, and still holds, has reached the gateway."""
        last = heard.decisions[-1]
        if last == heard.at_tick and last != heard.told and heard.highest.node != node.number and not node.classic:
            self._violated(f"B50: node {node.number} goes by {_named(heard.told)}, and was told {_named(last)}")
        heard.at_tick = last

    # --- what leaves ---

    def sending(self, node: SimulatedNode, message: Any) -> None:
        """A message to another node is about to leave."""
        if isinstance(message, Submit):
            self._check_submit(node, message)
        elif isinstance(message, Heartbeat):
            heard = self._of(node)
            if message.beat > heard.beat:
                heard.beat, heard.beat_named = message.beat, message.short
                expected = self._by_words(node, heard)
                if message.short != expected:
                    what = f"{_named(message.short)} where the nodes' words make it {_named(expected)}"
                    self._violated(f"B50: node {node.number}, which leads, decides on {what}")
            elif message.short != heard.beat_named:
                self._violated(f"B50: node {node.number} names other disks to each node in heartbeat {message.beat}")

    # --- batches ---

    def noted(self, node: SimulatedNode, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""
        if event is noted.batch_numbered:
            heard = self._of(node)
            heard.numbered[len(heard.numbered) + 1] = bool(heard.told)

    def _check_submit(self, node: SimulatedNode, message: Submit) -> None:
        """A batch that was numbered during a shortage grows nothing."""
        numbered = self._of(node).numbered
        for batch in message.batches:
            if batch.boot == node.boot and numbered.get(batch.seq) and _grows(batch):
                self._violated(f"B50: node {node.number} proposes what grows data, and was told of a shortage")


def _grows(batch: Batch) -> bool:
    for entry in decode_entries(batch.blob) or []:
        write = entry[3] if entry[0] == IDMP else entry
        if isinstance(write, list) and write[0] in GROWS:
            return True
    return False


def _named(disks: Disks) -> str:
    return ", ".join(f"a shortage on node {disk.node}" for disk in disks) or "no shortage"
