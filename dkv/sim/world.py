"""One simulated cluster: nodes, network, disks and clients made from a seed, and everything they do is watched."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from math import inf
from random import Random
from sys import maxsize
from typing import Any, TextIO

from dkv import noted
from dkv.actor import Address, Fenced, Note
from dkv.ballot import Ballot
from dkv.client_events import Replies
from dkv.configurations import Configuration
from dkv.settings import LEADER
from dkv.sim.clone import Clone, Unwatched
from dkv.sim.crowd import Crowd
from dkv.sim.disk import DiskCopy
from dkv.sim.event_rules import EventRules
from dkv.sim.event_switch import EventSwitch
from dkv.sim.fault_injector import FaultInjector
from dkv.sim.in_force import SetsInForce
from dkv.sim.invariants import Invariants
from dkv.sim.modes import MIXED, ModeOfLives
from dkv.sim.plan import FREQUENT, OF_CLASSIC_MODE, WALL_CLOCKS, draw
from dkv.sim.readiness_rule import LOOK_SECONDS, complaint
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_client import SimulatedClient
from dkv.sim.simulated_network import SimulatedNetwork
from dkv.sim.simulated_node import SimulatedNode
from dkv.sim.space_rules import SpaceRules
from dkv.sim.state_rules import StateRules
from dkv.sim.takeovers import TakeOverRule
from dkv.sim.time_rules import TimeRules
from dkv.sim.trace import Happening, Trace
from dkv.sim.verdict import Done, Executions, wrong_reply
from dkv.sim.wall_clocks import WallClocks
from dkv.sim.wordy import Wordy
from dkv.storage.data_directory import DirectoryError
from dkv.storage.store import RecordCorrupt, StoreFailed

STEPS_AT_ONCE_MAX = 100_000


class World:
    """A cluster of ``size`` nodes for ``seed``; ``violation`` is set by the first invariant that is broken."""

    def __init__(
        self,
        seed: int,
        size: int,
        seconds: float,
        faults: frozenset[str],
        out: TextIO | None = None,
        mode: str = LEADER,
    ) -> None:
        self.seed = seed
        self.mode = ModeOfLives(mode, self._generator("mode"))
        self.random = self._generator("world")
        faults = faults - OF_CLASSIC_MODE if mode == LEADER else faults
        self.plan = plan = draw(self._generator("plan"), size, seconds, faults)
        if mode == MIXED and plan.strikes:
            plan.strikes["crash"] = FREQUENT["crash"]  # without restarts no mode changes
        self.violation: str | None = None
        self.leading: dict[int, Ballot] = {}
        """The nodes that say they lead."""
        self.elected: list[int] = []
        """Every node that became leader, once for each time."""
        self.elected_at = 0.0
        """When a node last became leader, in simulated seconds."""
        self.chosen_at = [0.0]
        """For each slot, when it and all slots below had been chosen."""
        self._acknowledged: list[tuple[int, float]] = [(0, 0.0)]
        """How much of the log clients may have known, and since when."""
        self.calm = False
        """Whether disks are only as slow as planned by now."""
        self.schedule = Schedule()
        self.trace = Trace(out)
        members = tuple(range(1, size + 1))
        self.invariants = Invariants(members, plan.limits.window_slots_max, plan.bounds, self.violated)
        chosen = self.invariants.chosen
        self._states = StateRules(chosen, self.violated)
        self.events = EventRules(chosen, self.violated)
        self.sets = SetsInForce(chosen, self.schedule, self.violated)
        self.space = SpaceRules(self.sets, self.violated)
        self._take_overs = TakeOverRule(self.violated)
        self.network = SimulatedNetwork(
            self.schedule, self._generator("network"), plan.limits, plan.timings, self.trace, plan.weather
        )
        self.network.past.chance = plan.past_life_chance
        self.wall_clocks = WallClocks(
            self.schedule, self._generator("wall clocks"), members, WALL_CLOCKS in faults, self.note
        )
        self.nodes: list[SimulatedNode] = []
        self.crowd = Crowd(
            self.schedule,
            self._generator("clients"),
            self.nodes,
            plan.habits,
            plan.limits,
            plan.client_delay,
            SimulatedClient,
        )
        self.wordy = Wordy(self.schedule, self._generator, self.nodes, plan.limits, plan.client_delay)
        self.event_switch = EventSwitch(self.schedule, self._generator("events"), self.nodes, plan.limits)
        self.faults = self._injector()
        self._disk_random = self._generator("disk")
        self.nodes.extend(self._node(number, members) for number in members)
        self.operators = self.faults.operators(self.invariants.chosen, self._join)
        self.time = TimeRules(self.wall_clocks, chosen, self.faults, self.schedule, self.violated)
        self.schedule.after(LOOK_SECONDS, self._look_who_is_ready)

    def _injector(self) -> FaultInjector:
        return FaultInjector(
            self.schedule,
            self._generator("faults"),
            self.plan,
            self.nodes,
            self.network.wires,
            self.crowd,
            self.leading,
            self.note,
            self.invariants.wiped,
            self.invariants.set_back,
            self._clone,
            self._may_damage,
        )

    def node(self, number: int) -> SimulatedNode:
        """The node with this id."""
        return next(node for node in self.nodes if node.number == number)

    def _generator(self, name: str) -> Random:
        """A generator of its own for each part, so that one more draw in one part leaves the others unchanged."""
        return Random(f"{self.seed}/{name}")

    def _node(
        self, number: int, members: tuple[int, ...], clone: Clone | None = None, hints: Collection[int] = ()
    ) -> SimulatedNode:
        node = SimulatedNode(
            number,
            members,
            self.schedule,
            self.network if clone is None else clone,
            self._generator(f"node {number}" if clone is None else f"clone {number}"),
            lambda: self._commit_seconds(number),
            self.plan.limits,
            self.plan.timings,
            self.plan.bounds,
            self.mode.of_next_life,
            self.wall_clocks.of(number),
            self if clone is None else Unwatched(self.note, self.violated),
            hints,
        )
        node.clock_rate = self.plan.clock_rates[number]
        return node

    def _join(self) -> SimulatedNode:
        """An operator sets up a node with an id that nobody had. No member knows it yet."""
        number = self.nodes[-1].number + self.random.choice((1, 1, 2))
        self.plan.clock_rates[number] = self.random.choice((1.0, self.random.uniform(0.9, 1.1)))
        self.invariants.joined(number)
        node = self._node(number, self.nodes[0].first_members, hints=self.members)
        self.nodes.append(node)
        node.start()
        return node

    @property
    def to_come(self) -> list[Configuration]:
        """The sets that decide the slots to come: the one in force, and one that is pending."""
        chosen = self.invariants.chosen
        return chosen.members.configs(chosen.through + 1, maxsize)

    @property
    def members(self) -> frozenset[int]:
        """Everyone in these sets."""
        return frozenset().union(*(each.members for each in self.to_come))

    def _may_damage(self, node: SimulatedNode) -> bool:
        """Only copies of a minority, and none before all members are known by their directories: else no cluster
        could cope. Nor of one that has left: the new members may still need what it holds."""
        damaged = {each.number for each in self.nodes if each.damaged}
        members = [each for each in self.nodes if each.number in self.members]
        met = all(each.damaged or self.invariants.may_vote(each) for each in members)
        few = all(
            len(each.voters & damaged) < (len(each.voters) - 1) // 2
            for each in self.to_come
            if node.number in each.voters
        )
        return met and few and node in members and not node.damaged and not self.operators.busy

    def _clone(self, node: SimulatedNode, copy: DiskCopy) -> None:
        clone = Clone(self.network, self.violated)
        clone.start(self._node(node.number, node.first_members, clone), copy)

    def _commit_seconds(self, number: int) -> float:
        random, plan = self._disk_random, self.plan
        slow = 20.0 if random.random() < plan.slow_commit_chance and not self.calm else 1.0
        if number not in self.faults.slow and random.random() < plan.instant_commit_chance:
            return 0.0
        return random.uniform(0.3, 1.7) * plan.commit_seconds * slow * self.faults.slow.get(number, 1.0)

    # --- running ---

    def run(self, seconds: float) -> bool:
        """Let ``seconds`` pass; False if an invariant was broken."""
        return self.run_until(lambda: False, seconds) or self.violation is None

    def run_until(self, condition: Any, seconds: float) -> bool:
        """Run until ``condition()``; False if that took longer than ``seconds`` or an invariant was broken."""
        until = self.schedule.now + seconds
        moment, steps = self.schedule.now, 0
        while self.violation is None:
            if condition():
                return True
            if not self.schedule.step(until):
                return bool(condition())
            steps = steps + 1 if self.schedule.now == moment else 0
            moment = self.schedule.now
            if steps > STEPS_AT_ONCE_MAX:
                self.violated("the nodes go in circles: there is no end to what happens at one moment")
        return False

    def calm_down(self) -> None:
        """Calm everything: nothing is lost or late, nobody is cut off, and disks are no slower than planned."""
        self.network.wires.mend_all()
        self.network.wires.calm()
        self.network.past.chance = 0.0
        self.faults.slow.clear()
        self.calm = True

    def stop_asking(self) -> None:
        """No client asks for anything new from here on."""
        self.wordy.stopped = self.crowd.stopped = self.event_switch.stopped = True

    def violated(self, sentence: str) -> None:
        """An invariant is broken; only the first one counts."""
        if self.violation is None:
            self.violation = sentence
            self.note(0, "violated", sentence)

    def note(self, node: int, kind: str, about: str) -> None:
        """Add a line to the trace."""
        self.trace.add(Happening(self.schedule.now, node, kind, about))

    # --- what nodes do (the Watcher of dkv.sim.simulated_node) ---

    def started(self, node: SimulatedNode) -> None:
        """A life begins: the disk must hold what its marks say."""
        self.note(node.number, "start", f"boot {node.boot}")
        self.invariants.started(node)
        self._take_overs.started(node)

    def died(self, node: SimulatedNode) -> None:
        """A life is over, for whatever reason."""
        self.leading.pop(node.number, None)
        self.crowd.node_ended(node)

    def ended(self, node: SimulatedNode, reason: str, error: BaseException) -> None:
        """A life ended itself, or could not begin: only for a reason that its disk gave it."""
        self.note(node.number, "ended", f"{reason}: {error}")
        if node.damaged and isinstance(error, DirectoryError | RecordCorrupt):
            return  # It has noticed, and no longer takes part.
        if node.damaged and isinstance(error, Fenced):
            self.faults.restart_later(node)  # an operator who knows no better starts it again: it must be refused
            return
        if isinstance(error, StoreFailed) and not isinstance(error, RecordCorrupt):
            self.faults.restart_later(node)
            return
        self.violated(f"node {node.number} ended itself: {reason}: {type(error).__name__}: {error}")

    def noted(self, node: SimulatedNode, actor: str, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""
        self.space.noted(node, event, fields)
        self._take_overs.noted(node, event, fields)
        self.invariants.noted(node, event, fields)
        self.events.noted(node, actor, event, fields)
        if event.level is None:
            return
        if event is noted.leading:
            self.elected.append(node.number)
            self.elected_at = self.schedule.now
            self.leading[node.number] = fields["ballot"]
        elif event is noted.stepped_down:
            self.leading.pop(node.number, None)
        elif event is noted.digest_differs and not (node.damaged or self.node(fields["peer"]).damaged):
            self.violated(f"I8: nodes {node.number} and {fields['peer']} applied two logs up to slot {fields['slot']}")
        elif event is noted.state_differs and not (node.damaged or self.node(fields["peer"]).damaged):
            self.violated(f"I9: nodes {node.number} and {fields['peer']} have two states after slot {fields['slot']}")
        words = " ".join(f"{name}={value}" for name, value in fields.items())
        self.note(node.number, "note", f"{actor} {event.name} {words}")

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """An actor is about to handle a message."""
        self.invariants.delivered(node, role, sender, message)
        self.events.delivered(node, message)
        self.sets.delivered(node, role, message)
        self.space.delivered(node, role, sender, message)
        self.time.due.delivered(node, role, message)
        through = self.invariants.acknowledged_through
        if through > self._acknowledged[-1][0]:
            self._acknowledged.append((through, self.schedule.now))
        self._note_chosen()

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """A message is about to leave."""
        self.faults.sending(node, to, message)
        if node.up and (not node.damaged or self.network.sides[node.number, to.node].reaches):
            # A message that reaches nobody harms nobody, so those of a node that was set back are not all checked.
            self.invariants.sending(node, to, message)
            self._states.sending(node, message)
            self.sets.sending(node, message)
            self.space.sending(node, message)
            self.time.sending(node, message)

    def oversized(self, node: SimulatedNode, message: Any, size: int) -> None:
        """The order of the limits rules this out."""
        what = f"{type(message).__name__} of {size} bytes"
        self.violated(f"node {node.number} has a {what} to send, of which limits.frame_bytes_max allows none")

    def committing(self, node: SimulatedNode) -> None:
        """A commit is about to begin."""
        self.note(node.number, "commit", "begins")
        self.faults.reached(node, "committing")

    def durable(self, node: SimulatedNode, writes: Any) -> None:
        """A commit is on disk."""
        self.note(node.number, "durable", f"{len(writes)} keys")
        before = self.invariants.chosen.through
        self.invariants.durable(node, writes)
        self._note_chosen()
        for slot in range(before + 1, self.invariants.chosen.through + 1):
            self.note(0, "chosen", f"slot {slot} in ballot {self.invariants.chosen.ballots[slot]}")
        self.faults.reached(node, "durable")

    def state_durable(self, node: SimulatedNode, generation: int, writes: Any) -> None:
        """A write-back is on disk, or a piece of a snapshot."""
        self.note(node.number, "state", f"{len(writes)} keys")
        self.invariants.state_durable(node, generation, writes)
        self.faults.reached(node, "durable")

    def _look_who_is_ready(self) -> None:
        sentence = complaint(self.nodes, self.sets, self.network.arrived_at, self.schedule.now)
        if sentence is not None:
            self.violated(sentence)
        self.schedule.after(LOOK_SECONDS, self._look_who_is_ready)

    def _note_chosen(self) -> None:
        """Note the time at which slots were chosen."""
        while len(self.chosen_at) <= self.invariants.chosen.through:
            self.chosen_at.append(self.schedule.now)

    def replied(self, node: SimulatedNode, replies: Replies) -> None:
        """The gateway answers a connection."""
        self.crowd.replied(replies)
        self.wordy.replied(replies)

    def check_replies(self) -> None:
        """Check that every reply fits its request, and every request was answered in time."""
        complaint = wrong_reply(self.crowd, self.executions, self.invariants.chosen.reference.evicted)
        if complaint is not None:
            self.violated(complaint)

    @property
    def executions(self) -> Executions:
        """The executions of each write with a token, from the log."""
        return {
            token: [Done(each.write, each.answer, *self._when(each.slot)) for each in executions]
            for token, executions in self.invariants.chosen.reference.executions.items()
        }

    @property
    def flushes(self) -> list[tuple[float, float]]:
        """Every flush of the crowd's database, from the log: when it was executed."""
        return [self._when(slot) for slot in self.invariants.chosen.reference.flushes]

    def _when(self, slot: int) -> tuple[float, float]:
        index = bisect_left(self._acknowledged, (slot, 0.0))
        by = self._acknowledged[index][1] if index < len(self._acknowledged) else inf
        return self.chosen_at[slot], by
