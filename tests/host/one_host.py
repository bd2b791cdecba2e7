"""A host with scripted actors, a clock that tests turn, and a store whose commits end when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any

from twisted.internet.task import Clock

from dkv.actor import (
    ACCEPTOR,
    CATCHUP,
    ELECTOR,
    GATEWAY,
    LEARNER,
    PROPOSER,
    PUBSUB,
    RECEIVER,
    Address,
    Note,
    NoteFields,
    Turn,
)
from dkv.host.host import Host
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.settings import Limits, Timings
from dkv.sim.memory import MemoryStore
from dkv.sim.simulated_generations import SimulatedGenerations
from dkv.storage.store import StoreFailed

PEER = Address(2, ACCEPTOR)
OUTSIDE = Address(3, PROPOSER)
ROLES = (ACCEPTOR, ELECTOR, GATEWAY, LEARNER, PROPOSER, CATCHUP, PUBSUB, RECEIVER)
Script = Callable[[Turn], None]


def here(role: str) -> Address:
    """An actor of the host under test."""
    return Address(1, role)


def both(*scripts: Script) -> Script:
    """Several scripts in one turn."""

    def script(turn: Turn) -> None:
        for each in scripts:
            each(turn)

    return script


def persist(name: str, value: bytes = b"v") -> Script:
    """Persist a key of this name."""
    return lambda turn: turn.persist(name.encode(), value)


def stage(name: str, value: bytes = b"v") -> Script:
    """Stage a key of this name."""
    return lambda turn: turn.stage(name.encode(), value)


def send(message: Any, *to: Address) -> Script:
    """Send the message to all of ``to``, to a peer if none is named."""

    def script(turn: Turn) -> None:
        for address in to or (PEER,):
            turn.send(address, message)

    return script


def apply(slot: int) -> Script:
    """What a learner does with a slot: the state that a slot leaves, and the mark that covers it."""

    def script(turn: Turn) -> None:
        turn.stage(b"S" + str(slot % 3).encode(), pack_number(slot))
        if slot % 4 == 0:
            turn.stage_erase(b"S1")
        turn.stage(APPLIED_THROUGH, pack_number(slot))
        turn.send(PEER, slot)

    return script


def state_after(slot: int) -> dict[bytes, bytes]:
    """The keys on disk after ``apply`` of every slot up to this one."""
    state: dict[bytes, bytes] = {}
    for each in range(1, slot + 1):
        state[b"S" + str(each % 3).encode()] = pack_number(each)
        if each % 4 == 0:
            state.pop(b"S1", None)
        state[APPLIED_THROUGH] = pack_number(each)
    return state


class Store(MemoryStore):
    """Remembers what each commit wrote."""

    def __init__(self, auto: bool = False) -> None:
        super().__init__(auto)
        self.commits: list[dict[bytes, bytes | None]] = []

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        self.commits.append(dict(writes))
        super().commit(writes, done)


class Scripted:
    """Does what a message that can be called says; remembers the others."""

    def __init__(self, deliveries: list[tuple[Address, Address, Any]], address: Address, on_start: Script) -> None:
        self._deliveries = deliveries
        self._address = address
        self._on_start = on_start

    def start(self, turn: Turn) -> None:
        self._on_start(turn)

    def receive(self, turn: Turn, sender: Address, message: Any) -> None:
        if callable(message):
            message(turn)
        else:
            self._deliveries.append((self._address, sender, message))


class Network:
    """Keeps what is sent; may refuse it."""

    def __init__(self, deliveries: list[tuple[Address, Address, Any]]) -> None:
        self._deliveries = deliveries
        self.paused: list[bool] = []
        self.error: Exception | None = None

    def send(self, to: Address, sender: Address, message: Any) -> None:
        if self.error is not None:
            raise self.error
        self._deliveries.append((to, sender, message))

    def flush(self) -> None:
        """Nothing was kept back."""

    def collect(self) -> None:
        """Nothing is gathered."""

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)


class OneHost:
    """Node 1. ``deliveries`` are (to, sender, message), in order, of every actor here and of the network."""

    def __init__(
        self,
        store: Store | None = None,
        starts: Mapping[str, Script] | None = None,
        limits: Limits | None = None,
        auto: bool = False,
        generations: SimulatedGenerations | None = None,
    ) -> None:
        self.store = store or Store(auto)
        self.generations = generations or SimulatedGenerations(lambda _: Store(auto))
        self.clock = Clock()
        clock: Any = self.clock  # its calls are typed by zope's interfaces
        self.clock.advance(1000.0)
        self.deliveries: list[tuple[Address, Address, Any]] = []
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        self.failures: list[tuple[str, BaseException]] = []
        self.network = Network(self.deliveries)
        self.clients = Network([])
        self.timings = Timings()
        self.wall_clock = count(1_795_000_000_000)
        """Each reading shows one millisecond more."""
        self.host = Host(
            1,
            clock=clock,
            wall_clock=lambda: next(self.wall_clock),
            store=self.store,
            generations=self.generations,
            random=Random(1),
            limits=limits or Limits(),
            timings=self.timings,
            note=self._note,
            fail=lambda reason, error: self.failures.append((reason, error)),
        )
        for role in ROLES:
            script = (starts or {}).get(role, lambda turn: None)
            self.host.add(role, Scripted(self.deliveries, here(role), script))
        self.host.connect(self.network, self.clients)
        self.host.start()
        self.settle()

    def _note(self, actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        self.notes.append((actor, event.name, fields))

    def settle(self) -> None:
        """Let the host do all that is due by now."""
        self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, from one call that falls due to the next: ``Clock.advance`` would jump over them."""
        end = self.clock.seconds() + seconds
        while due := [call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() <= end]:
            self.clock.advance(max(0.0, min(due) - self.clock.seconds()))
        self.clock.advance(end - self.clock.seconds())

    def do(self, role: str, *scripts: Script) -> None:
        """Let an actor run scripts, one turn each."""
        for script in scripts:
            self.host.deliver(role, OUTSIDE, script)
        self.settle()

    def complete(self) -> None:
        """The commit under way is on disk."""
        self.store.complete()
        self.settle()

    @property
    def state(self) -> Store:
        """The store of the state in force."""
        store = self.generations.current
        assert isinstance(store, Store)
        return store

    def write_back(self) -> None:
        """The write-back under way is on disk."""
        self.state.complete()
        self.settle()

    def take(self) -> list[Any]:
        """The messages delivered since the last ``take``."""
        taken = [message for _, _, message in self.deliveries]
        self.deliveries.clear()
        return taken
