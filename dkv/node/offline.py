"""A log applied to a state without a node: what a start would replay, and what a survivor's peers can no longer tell.

The host and the learner are those of a node, so that every slot does what it would do there. There is no network, no
clock but one that is moved on by hand, and no acceptor: the values come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from random import Random
from typing import Any, Protocol

from twisted.internet.task import Clock

from dkv.actor import ACCEPTOR, LEARNER, Actor, Address, Note, NoteFields, Turn
from dkv.configurations import Configurations, unpack_configurations
from dkv.host.host import Host
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, COMPACTED, CONFIGURATIONS, DIGEST, DIGEST_BYTES, pack_compacted, unpack_number
from dkv.node.assembly import add_actors
from dkv.records import Value, value_bytes
from dkv.settings import Limits, Timings
from dkv.state_messages import ChosenSlots, ReadChosen
from dkv.storage.store import Store, StoreFailed, StoreView


class WrittenState(Protocol):
    """What is needed of the state, such as a ``StateDirectory``."""

    def get(self, key: bytes) -> bytes | None:
        """As ``Store.get``."""

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """As ``Store.find``."""

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """As ``Store.scan``."""

    def commit_now(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Write all or nothing, durably; ``StoreFailed`` if the disk refuses."""


ValueOf = Callable[[int], Value]
"""The value of a slot."""


def apply_log(
    identity: Identity,
    configurations: Configurations,
    state: WrittenState,
    value_of: ValueOf,
    through: int,
    done: Callable[[int], object] = lambda size: None,
) -> None:
    """Apply the slots behind those that ``state`` amounts to, up to ``through``, and write all of it into ``state``.

    ``identity`` is that of a node of the cluster whose log it is, and ``configurations`` what that cluster began with.
    ``done`` is called with the size of each piece of the log that was read, in bytes. ``StoreFailed`` if the disk
    refuses; whatever ``value_of`` raises is raised here.
    """
    failures: list[BaseException] = []
    clock, limits, timings = Clock(), Limits(), Timings()
    host = Host(
        identity.node,
        clock=clock,
        wall_clock=lambda: 0,
        store=_NoLog(state),
        generations=_OneState(state),
        random=Random(0),  # nothing that is applied depends on it, nor on the time of day
        limits=limits,
        timings=timings,
        note=_ignore,
        fail=lambda reason, error: failures.append(error),
    )
    log = _Log(value_of, through, limits.catchup_bytes_max, done)

    def add(role: str, actor: Actor) -> None:
        host.add(role, log if role == ACCEPTOR else actor if role == LEARNER else _Silent())

    add_actors(add, identity, configurations, limits, timings, _Silent())
    host.start()
    clock.advance(0)  # to the end of the log: each drain of the mailbox wakes the next one
    clock.advance(timings.write_back_seconds)  # what was not written back by then
    host.stop()
    if failures:
        raise failures[0]
    reached = unpack_number(state.get(APPLIED_THROUGH))
    assert reached == through, f"the state has come to slot {reached}, not to {through}"


def members_after(
    identity: Identity, configurations: Configurations, state: Store, value_of: ValueOf, through: int
) -> Configurations:
    """The sets of members after slot ``through``. As ``apply_log``, but ``state`` does not change.

    What the slots write is kept in memory: those that a node had applied, and not written back when it stopped.
    """
    above = _Above(state)
    apply_log(identity, configurations, above, value_of, through)
    stored = above.get(CONFIGURATIONS)
    return configurations if stored is None else unpack_configurations(stored)


def _ignore(actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
    """Nobody reads the notes of a node that does not run."""


class _Silent:
    """Stands for the actors that have nothing to do."""

    def start(self, turn: Turn) -> None:
        """Nothing to start."""

    def receive(self, turn: Turn, sender: Address, message: Any) -> None:
        """Nobody is here to answer."""


class _Log:
    """Stands for the acceptor: all slots up to ``through`` are chosen. A piece has about ``bytes_max``."""

    def __init__(self, value_of: ValueOf, through: int, bytes_max: int, done: Callable[[int], object]) -> None:
        self._value_of = value_of
        self._through = through
        self._bytes_max = bytes_max
        self._done = done

    def start(self, turn: Turn) -> None:
        """The learner asks first."""

    def receive(self, turn: Turn, sender: Address, message: Any) -> None:
        """Answer the learner's question for more slots with the next piece."""
        if not isinstance(message, ReadChosen):
            return
        values: list[Value] = []
        size = 0
        while message.from_slot + len(values) <= self._through and size < self._bytes_max:
            values.append(self._value_of(message.from_slot + len(values)))
            size += value_bytes(values[-1])
        self._done(size)
        turn.send(sender, ChosenSlots(message.from_slot, tuple(values), self._through))


class _NoLog:
    """Stands for the log's store: its beginning is where the state ends, and what is written is not kept."""

    def __init__(self, state: WrittenState) -> None:
        applied_through, digest = unpack_number(state.get(APPLIED_THROUGH)), state.get(DIGEST)
        self._held = {COMPACTED: pack_compacted(applied_through, digest or bytes(DIGEST_BYTES))}

    def get(self, key: bytes) -> bytes | None:
        return self._held.get(key)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        return ((key, self.get(key)) for key in keys)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        done(None)

    def close(self) -> None:
        """Nothing is open."""


class _Above:
    """A state that stays as it is, and writes above it, in memory."""

    def __init__(self, state: Store) -> None:
        self._state = state
        self._writes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._writes[key] if key in self._writes else self._state.get(key)

    def find(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        return ((key, self.get(key)) for key in keys)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        above = {key: value for key, value in self._writes.items() if key.startswith(prefix) and key >= start}
        below = (pair for pair in self._state.scan(prefix, start) if pair[0] not in above)
        return merge(below, sorted((key, value) for key, value in above.items() if value is not None))

    def commit_now(self, writes: Mapping[bytes, bytes | None]) -> None:
        self._writes.update(writes)


class _OneState:
    """The state that is written, as the only generation. Its commits end before they return."""

    def __init__(self, state: WrittenState) -> None:
        self._state = state
        self.get, self.find, self.scan = state.get, state.find, state.scan

    @property
    def current(self) -> _OneState:
        """The state."""
        return self

    def commit(self, writes: Mapping[bytes, bytes | None], done: Callable[[StoreFailed | None], None]) -> None:
        """As ``Store.commit``."""
        try:
            self._state.commit_now(writes)
        except StoreFailed as failure:
            done(failure)
        else:
            done(None)

    def view(self) -> StoreView:
        """Nobody wants one."""
        raise AssertionError("nothing looks at the state while it is written")

    def close(self) -> None:
        """The caller closes it."""

    def begin(self) -> int:
        """There is no other one."""
        raise AssertionError("no snapshot is fetched")

    def beside(self, generation: int) -> _OneState:
        """As above."""
        raise AssertionError(f"there is no generation {generation}")

    def switch(self, generation: int) -> None:
        """As above."""
        raise AssertionError(f"there is no generation {generation}")

    def settle(self) -> None:
        """As above."""
        raise AssertionError("nothing was switched")

    def abandon(self, generation: int) -> None:
        """As above."""
        raise AssertionError(f"there is no generation {generation}")
