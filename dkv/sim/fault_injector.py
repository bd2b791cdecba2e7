"""The faults of a run: which strike, when and where, and how they end. Everything is drawn from one generator."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from dkv.actor import Address
from dkv.messages import Accepted, AcceptedSlot, Promise, PromiseSlot
from dkv.settings import Limits
from dkv.sim.aim import Aim
from dkv.sim.chosen import Chosen
from dkv.sim.copies import Copies
from dkv.sim.crowd import Crowd
from dkv.sim.cuts import Cuts
from dkv.sim.disk import TOTAL_BYTES, DiskCopy
from dkv.sim.gaps import Gaps
from dkv.sim.operators import Operators
from dkv.sim.plan import Plan
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.takeovers import TakeOvers
from dkv.sim.torn_changes import TornChanges
from dkv.sim.wires import Wires

MOMENTS = ("now", "sending", "voting", "committing", "durable")
"""The moment of a crash: at once, or when the node next sends, sends a vote, begins a commit, or has one on disk."""

WHOLE_LOG_MIN = 10_000
"""With a tail of so many slots, and bytes, nothing is compacted in a run."""

SHORT_BYTES = Limits().disk_free_bytes_min - 1
NEARLY_ENOUGH_BYTES = Limits().disk_free_bytes_min + 1
"""Enough for a disk that was not short before."""

KILL, POWER_CUT = "kill -9", "power cut"
"""A crash of one process, and one of all machines at the same moment."""


class FaultInjector:
    """Strikes ``nodes`` as ``plan`` says, until ``stop``.

    ``lost(node)`` hears of each disk that is lost, ``set_back(node)`` of each that is replaced by an older copy;
    ``clone(node, copy)`` begins a second process of a node, on a copy of its directory. ``may_damage(node)`` says
    whether the cluster can do without what a node's disk holds.
    """

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        plan: Plan,
        nodes: list[SimulatedNode],
        wires: Wires,
        crowd: Crowd,
        leading: Collection[int],
        note: Callable[[int, str, str], None],
        lost: Callable[[int], None],
        set_back: Callable[[SimulatedNode], None],
        clone: Callable[[SimulatedNode, DiskCopy], None],
        may_damage: Callable[[SimulatedNode], bool],
    ) -> None:
        self.slow: dict[int, float] = {}
        """The factor by which the commits of a node take longer than planned."""
        self.leapt_seconds = 0.0
        """By how much all monotonic clocks together have leapt ahead."""
        self._schedule = schedule
        self._random = random
        self._plan = plan
        self._nodes = nodes
        self._aim = Aim(schedule, random, nodes, leading)
        self._wires = wires
        self._cuts = Cuts(self._aim, wires, plan.weather.delay)
        self._take_overs = TakeOvers(self._aim, note)
        self._crowd = crowd
        self._note = note
        self._lost = lost
        self._may_damage = may_damage
        self._torn_changes: TornChanges | None = None
        self._doomed: dict[int, tuple[str, str]] = {}
        """For each node that is to crash: at which moment, and how."""
        self._copies = Copies(self._aim, note, may_damage, set_back, self.restart_later, clone)
        self._strikes: dict[str, Callable[[SimulatedNode], None]] = {
            "altered-state": self._alter,
            "clock": self._leap,
            "crash": self._crash,
            "flipped-byte": self._flip,
            "full-disk": self._fill,
            "hang-up": self._hang_up,
            "lost-disk": self._lose,
            "pause": self._pause,
            "power-cut": self._cut_power,
            "short-disk": self._shorten,
            "slow-disk": self._slow,
            "stuck-disk": self._stick,
            "write-error": self._break,
            **self._cuts.strikes,
            **self._take_overs.strikes,
            **Gaps(self._aim, wires, plan.weather.delay, note).strikes,
            **self._copies.strikes,
        }

    def operators(self, chosen: Chosen, join: Callable[[], SimulatedNode]) -> Operators:
        """The operators, who strike as faults do, once the first nodes are there."""
        operators = Operators(self._aim, chosen, self._crowd, join, self._may_join, self._note)
        self._torn_changes = TornChanges(self._aim, self._wires, chosen, operators, self._note)
        self._strikes |= operators.strikes | self._torn_changes.strikes
        return operators

    def _may_join(self) -> bool:
        """A new node cannot know what an older copy of a directory has forgotten, or that one runs twice (B34)."""
        return not self._copies.cloned and not any(node.damaged for node in self._nodes)

    def begin(self) -> None:
        """Begin to strike now and then."""
        if self._plan.strikes:
            self._schedule.after(self._random.expovariate(1 / self._plan.strike_seconds), self._strike)

    def stop(self) -> None:
        """Strike no more. Faults that last go on."""
        self._aim.stopped = True
        self._doomed.clear()

    def _strike(self) -> None:
        if self._aim.stopped:
            return
        strikes = self._plan.strikes
        kind = self._random.choices(list(strikes), list(strikes.values()))[0]
        self._strikes[kind](self._aim.victim(0.5))
        self.begin()

    # --- processes ---

    def reached(self, node: SimulatedNode, moment: str) -> None:
        """The node is at a ``moment`` for which a crash may be waiting."""
        due, how = self._doomed.get(node.number, ("", ""))
        if due == moment and self._random.random() < 0.5:
            del self._doomed[node.number]
            self._kill(node, how)

    def sending(self, node: SimulatedNode, to: Address, message: object) -> None:
        """The node is about to send ``message``."""
        if self._doomed:
            self.reached(node, "sending")
            if node.up and isinstance(message, Accepted | Promise | AcceptedSlot | PromiseSlot):
                self.reached(node, "voting")
        self._cuts.sending(node, to, message)
        self._take_overs.sending(node, to, message)
        if self._torn_changes is not None:
            self._torn_changes.sending(node, message)

    def _crash(self, node: SimulatedNode, how: str = KILL) -> None:
        """Crash a node at some moment; mostly one with a write under way."""
        writing = [each for each in self._nodes if each.up and each.disk.committing]
        if writing and self._random.random() < self._plan.bias:
            node = self._random.choice(writing)
        if not node.up:
            return
        moment = self._random.choice(MOMENTS)
        if moment == "now":
            self._kill(node, how)
        else:
            self._doomed[node.number] = moment, how

    def _cut_power(self, node: SimulatedNode) -> None:
        """All nodes go down at once; each disk keeps or loses the commit under way."""
        self._crash(node, POWER_CUT)

    def _kill(self, node: SimulatedNode, how: str) -> None:
        for each in self._nodes if how == POWER_CUT else [node]:
            if each.up:
                self._note(each.number, "crash", how)
                each.crash(keep=self._random.random() < self._plan.keep_chance)
                self.restart_later(each)

    def restart_later(self, node: SimulatedNode) -> None:
        """An operator, or systemd, starts the node again, more than once if necessary."""
        wait = self._random.expovariate(1 / self._plan.restart_seconds)
        self._aim.later(wait, self.start, node)

    def start(self, node: SimulatedNode) -> None:
        """Start the node if it is down, as soon as its disk takes writes."""
        if node.disk.faults.full or node.disk.faults.stuck:  # A start writes first of all.
            self.restart_later(node)
        elif not node.up:
            node.start()

    def _pause(self, node: SimulatedNode) -> None:
        if node.up and not node.clock.paused:
            self._note(node.number, "pause", "SIGSTOP")
            node.clock.pause()
            self._aim.later(self._aim.lasting(), self.resume, node)

    def resume(self, node: SimulatedNode) -> None:
        """Let a paused node go on."""
        if node.up and node.clock.paused:
            self._note(node.number, "resume", "SIGCONT")
            node.resumes()
            node.clock.resume()

    def _leap(self, node: SimulatedNode) -> None:
        seconds = self._random.choice((0.3, 2.0, 3600.0))
        self._note(node.number, "leap", f"the clock leaps {seconds} s ahead")
        node.clock.leap(seconds)
        self.leapt_seconds += seconds

    # --- disks ---

    def _slow(self, node: SimulatedNode) -> None:
        self.slow[node.number] = self._random.choice((5.0, 50.0))
        self._note(node.number, "slow", f"the disk is {self.slow[node.number]:g} times slower")
        self._aim.later(self._aim.lasting(), self._hasten, node)

    def _hasten(self, node: SimulatedNode) -> None:
        self.slow.pop(node.number, None)

    def _stick(self, node: SimulatedNode) -> None:
        self._note(node.number, "stuck", "the disk finishes no commit")
        node.disk.faults.stuck = True
        self._aim.later(self._aim.lasting(), node.disk.unstick)

    def _break(self, node: SimulatedNode) -> None:
        self._note(node.number, "broken", "the next commit fails")
        node.disk.faults.broken = True

    def _fill(self, node: SimulatedNode) -> None:
        self._note(node.number, "full", "the disk is full")
        node.disk.faults.full = True
        self._aim.later(self._aim.lasting(), self._empty, node)

    def _empty(self, node: SimulatedNode) -> None:
        node.disk.faults.full = False

    def _shorten(self, node: SimulatedNode) -> None:
        """Others leave too little room on the disk; later perhaps nearly enough, and then enough."""
        node.disk.faults.free_bytes = self._random.choice((0, 1, SHORT_BYTES))
        self._note(node.number, "short", f"{node.disk.faults.free_bytes} bytes are free")
        seconds = self._aim.lasting()
        if self._random.random() < 0.5:
            self._aim.later(seconds * self._random.random(), self._leave_free, node, NEARLY_ENOUGH_BYTES)
        self._aim.later(seconds, self._leave_free, node, TOTAL_BYTES)

    def _leave_free(self, node: SimulatedNode, free_bytes: int) -> None:
        self._note(node.number, "room", f"{free_bytes} bytes are free")
        node.disk.faults.free_bytes = free_bytes

    def _alter(self, node: SimulatedNode) -> None:
        """Change the state at rest, where no snapshot is sent: it would hand the change on, and who is right then?"""
        limits = self._plan.limits
        whole_logs = min(limits.log_tail_slots_max, limits.log_tail_bytes_max) >= WHOLE_LOG_MIN
        if whole_logs and self._may_damage(node):
            node.damaged = True
            node.disk.alter()
            self._note(node.number, "alter", "a pair appears in the state at rest")

    def _flip(self, node: SimulatedNode) -> None:
        if self._may_damage(node):
            node.damaged = True
            key = node.disk.flip(self._random)
            self._note(node.number, "flip", f"one bit of {key!r}")

    def _lose(self, node: SimulatedNode) -> None:
        """An operator who knows no better replaces the disk and initialises it."""
        if self._may_damage(node):
            self._note(node.number, "wipe", "the disk is lost and initialised anew")
            node.crash()
            node.damaged = True
            node.disk.wipe()
            self._lost(node.number)
            node.initialise()
            self.restart_later(node)

    # --- clients ---

    def _hang_up(self, node: SimulatedNode) -> None:
        client = self._random.choice(self._crowd.clients)
        if client.node is not None:
            self._note(0, "hang-up", f"client {client.number}")
            client.lose()
