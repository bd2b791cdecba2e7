"""A small cluster that does nothing by itself: real nodes whose messages, disks and clocks wait for orders.

The nodes are those of the simulator: production actors, host, codec and storage checks. Each has a clock of its own,
which stands still until it is told how much time passes. A message within a node arrives at once, as in production; a
message to another node waits in the ``Mail``. A commit ends at once, unless the disk is held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from dkv.actor import ELECTOR, PROPOSER, Address
from dkv.client_events import Requests
from dkv.events import Campaign
from dkv.keys import record_key
from dkv.kv.codes import GET, MEMBERS
from dkv.kv.membership import NAME, REMOVE
from dkv.kv.sessions import BOUNDS
from dkv.records import pack_record, unpack_record
from dkv.settings import Limits, Timings
from dkv.sim.disk import DiskCopy
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.wall_clocks import MachineClock
from dkv.storage.seal import seal
from dkv.wire.codec import encode_entries
from tests.scripts import words
from tests.scripts.mail import Mail
from tests.scripts.witness import Witness

TICK_SECONDS = 0.001
"""While time passes on several clocks they take turns, each going on by this much."""

ROUNDING_SECONDS = 1e-6
"""A timer that falls due at the end of a wait has fired then, however its time was rounded."""

HELD_SECONDS = 1e9
"""How long a commit on a held disk takes, unless it is told to end."""

REQUEST_BYTES = 64
"""The size that each request is taken to have."""


class Cluster:
    """Nodes 1 to ``size``, all down."""

    def __init__(self, size: int, mode: str, limits: Limits, timings: Timings) -> None:
        self.mode = mode
        """Of lives that begin from now on."""
        self.limits, self.timings = limits, timings
        members = tuple(range(1, size + 1))
        self.witness = Witness(members, limits.window_slots_max)
        self.mail = Mail(self.witness, self.run)
        self.nodes = self.mail.nodes
        self._schedules = {number: Schedule() for number in members}
        self._held: set[int] = set()
        self._copies: dict[int, DiskCopy] = {}
        for number, schedule in self._schedules.items():
            random, commit_seconds = Random(f"script/{number}"), partial(self._commit_seconds, number)
            seams = (schedule, self.mail, random, commit_seconds, limits, timings, BOUNDS)
            SimulatedNode(number, members, *seams, lambda: self.mode, MachineClock(schedule), self.witness)

    # --- lives ---

    def start(self, number: int) -> None:
        """Begin a life on what the disk holds, and connect it with all nodes that are up."""
        node, held, before = self.nodes[number], list(words.disk(self.nodes[number].disk)), len(self.witness.trace)
        node.start()
        if node.up:
            self.witness.trace[before:] = []  # what it notes of its disk is told in fewer words
            self.witness.tell(number, f"starts; on disk: {'; '.join(held) or 'nothing'}")
        for other in self.nodes:
            if other != number:
                self.mail.connect(number, other)
        self.run()

    def crash(self, number: int, keep: bool) -> None:
        """kill -9; of a commit under way the disk keeps all or nothing."""
        self.witness.tell(number, "crashes")
        self.nodes[number].crash(keep)
        self.run()

    def wipe(self, number: int) -> None:
        """The disk of a node that is down is lost; an operator makes a new directory."""
        self.nodes[number].disk.wipe()
        self.nodes[number].initialise()
        self.witness.invariants.wiped(number)

    def copy(self, number: int) -> None:
        """Keep a copy of the directory of a node that is down."""
        self._copies[number] = self.nodes[number].disk.copied()

    def restore(self, number: int) -> bool:
        """Put the copy back, over what the disk holds by now; False if there is none."""
        copy = self._copies.get(number)
        if copy is not None:
            self.nodes[number].disk.restore(copy)
            self._tampered(number)
        return copy is not None

    def alter(self, number: int, slot: int, entry: list[Any]) -> bool:
        """Write another command into a slot on the disk of a node that is down, as a bug or a bad memory might.

        False if the slot holds no batch.
        """
        log, key = self.nodes[number].disk.log, record_key(slot)
        stored = log.get(key)
        held = None if stored is None else unpack_record(stored)
        if held is None or not held.value.batches:
            return False
        first, *others = held.value.batches
        value = replace(held.value, batches=(replace(first, blob=encode_entries([entry])), *others))
        log.durable[key] = seal(key, pack_record(replace(held, value=value)))
        self._tampered(number)
        return True

    def _tampered(self, number: int) -> None:
        """What this node holds from now on is no vote of the cluster."""
        self.nodes[number].damaged = True
        self.witness.invariants.set_back(self.nodes[number])

    # --- disks ---

    def hold(self, number: int) -> None:
        """Let no commit of the node end by itself."""
        self._held.add(number)

    def release(self, number: int) -> None:
        """Let them end at once again, the one under way first."""
        self._held.discard(number)
        if self.nodes[number].disk.committing:
            self.commit(number)

    def commit(self, number: int) -> None:
        """The commit under way is on disk."""
        self.nodes[number].disk.unstick()
        self.run()

    def _commit_seconds(self, number: int) -> float:
        if number not in self._held:
            return 0.0
        self.witness.tell(number, "waits for its disk")
        return HELD_SECONDS

    # --- time ---

    def run(self) -> None:
        """Let every node handle what it has, at the time that its clock shows."""
        for schedule in self._schedules.values():
            while schedule.step(schedule.now):
                pass
        self.mail.let_pass()

    def wait(self, seconds: float, numbers: Iterable[int], settling: bool = False) -> None:
        """Let time pass on the clocks of these nodes; ``settling`` delivers whatever is sent meanwhile."""
        began = {number: self._schedules[number].now for number in numbers}
        for tick in range(1, round(seconds / TICK_SECONDS) + 1):
            for number, at in began.items():
                while self._schedules[number].step(at + tick * TICK_SECONDS + ROUNDING_SECONDS):
                    pass
            self.mail.let_pass()
            if settling:
                self.mail.settle(self.nodes)

    # --- what is asked of a node ---

    def request(self, number: int, entry: list[Any]) -> None:
        """A client of this node asks for something, on a connection of its own."""
        requests, read = self.witness.requests, int(entry[0] == GET)
        requests.append(words.command(entry))
        self.nodes[number].port.take(Requests(len(requests), [entry], 1 - read, read, REQUEST_BYTES))
        self.run()

    def remove(self, number: int, leaving: Iterable[int]) -> None:
        """An operator asks this node to remove members of the first set, whose incarnations the log does not name."""
        named = [[NAME, each, node.incarnation] for each, node in sorted(self.nodes.items())]
        self.request(number, [MEMBERS, 0, *named, *([REMOVE, each] for each in leaving)])

    def campaign(self, number: int) -> None:
        """Let the node run phase 1 without asking anybody, as its elector would after a poll."""
        self.nodes[number].deliver(PROPOSER, Address(number, ELECTOR), Campaign())
        self.run()

    def tell_disk(self, number: int) -> None:
        """Say what the disk holds."""
        for line in list(words.disk(self.nodes[number].disk)) or ["nothing"]:
            self.witness.tell(number, line)
