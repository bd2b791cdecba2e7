"""The turn of an actor, as the host of its node gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

from dkv.actor import Address
from dkv.events import TimerFired
from dkv.host.layers import Layers
from dkv.host.seams import Call, Clock
from dkv.host.states import TurnStates
from dkv.storage.store import Generations, StoreFailed


class Keeper(Protocol):
    """What a turn needs of its host."""

    clock: Clock
    wall_ms: int
    woke_at: float
    layers: Layers
    generations: Generations

    def post(self, to: Address, sender: Address, message: Any) -> None:
        """Send a message on its way now."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        """Put a message into the mailbox."""

    def store_failed(self, failure: StoreFailed) -> None:
        """A store has failed: the node ends."""

    def installed(self) -> None:
        """The next commit of the log switches the state's generation."""


class HostTurn:
    """The ``Turn`` of one actor, used again for each message; what is asked of it takes effect when the turn ends."""

    __slots__ = (
        "_keeper",
        "address",
        "barrier",
        "due",
        "find",
        "load",
        "note",
        "now",
        "outbox",
        "persisted",
        "random",
        "scan",
        "scan_page",
        "stage",
        "stage_all",
        "states",
        "timers",
    )

    def __init__(self, keeper: Keeper, address: Address, random: Random, note: Callable[..., None]) -> None:
        self._keeper = keeper
        self.address = address
        self.random = random
        self.note = note
        layers = keeper.layers
        self.load, self.scan, self.stage = layers.load, layers.scan, layers.stage  # bound once: called for every key
        self.scan_page, self.stage_all, self.find = layers.scan_page, layers.stage_all, layers.find
        self.states = TurnStates(
            keeper.generations,
            layers,
            address.role,
            lambda role, message: keeper.deliver(role, address, message),
            self._install,
            keeper.store_failed,
        )
        self.now = 0.0
        self.barrier = 0
        """The number of the commit that the actor's messages wait for."""
        self.persisted = False
        """Whether the actor wrote something that no commit has taken over yet."""
        self.outbox: list[tuple[Address, Any]] = []
        """What was sent in this turn."""
        self.timers: dict[str, Call] = {}
        self.due: set[str] = set()
        """Timers that fired and were not handled yet: their messages wait in the mailbox."""

    @property
    def wall_ms(self) -> int:
        return self._keeper.wall_ms

    @property
    def woke_at(self) -> float:
        return self._keeper.woke_at

    def send(self, to: Address, message: Any) -> None:
        self.outbox.append((to, message))

    def send_early(self, to: Address, message: Any) -> None:
        self._keeper.post(to, self.address, message)

    def persist(self, key: bytes, value: bytes) -> None:
        self.persisted = True
        self._keeper.layers.persist(key, value)

    def persist_erase(self, key: bytes) -> None:
        self.persisted = True
        self._keeper.layers.persist(key, None)

    def stage_erase(self, key: bytes) -> None:
        self._keeper.layers.stage(key, None)

    def begin_trial(self) -> None:
        self._keeper.layers.state.begin_trial()

    def end_trial(self) -> None:
        self._keeper.layers.state.end_trial()

    def undo_trial(self) -> Iterable[bytes]:
        return self._keeper.layers.state.undo_trial()

    def _install(self) -> None:
        self.persisted = True
        self._keeper.installed()

    def set_timer(self, name: str, seconds: float) -> None:
        self.cancel_timer(name)
        self.timers[name] = self._keeper.clock.callLater(seconds, self._fire, name)

    def cancel_timer(self, name: str) -> None:
        self.due.discard(name)  # its message may wait in the mailbox: it counts for nothing there
        call = self.timers.pop(name, None)
        if call is not None:
            call.cancel()

    def _fire(self, name: str) -> None:
        del self.timers[name]
        self.due.add(name)
        self._keeper.deliver(self.address.role, self.address, TimerFired(name))
