"""The rules of what reads find (I9, I11): the state as it was after some slot that their node had applied by then.

A read is evaluated once its barrier is applied, and not later than its answer leaves. So the second state machine must
have found the same after one of these slots: by the time of that slot, and not by any clock. A survey says itself which
slot it is: not an earlier one than that after which the learner has begun with the read.
"""

from __future__ import annotations

from collections.abc import Callable

from dkv.client_events import Read, ReadResults, Survey
from dkv.kv.asks import ask_of
from dkv.kv.surveyor import TOO_LARGE
from dkv.records import Entry
from dkv.replies import EncodedList, Local
from dkv.sim.batch_rules import is_same
from dkv.sim.chosen import Chosen
from dkv.sim.second_commands import execute
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_node import SimulatedNode


class AnswerRules:
    """Hears of reads and their results within each node, and calls ``violated(sentence)`` if a rule is broken."""

    def __init__(self, chosen: Chosen, violated: Callable[[str], None]) -> None:
        self._chosen = chosen
        self._violated = violated
        self._asked: dict[tuple[Life, int], Read] = {}
        self._surveys: dict[Life, Survey] = {}

    def asked(self, node: SimulatedNode, message: Read) -> None:
        """A gateway hands its learner a read."""
        self._asked[node.life, message.number] = message

    def told(self, node: SimulatedNode, message: ReadResults) -> None:
        """A learner answers it."""
        read = self._asked.pop((node.life, message.number))
        for slot in range(self._chosen.through, read.through - 1, -1):
            keys = self._chosen.reference.keys_at(slot)
            if is_same(message.results, [execute(keys, entry) for entry in read.entries]):
                return
        found = f"{message.results!r:.300} for {read.entries!r:.300}"
        self._violated(f"I9: node {node.number} read {found}, which is true after no slot from {read.through} on")

    def survey_begins(self, node: SimulatedNode, message: Survey) -> None:
        """A gateway asks the surveyor of its node: for one thing at a time."""
        self._surveys[node.life] = message

    def surveyed(self, node: SimulatedNode, entry: Entry, through: int, reply: Local) -> None:
        """The surveyor answers a KEYS by the state after slot ``through``."""
        asked, ask = self._surveys.pop(node.life), ask_of(entry)
        assert ask is not None, "it was evaluated as a read before"
        [pattern] = ask.arguments
        assert isinstance(pattern, bytes), "as before"
        found = self._chosen.reference.keys_at(through).matching(ask.db, pattern)
        expected = EncodedList(len(found), (b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in found),))
        told = reply.reply
        if isinstance(told, EncodedList):
            told = EncodedList(told.count, (b"".join(told.pieces),))
        if entry != asked.entry or through < asked.through or told not in (expected, TOO_LARGE):
            found_there = f"{told!r:.300} for {asked.entry!r} after slot {through}, and not before {asked.through}"
            self._violated(f"I9: the survey of node {node.number} found {found_there}, where {found!r:.300} are")
