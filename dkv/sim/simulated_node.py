"""One simulated node: its disk, which outlives its lives, and the production actors and host of its current life."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from random import Random
from typing import Any, Protocol

from dkv.actor import Actor, Address, Fenced, Note, NoteFields, Turn
from dkv.client_events import Replies
from dkv.configurations import first_configurations, unpack_configurations
from dkv.console.readiness import Readiness
from dkv.host.host import Host
from dkv.host.seams import WallClock
from dkv.identity import Start
from dkv.keys import APPLIED_THROUGH, CHOSEN_THROUGH, CONFIGURATIONS, MEMBER, node_of, unpack_number
from dkv.kv.sessions import Bounds
from dkv.net.acquaintances import Objection, hello_of
from dkv.node.assembly import add_actors
from dkv.routes import VOTES
from dkv.settings import CLASSIC, LEADER, Limits, Timings
from dkv.sim.contacts import Contacts
from dkv.sim.disk import Disk
from dkv.sim.schedule import NodeClock, Schedule
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_port import SimulatedPort
from dkv.storage.data_directory import DirectoryError, load_members, refuse_fenced
from dkv.storage.fence import fence_writes
from dkv.storage.lives import first_writes, next_life, read_identity, votes_of
from dkv.storage.log_check import check_log
from dkv.storage.state_directories import generation_in_force
from dkv.storage.store import RecordCorrupt, StoreFailed
from dkv.wire.codec import Hello

CLUSTER = "simulated"


class Watcher(Protocol):
    """Hears of everything that a node does, before it takes effect."""

    def started(self, node: SimulatedNode) -> None:
        """A life begins on the contents of the disk."""

    def died(self, node: SimulatedNode) -> None:
        """A life is over, for whatever reason."""

    def ended(self, node: SimulatedNode, reason: str, error: BaseException) -> None:
        """A life ended itself, or could not begin."""

    def noted(self, node: SimulatedNode, actor: str, event: Note[...], fields: Mapping[str, Any]) -> None:
        """An actor noted something."""

    def delivered(self, node: SimulatedNode, role: str, sender: Address, message: Any) -> None:
        """An actor is about to handle a message."""

    def sending(self, node: SimulatedNode, to: Address, message: Any) -> None:
        """The node is about to send a message to another."""

    def oversized(self, node: SimulatedNode, message: Any, size: int) -> None:
        """A message has more bytes than a frame may have: the mesh would drop it."""

    def committing(self, node: SimulatedNode) -> None:
        """A commit is about to begin."""

    def durable(self, node: SimulatedNode, writes: Any) -> None:
        """A commit of the log is on disk."""

    def state_durable(self, node: SimulatedNode, generation: int, writes: Any) -> None:
        """A commit of a generation of the state is on disk."""

    def replied(self, node: SimulatedNode, replies: Replies) -> None:
        """The gateway answers a connection."""


class Place(Protocol):
    """The node's place in the network."""

    def add(self, member: SimulatedNode) -> None:
        """Connect the node with those added before."""

    def began(self, member: SimulatedNode) -> None:
        """A life has begun: it has no connections yet."""

    def gone(self, number: int) -> None:
        """The process has ended."""

    def send(self, sender: SimulatedNode, to: Address, message: Any) -> None:
        """Send to another node."""

    def peers_are(self, number: int, peers: Collection[int], leaving_seconds: float) -> None:
        """The node talks with ``peers`` from now on; with others no more, or only for so many seconds."""

    def pause_reading(self, number: int) -> None:
        """Take in no more messages for now."""

    def resume_reading(self, number: int) -> None:
        """Take them in again."""


class _Watched:
    """Wraps an actor, so that the watcher sees its messages first."""

    def __init__(self, node: SimulatedNode, role: str, actor: Actor) -> None:
        self._node = node
        self._role = role
        self._actor = actor

    def start(self, turn: Turn) -> None:
        self._actor.start(turn)

    def receive(self, turn: Turn, sender: Address, message: Any) -> None:
        """Let the watcher see the message, then the actor handle it."""
        self._node.watcher.delivered(self._node, self._role, sender, message)
        self._actor.receive(turn, sender, message)


class SimulatedNode:
    """Node ``number`` of a cluster that began with ``members``; down until ``start``.

    One that is none of them joins: it asks ``hints``, the nodes of its config file, for the log.
    """

    def __init__(
        self,
        number: int,
        members: tuple[int, ...],
        schedule: Schedule,
        network: Place,
        random: Random,
        commit_seconds: Callable[[], float],
        limits: Limits,
        timings: Timings,
        bounds: Bounds,
        choose_mode: Callable[[], str],
        wall_clock: WallClock,
        watcher: Watcher,
        hints: Collection[int] = (),
    ) -> None:
        self.number = number
        self.watcher = watcher
        self.up = False
        self.boot = 0
        self._drawn = 0  # the mode of its latest start
        self.incarnation = 0
        self.damaged = False
        """Whether its disk was lost or a stored byte flipped: it must not vote again, whatever happens."""
        self.clock_rate = 1.0
        self.resumed_at = 0.0
        """When it last went on after a pause, or began to take requests again, in simulated seconds."""
        self.request_seconds = timings.request_seconds
        self.silence_seconds = timings.silence_seconds
        self.host: Host
        self.readiness: Readiness
        """The identity of its present life."""
        self.clock = NodeClock(schedule, 1.0)
        hears = [partial(each, self) for each in (watcher.committing, watcher.durable, watcher.state_durable)]
        self.disk = Disk(schedule, commit_seconds, self.run, *hears)
        self.first_members = members
        self._hints = frozenset(hints) | frozenset(members) - {number}
        self._schedule = schedule
        self._network = network
        self._random = random
        self._limits = limits
        self._timings = timings
        self._bounds = bounds
        self._choose_mode = choose_mode
        self._wall_clock = wall_clock
        self.mode = LEADER
        """The mode of its present life."""
        self._hello: Hello
        self._contacts: Contacts
        self.initialise()
        network.add(self)

    def initialise(self) -> None:
        """Do with an empty disk what ``dkv init`` does."""
        self.incarnation = self._random.getrandbits(63)
        self._met = False
        self.disk.initialise(first_writes(CLUSTER, self.number, self.incarnation, self.first_members, b""))

    @property
    def classic(self) -> bool:
        """Whether its present life runs in classic mode."""
        return self.mode == CLASSIC

    @property
    def chosen_through(self) -> int:
        """The slot up to which its disk holds the log, and knows it to be chosen."""
        return unpack_number(self.disk.log.get(CHOSEN_THROUGH))

    # --- lives ---

    @property
    def life(self) -> Life:
        """The incarnation and the start's random number: no other life has both, not even on a copy of the disk."""
        return self.incarnation, self._drawn

    def start(self) -> None:
        """Begin a life on the contents of the disk, after the checks of a real node. A damaged disk begins none."""
        assert not self.up
        try:
            log = self.disk.log
            refuse_fenced(log, f"of node {self.number}")
            self.disk.states.open(generation_in_force(log))
            check_log(log, self.disk.states.current)
            known, votes = load_members(log), votes_of(log)
            identity = read_identity(log)
        except (DirectoryError, RecordCorrupt) as error:
            self.watcher.ended(self, "cannot start", error)
            return
        assert identity is not None
        identity, writes = next_life(identity, self._schedule.now, self._random.getrandbits(64))
        self.boot, self._drawn = identity.boot, identity.starts[-1].life
        log.commit_now(writes)
        self.mode = self._choose_mode()
        self._hello = hello_of(identity, self.mode, self._limits.frame_bytes_max, votes)
        state = self.disk.states.current
        stored, applied = state.get(CONFIGURATIONS), unpack_number(state.get(APPLIED_THROUGH))
        held = first_configurations(self.first_members) if stored is None else unpack_configurations(stored)
        self._contacts = Contacts(self._hello, known, self._hints, partial(self._network.peers_are, self.number))
        self.up = True
        self.clock = NodeClock(self._schedule, self.clock_rate)
        self.readiness = Readiness(self.number, self.request_seconds, self.clock.seconds, self.mode)
        self.host = Host(
            self.number,
            clock=self.clock,
            wall_clock=self._wall_clock,
            store=log,
            generations=self.disk.states,
            random=Random(self._random.getrandbits(64)),
            limits=self._limits,
            timings=self._timings,
            note=self._note,
            fail=self._failed,
        )
        life = self.life
        self.port = SimulatedPort(
            self.number,
            self.host,
            self._limits,
            lambda: self.life == life,
            lambda replies: self.watcher.replied(self, replies),
            self.resumes,
        )
        add_actors(
            self._add,
            identity,
            held,
            self._limits,
            self._timings,
            self.port,
            self._bounds,
            self.mode,
            self._hints,
            self._contacts.members_are,
        )
        self.host.connect(_Link(self, self._network), self.port)
        self._network.began(self)
        self._contacts.members_are(held, applied)
        self.watcher.started(self)
        self.host.start()
        self.disk.watch(self.number, self.clock, self.host, self._limits, self._timings, self._note)

    def _note(self, actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        assert actor in event.by, f"{event.name} is noted by {actor}, which is not in the table"
        take = self.readiness.takers.get(event)
        if take is not None:
            take(**fields)
        self.watcher.noted(self, actor, event, fields)

    def _add(self, role: str, actor: Actor) -> None:
        self.host.add(role, _Watched(self, role, actor))

    def crash(self, keep: bool = False) -> None:
        """kill -9: the disk keeps all of a commit under way, or nothing."""
        if self.up:
            self._end(keep)

    def _failed(self, reason: str, error: BaseException) -> None:
        """The host ends the process: its store or a handler failed, or its directory must not be used again."""
        if self.up:
            self._end(keep=self._random.random() < 0.5 and not isinstance(error, StoreFailed))
            if isinstance(error, Fenced) and self.disk.takes_writes:
                self.disk.log.commit_now(fence_writes(str(error)))
            self.watcher.ended(self, reason, error)

    def _end(self, keep: bool) -> None:
        self.up = False
        self.host.stop()
        self.clock.stop()
        self.disk.crash(keep, keep_state=self.disk.committing and self._random.random() < 0.5)
        self._network.gone(self.number)
        self.watcher.died(self)

    def resumes(self) -> None:
        """It goes on after a pause, or takes requests again: requests sent before may have waited."""
        self.resumed_at = self._schedule.now

    # --- what the network needs ---

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Handle now, or when the node goes on after a pause; never, if it is down."""
        if self.up:
            self.clock.run(call, *arguments)

    def hello(self) -> Hello:
        """What it says of itself at the beginning of a connection."""
        return self._hello

    def objection(self, hello: Hello, target: int | None, living: list[Start]) -> Objection | None:
        """Why it refuses the sender of ``hello``, by the mesh's rules."""
        return self._contacts.acquaintances.objection(hello, target, living)

    def meet(self, hello: Hello) -> None:
        """It takes the sender for its peer."""
        met = self._contacts.acquaintances.meet(hello)
        if met is not None and self.up:
            self.host.peer_met(hello.node, met)

    def refused_for_good(self, reason: str) -> None:
        """A peer says that its directory must never take part again."""
        if self.up:
            self.host.fence(reason)

    def told_removed(self, slot: int) -> None:
        """A peer says that this node is no member any more."""
        if self.up:
            self.host.removed(slot, ())

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """``node`` and this node have accepted each other."""
        if self.up:
            self.host.peer_up(node, incarnation, boot)

    def peer_down(self, node: int) -> None:
        """A connection with ``node``, which was up, is lost."""
        if self.up:
            self.host.peer_down(node)

    def peer_heard(self, node: int) -> None:
        """Bytes came in."""
        if self.up:
            self.host.peer_heard(node)

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """A message came in."""
        if self.up:
            if type(message) in VOTES:
                self._contacts.acquaintances.heard(sender.node, message)
            self.host.deliver(to_role, sender, message)

    def sending(self, to: Address, message: Any, size: int) -> bool:
        """Tell the watcher, which may end this life at this moment."""
        if self.up:
            if size > self._limits.frame_bytes_max:
                self.watcher.oversized(self, message, size)
            self.watcher.sending(self, to, message)
        return self.up

    def members_seen(self) -> bool:
        """Whether it is a first member, and its disk holds the incarnation of every other one."""
        if not self._met and self.number in self.first_members:
            met = {node_of(key) for key, _ in self.disk.log.scan(MEMBER)}
            self._met = met | {self.number} >= {*self.first_members}
        return self._met


class _Link:
    """The way from one life to the other nodes."""

    def __init__(self, node: SimulatedNode, network: Place) -> None:
        self._node = node
        self._network = network
        self._life = node.life

    def send(self, to: Address, sender: Address, message: Any) -> None:
        """Send, unless this life is over."""
        if self._node.life == self._life:
            self._network.send(self._node, to, message)

    def flush(self) -> None:
        """Nothing to do: nothing was held back."""

    def pause_reading(self) -> None:
        """Take in no more messages for now."""
        if self._node.life == self._life:
            self._network.pause_reading(self._node.number)

    def resume_reading(self) -> None:
        """Go on reading."""
        if self._node.life == self._life:
            self._network.resume_reading(self._node.number)
