"""Room on the members' disks: the word of each node, and the decision that all nodes obey alike.

Every node measures its own disk, and tells all others whether it is short of space. A node decides nothing by its own
measure: if it did, a client would be refused on one node and served on the next one, whose writes fill the first node's
disk all the same. The leader decides for all, by the words of voters that it has heard, and its heartbeats carry the
decision. In classic mode nobody leads. There each node decides by these words, which are the same for all but for a
moment.

Nothing here is needed for safety, and nothing is on disk. A word that is not repeated counts for ``WORD_SECONDS``: the
disk of a node that is down gets no fuller, and must not keep the others from their work for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dkv import noted
from dkv.actor import CHECKER, ELECTOR, GATEWAY, Address, Turn
from dkv.client_events import ShortOfSpace
from dkv.events import DiskMeasured
from dkv.messages import DiskSpace
from dkv.records import ShortDisk

WORD_SECONDS = 10.0


class Space:
    """What node ``node`` has heard of all disks, its own included."""

    def __init__(self, node: int) -> None:
        self.short: tuple[ShortDisk, ...] = ()
        """The decision in force here: while any disk is named, writes that grow data are refused."""
        self._node = node
        self._words: dict[int, tuple[DiskSpace, float]] = {}

    def measured(self, turn: Turn, message: DiskMeasured, others: Iterable[int]) -> None:
        """The host has measured this node's disk: tell all ``others``."""
        word = DiskSpace(message.free_bytes, message.wanted_bytes, message.short)
        self.said(self._node, word, turn.now)
        for node in others:
            turn.send(Address(node, ELECTOR), word)

    def said(self, node: int, word: DiskSpace, now: float) -> None:
        """``node`` says how much room its disk has."""
        self._words[node] = (word, now)

    def decide(self, turn: Turn, voters: Collection[int]) -> None:
        """Decide by the words of ``voters`` that still count: for a leader, and for every node of classic mode.

        The small disk of a standby, or of a node that was removed, must not stop the work of all.
        """
        words = [
            (node, word)
            for node, (word, said_at) in sorted(self._words.items())
            if node in voters and word.short and turn.now - said_at < WORD_SECONDS
        ]
        self.obey(turn, tuple(ShortDisk(node, word.free_bytes, word.wanted_bytes) for node, word in words))

    def obey(self, turn: Turn, short: tuple[ShortDisk, ...]) -> None:
        """This is the decision from now on, this node's or the leader's: if it is news, tell those who act on it."""
        if short == self.short:
            return
        before, self.short = self.short, short
        for role in (CHECKER, GATEWAY):
            turn.send(Address(self._node, role), ShortOfSpace(short))
        nodes = [disk.node for disk in short]
        if nodes and nodes != [disk.node for disk in before]:
            turn.note(noted.growth_refused, disks=nodes, free_bytes=min(disk.free_bytes for disk in short))
        elif not nodes:
            turn.note(noted.growth_served)
