"""The simulated disk of one node: durable bytes outlive its lives, and it can do all that disks do wrong.

It holds the log and the generations of the state. Commits are atomic and take time. A crash during a commit leaves all
of it or nothing, because LevelDB cuts a torn commit off its log. The production checksums find a flipped bit when it is
read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from dkv.actor import ELECTOR, HOST, Address, TakesNotes
from dkv.host.calls import PlannedCall
from dkv.host.host import Host
from dkv.host.seams import Clock
from dkv.keys import STATE, TOKEN
from dkv.node.disk_watch import DiskWatch
from dkv.settings import Limits, Timings
from dkv.sim.memory import MemoryStore
from dkv.sim.schedule import Schedule
from dkv.sim.simulated_generations import SimulatedGenerations
from dkv.storage.room import Room
from dkv.storage.seal import seal
from dkv.storage.state_directories import FIRST_GENERATION, generation_in_force, generation_writes
from dkv.storage.store import StoreFailed

STRAY = TOKEN + b"A\xff nobody wrote this"
"""An answer that no client asks for, and no count has: until the node is found out, clients must get right answers."""

TOTAL_BYTES = 1 << 40
"""Of every disk: much more than a run can write, so how much is free is a matter of faults alone."""

Writes = Mapping[bytes, bytes | None]
Done = Callable[[StoreFailed | None], None]


@dataclass
class DiskFaults:
    """What is wrong with a disk, for all stores on it."""

    stuck: bool = False
    full: bool = False
    broken: bool = False
    """The next commit fails, once."""
    free_bytes: int = TOTAL_BYTES
    """What others have left free; what is stored here does not count."""


class TimedStore(MemoryStore):
    """A store on a disk with ``faults``.

    ``commit_seconds()`` says how long a commit takes, 0 for no time. ``run`` makes a call when the node runs.
    ``on_commit()`` hears of each commit before it begins, ``on_durable(writes)`` when it is on disk. Both may end
    the life of the node at that moment.
    """

    def __init__(
        self,
        schedule: Schedule,
        commit_seconds: Callable[[], float],
        run: Callable[..., None],
        faults: DiskFaults,
        on_commit: Callable[[], None],
        on_durable: Callable[[Writes], None],
    ) -> None:
        super().__init__()
        self._schedule = schedule
        self._commit_seconds = commit_seconds
        self._run = run
        self.faults = faults
        self._on_commit = on_commit
        self._on_durable = on_durable
        self._finishing: PlannedCall | None = None
        self._writes: Writes = {}

    def commit(self, writes: Writes, done: Done) -> None:
        """Begin a commit."""
        super().commit(writes, lambda failure: self._run(done, failure))
        self._writes = writes
        self._finishing = None
        self._on_commit()
        if self.committing and not self.faults.stuck:
            seconds = self._commit_seconds()
            if seconds:
                self._finishing = self._schedule.after(seconds, self._finish)
            else:
                self._finish()

    def commit_now(self, writes: Writes) -> None:
        """Commit at once: for the writes of a start, before the node runs."""
        for key, value in writes.items():
            self._put(key, None if value is None else seal(key, value))
        self._on_durable(writes)

    def slip_in(self, key: bytes, value: bytes) -> None:
        """A pair is on the disk from now on that nobody wrote."""
        self._put(key, seal(key, value))

    def go_on(self) -> None:
        """The disk is stuck no more: the commit under way ends at once."""
        if self.committing:
            if self._finishing is not None:
                self._finishing.cancel()
            self._finish()

    def lose(self, keep: bool) -> None:
        """The process is gone. The disk has all of a commit under way (``keep``) or nothing."""
        if self._finishing is not None:
            self._finishing.cancel()
        if self.committing and keep and not (self.faults.full or self.faults.broken):
            self._keep()
        super().crash()
        self._failure = None

    def crash(self) -> None:
        """Lose the commit under way."""
        self.lose(keep=False)

    def _finish(self) -> None:
        self._finishing = None
        if self.faults.full:
            self.fail("the disk is full")
        elif self.faults.broken:
            self.faults.broken = False
            self.fail("input/output error")
        else:
            self.complete()

    def _keep(self) -> None:
        super()._keep()
        self._on_durable(self._writes)


class NoReserve:
    """A disk of which nothing can be set aside. Whether a start finds room is up to the fault ``full``."""

    held_bytes = 0

    def give_up_if_full(self, free_bytes: int) -> int:
        """There is nothing to give up."""
        return 0

    def make(self, size: int) -> bool:
        """It cannot be made."""
        return False


class Disk:
    """The disk of one node: its ``log``, and its ``states``.

    ``on_durable(writes)`` hears of the log's commits, ``on_state(generation, writes)`` of those of the states.
    """

    def __init__(
        self,
        schedule: Schedule,
        commit_seconds: Callable[[], float],
        run: Callable[..., None],
        on_commit: Callable[[], None],
        on_durable: Callable[[Writes], None],
        on_state: Callable[[int, Writes], None],
    ) -> None:
        self.faults = DiskFaults()
        self.altered = False
        """Whether a pair is in the state that nobody wrote."""

        def make(on_durable: Callable[[Writes], None]) -> TimedStore:
            return TimedStore(schedule, commit_seconds, run, self.faults, on_commit, on_durable)

        self.log = make(on_durable)

        def make_state(generation: int) -> TimedStore:
            return make(lambda writes: on_state(generation, writes))

        self._make_state = make_state
        self.states = SimulatedGenerations(make_state)

    @property
    def takes_writes(self) -> bool:
        """Whether a commit that begins now would end, without an error."""
        return not (self.faults.stuck or self.faults.full or self.faults.broken)

    @property
    def committing(self) -> bool:
        """Whether a commit is under way."""
        return any(store.committing for store in self._stores())

    def initialise(self, writes: Writes) -> None:
        """Do with an empty disk what ``dkv init`` does: ``writes`` are the log's."""
        self.log.commit_now({**generation_writes(FIRST_GENERATION), **writes})

    def room(self) -> Room:
        """How much is free."""
        return Room(0 if self.faults.full else self.faults.free_bytes, TOTAL_BYTES)

    def watch(self, node: int, clock: Clock, host: Host, limits: Limits, timings: Timings, note: TakesNotes) -> None:
        """Watch this disk, as a real node does, for as long as ``clock`` goes."""
        DiskWatch(
            clock,
            limits,
            timings.stuck_disk_seconds,
            self.room,
            NoReserve(),
            lambda: host.commit_seconds,
            lambda measured: host.deliver(ELECTOR, Address(node, HOST), measured),
            note,
        ).start()

    def unstick(self) -> None:
        """Commits end again; those under way end at once."""
        self.faults.stuck = False
        for store in self._stores():
            store.go_on()

    def crash(self, keep: bool = False, keep_state: bool = False) -> None:
        """The process is gone. The disk has all of each commit under way (``keep``) or nothing."""
        self.log.lose(keep)
        for store in self._stores()[1:]:
            store.lose(keep_state)
        self.faults.broken = False

    def flip(self, random: Random) -> bytes | None:
        """Flip one bit of a stored value with a checksum, and return its key; None if there is no such value."""
        stores = (self.log, self.states.current)
        held = [(store, key) for store in stores for key in store.durable if key[:1] != STATE]
        if not held:
            return None
        store, key = random.choice(held)
        stored = bytearray(store.durable[key])
        stored[random.randrange(len(stored))] ^= 1 << random.randrange(8)
        store.durable[key] = bytes(stored)
        return key

    def alter(self) -> None:
        """The state in force changes at rest, and every checksum is right: software below, or a person, wrote it."""
        store = self.states.current
        assert isinstance(store, TimedStore)
        store.slip_in(STRAY, b"")
        self.altered = True

    def copied(self) -> DiskCopy:
        """A copy of all that is durable at this moment."""
        return DiskCopy(self.log.copied(), {each: store.copied() for each, store in self.states.stores.items()})

    def restore(self, copy: DiskCopy) -> None:
        """From now on hold what ``copy`` holds, and nothing else."""
        self.crash()
        self.log.replace(copy.log)
        self.states = SimulatedGenerations(self._make_state)
        self.states.stores.clear()
        for generation, store in copy.states.items():
            self.states.stores[generation] = self._make_state(generation)
            self.states.stores[generation].replace(store)
        self.states.in_force = generation_in_force(copy.log)

    def wipe(self) -> None:
        """Everything is lost: from now on this is a new, empty disk."""
        self.crash()
        self.log.replace(MemoryStore())
        self.states = SimulatedGenerations(self._make_state)

    def _stores(self) -> list[TimedStore]:
        return [self.log, *(each for each in self.states.stores.values() if isinstance(each, TimedStore))]


@dataclass(frozen=True)
class DiskCopy:
    """What a disk held: its log, and the generations of its state."""

    log: MemoryStore
    states: dict[int, MemoryStore]
