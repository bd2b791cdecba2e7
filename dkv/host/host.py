"""The host: runs the actors of one node against a clock, a network and a store, and keeps "persist, then send".

It drains the mailbox, one turn for each message (``turn.py``). All that the turns persisted goes into one commit, and
one commit is under way at a time (``commits.py``). A message leaves once everything that its actor had persisted by
then is on disk. The disk's speed sets the size of commits: there is no batching timer. Clocks, network, stores and
randomness are handed in (``seams.py``), so the simulator runs this same file.

The state is written back to a store of its own, always behind the commit of the log that holds the slots it amounts to:
on disk the state is never ahead of the log.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from typing import Any

from dkv import noted
from dkv.actor import (
    ACCEPTOR,
    CATCHUP,
    ELECTOR,
    GATEWAY,
    HOST,
    LEARNER,
    PROPOSER,
    PUBSUB,
    RECEIVER,
    ROSTER,
    Actor,
    Address,
    Fenced,
    TakesNotes,
)
from dkv.events import Captured, PeerDown, PeerHeard, PeerMet, PeerUp, RemovalTold, TimerFired, WrittenBack
from dkv.host.commits import Commits
from dkv.host.layers import Layers, StateLayers
from dkv.host.seams import Call, ClientPort, Clock, Network, Source, WallClock
from dkv.host.states import DurableState
from dkv.host.turn import HostTurn
from dkv.host.write_back import WriteBack
from dkv.identity import Acquaintance
from dkv.keys import APPLIED_THROUGH, unpack_number
from dkv.settings import Limits, Timings
from dkv.storage.store import Generations, Store, StoreFailed

FROZEN_SECONDS = 1.0
"""A node has turns several times a second: if it had none for so long, its process was stopped, or got no processor."""

TURNS_PER_DRAIN = 2_000
"""How many turns the host takes before it lets the reactor look at its sockets and timers again."""

LEARNER_SECONDS = 0.02
"""For how long the learner goes on before the host does so, too: what there is to apply may be a long log."""

Letter = tuple[str, Address, Any]
"""The role of the actor that a message is for, its sender, and the message."""


class Host:
    """Runs the actors of ``node``.

    ``note`` receives (actor, event, fields) for logs and metrics. ``fail`` ends the process, with a reason: the host
    calls it when the store fails or a handler raises, and delivers nothing to anyone after that.
    """

    def __init__(
        self,
        node: int,
        *,
        clock: Clock,
        wall_clock: WallClock,
        store: Store,
        generations: Generations,
        random: Random,
        limits: Limits,
        timings: Timings,
        note: TakesNotes,
        fail: Callable[[str, BaseException], None],
    ) -> None:
        self.clock = clock
        self.wall_ms = 0
        self.woke_at = -inf
        self._turns_at = 0.0
        self.layers = Layers(store, generations.current)
        self.generations = generations
        self._node = node
        self._wall_clock = wall_clock
        self._store = store
        self._random = random
        self._limits = limits
        self._note = note
        self._fail = fail
        self._network: Network | None = None
        self._clients: ClientPort | None = None
        self._actors: dict[str, tuple[Actor, HostTurn]] = {}
        self._mailbox: deque[Letter] = deque()
        self._to_learner: deque[Letter] = deque()
        self._drain_due: Call | None = None
        self._draining = False
        self._commits = Commits()
        self._write_back = WriteBack(self.layers, clock, limits, timings, self._drain)
        self._learner_rests_at = 0.0
        self._switching = 0  # the number of the commit that switches the state's generation; 0: none
        self._writing_state = False
        self._reading_paused = False
        self.sent: defaultdict[type, int] = defaultdict(int)
        """How many messages of each class were sent, within the node too."""
        self.failed = False
        """Whether the node has ended, by a failure or by ``stop``: it does nothing any more."""

    def add(self, role: str, actor: Actor) -> None:
        """Take in the actor that plays ``role``; before ``start``."""
        address = Address(self._node, role)
        self._actors[role] = (actor, HostTurn(self, address, self._random, partial(self._note, role)))

    def connect(self, network: Network, clients: ClientPort | None = None) -> None:
        """Name the way to other nodes, and where clients come from; before ``start``."""
        self._network = network
        self._clients = clients

    def start(self) -> None:
        """Start every actor; their messages wait for the first drain, when all have started."""
        self.wall_ms, self._turns_at = self._wall_clock(), self.clock.seconds()
        for role, (actor, turn) in self._actors.items():
            turn.now = self.clock.seconds()
            try:
                actor.start(turn)
                self._let_go(turn)
            except Exception as error:  # As in a later turn: the actor's state may be half changed.
                self._end(f"the {role} failed on its start", error)
                return
        self.wake()

    @property
    def mailbox_length(self) -> int:
        """How many messages wait to be handled."""
        return len(self._mailbox) + len(self._to_learner)

    @property
    def commit_seconds(self) -> float:
        """For how long a commit has been under way; 0 if none is."""
        return self._commits.seconds(self.clock.seconds()) if self._commits.under_way else 0.0

    def fence(self, reason: str) -> None:
        """The directory must never take part again: as if an actor had raised ``Fenced``."""
        self._end("the node is fenced", Fenced(reason))

    def stop(self) -> None:
        """Handle, write and send nothing more; a commit under way may still finish on disk."""
        self._end_turns()
        calls = [call for _, turn in self._actors.values() for call in turn.timers.values()]
        for call in (*calls, self._drain_due):
            if call is not None and call.active():
                call.cancel()
        self._write_back.stop()

    # --- in ---

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """Put a message into the mailbox; it is handled soon, not now."""
        if not self.failed:
            (self._to_learner if to_role == LEARNER else self._mailbox).append((to_role, sender, message))
            self.wake()

    def peer_met(self, node: int, acquaintance: Acquaintance) -> None:
        """The mesh has accepted a Hello of a life of ``node`` for the first time."""
        self.deliver(ACCEPTOR, Address(node, ACCEPTOR), PeerMet(node, acquaintance))

    def removed(self, slot: int, addresses: tuple[str, ...]) -> None:
        """A member says that this node is none any more."""
        for role in (ROSTER, GATEWAY):
            self.deliver(role, Address(self._node, HOST), RemovalTold(slot, addresses))

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        """The mesh has exchanged Hellos with ``node``."""
        for role in (ACCEPTOR, ELECTOR, PROPOSER, GATEWAY, LEARNER, CATCHUP, RECEIVER, PUBSUB):
            self.deliver(role, Address(node, role), PeerUp(node, incarnation, boot))

    def peer_down(self, node: int) -> None:
        """The mesh has lost ``node``."""
        for role in (ELECTOR, PUBSUB):
            self.deliver(role, Address(node, role), PeerDown(node))

    def peer_heard(self, node: int) -> None:
        """Bytes of ``node`` came in."""
        self.deliver(ELECTOR, Address(node, ELECTOR), PeerHeard(node))

    def post(self, to: Address, sender: Address, message: Any) -> None:
        """Send a message on its way now: into the mailbox here, or to the network."""
        self.sent[type(message)] += 1
        if to.node == self._node:  # not by ``deliver``: nearly all messages go this way, and a drain is under way
            (self._to_learner if to.role == LEARNER else self._mailbox).append((to.role, sender, message))
        elif self._network is not None:
            self._network.send(to, sender, message)

    # --- turns ---

    def wake(self) -> None:
        """A source has gathered something: ask it soon."""
        if self._drain_due is None and not self._draining and not self.failed:
            self._drain_due = self.clock.callLater(0, self._drain)

    def _drain(self) -> None:
        """Handle what is in the mailbox and what that sends here, and commit what was persisted.

        The learner's turns come behind the commit: while it is under way, here or on peers that wait for this node's
        vote, what was chosen before is applied.
        """
        self._drain_due, self._draining = None, True
        try:
            self._collect()
            turns, more = TURNS_PER_DRAIN, True
            self._learner_rests_at = self.clock.seconds() + LEARNER_SECONDS
            while more:
                turns = self._take_turns(self._mailbox or self._to_learner, turns)
                self._flush()  # before the commit, which may be made on this thread: peers work while this disk does
                self._commit()
                more = turns > 0 and not self.failed and bool(self._mailbox or self._to_learner)
            self._draining = False
            self._collect()  # what turns have let in, whose ``wake`` was not heard
        except Exception as error:  # Such as no memory: half of something is done.
            self._end("the host failed between turns", error)
        if self._mailbox or self._to_learner:
            self.wake()
        self._balance_reading()

    def _collect(self) -> None:
        if self._clients is not None and not self.failed:
            self._clients.collect()

    def _take_turns(self, letters: deque[Letter], turns: int) -> int:
        """Handle letters, and those that come meanwhile, in ``turns`` turns at most; how many turns are left."""
        actors, now = self._actors, self.clock.seconds()
        self.wall_ms = self._wall_clock()
        if now - self._turns_at > FROZEN_SECONDS:
            self.woke_at = now
        self._turns_at = now
        while letters and turns > 0 and not self.failed:
            turns -= 1
            role, sender, message = letters.popleft()
            actor, turn = actors[role]
            if type(message) is TimerFired:
                if message.name not in turn.due:
                    continue  # replaced or cancelled while it waited in the mailbox
                turn.due.remove(message.name)
            turn.now = now
            try:
                actor.receive(turn, sender, message)
                if turn.outbox or turn.persisted:
                    self._let_go(turn)
            except Exception as error:  # A handler's mistake must not be survived: its state may be half changed.
                self._end(f"the {role} failed on {message!r:.200}", error)
            if role == LEARNER and self.clock.seconds() >= self._learner_rests_at:
                return 0
        return turns

    def _flush(self) -> None:
        if self._network is not None and not self.failed:
            self._network.flush()

    def _let_go(self, turn: HostTurn) -> None:
        """What the turn sent goes now, or with the commit that the actor's newest write is in."""
        commits = self._commits
        if turn.persisted:  # the write is in the next commit: all that the actor says from now on rests on that
            turn.persisted = False
            turn.barrier = commits.begun + 1
        outbox = turn.outbox
        if not outbox or self.failed:
            return
        turn.outbox = []
        if turn.barrier > commits.durable:
            commits.hold(turn.barrier, turn.address, outbox)
        else:
            for to, message in outbox:
                self.post(to, turn.address, message)

    def _end(self, reason: str, error: BaseException) -> None:
        """Nothing is answered or written from here on: what is in memory may not be what the disk will show."""
        if isinstance(error, StoreFailed):
            reason = "the store failed"  # whoever met it, it is no mistake of theirs
        if not self.failed:
            self._end_turns()
            self._fail(reason, error)

    def _end_turns(self) -> None:
        self.failed = True
        self._mailbox.clear()
        self._to_learner.clear()

    # --- commits ---

    def _commit(self) -> None:
        """Hand everything undurable to the store, unless a commit is under way or there is nothing to write."""
        if self._commits.under_way or self.failed:
            return
        state = self.layers.state
        write_back = state.writing is None and (state.closed is not None or self._write_back.is_due())
        writes = self.layers.begin_commit(write_back)
        if write_back:
            self._write_back.written()
        if writes:
            self._commits.begin(self.clock.seconds())
            self._store.commit(writes, self._committed)
        elif write_back:
            self._write_state()  # the log holds all that it amounts to

    def _committed(self, failure: StoreFailed | None) -> None:
        if failure is not None:
            self.store_failed(failure)
        if self.failed:
            return
        parcels = self._commits.end()
        self._note(HOST, noted.committed, seconds=self._commits.seconds(self.clock.seconds()))
        self.layers.log.end_commit()
        self._settle_generation()
        self._write_state()
        try:
            for to, sender, message in parcels:
                self.post(to, sender, message)
            self._flush()
        except Exception as error:  # As in a turn: a message that cannot be sent must not be missed in silence.
            self._end("a message could not be sent", error)
        if not self._draining:
            self._drain()

    def store_failed(self, failure: StoreFailed) -> None:
        """A store has failed: what is in memory may never be on disk."""
        self._end("the store failed", failure)

    # --- the state ---

    def _write_state(self) -> None:
        """Begin the write-back that waited for the log, if one did."""
        state = self.layers.state
        if state.writing is not None and not self._writing_state:
            self._writing_state = True
            self.generations.current.commit(state.writing.writes, partial(self._state_written, state))

    def _state_written(self, state: StateLayers, failure: StoreFailed | None) -> None:
        if failure is not None:
            self.store_failed(failure)
        if self.failed or state is not self.layers.state:
            return  # The second: a snapshot has taken the place of that state meanwhile.
        self._writing_state = False
        written, here = state.end_write_back(), Address(self._node, HOST)
        try:
            for role in written.wanted_by:  # now: the next write-back must not come between
                self.deliver(role, here, Captured(DurableState(self.generations.current.view())))
        except StoreFailed as error:  # What belongs to the state as a whole is damaged.
            self.store_failed(error)
            return
        through = unpack_number(written.writes.get(APPLIED_THROUGH))
        if through:
            self.deliver(LEARNER, here, WrittenBack(through))
        self.wake()

    def installed(self) -> None:
        """The next commit of the log switches the state's generation."""
        self._writing_state = False
        self._switching = self._commits.begun + 1

    def _settle_generation(self) -> None:
        if 0 < self._switching <= self._commits.durable:
            self._switching = 0
            self.generations.settle()

    def _balance_reading(self) -> None:
        """Stop taking in what the disk cannot keep up with; go on when half of that is done."""
        limit = self._limits.undurable_bytes_max // (2 if self._reading_paused else 1)
        if self._reading_paused != (self.layers.undurable_bytes > limit):
            self._reading_paused = not self._reading_paused
            for source in self._sources():
                (source.pause_reading if self._reading_paused else source.resume_reading)()

    def _sources(self) -> list[Source]:
        return [source for source in (self._network, self._clients) if source is not None]
