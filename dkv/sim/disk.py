"""The simulated disk of one node: durable bytes outlive its lives, and it can do all that disks do wrong.

Commits are atomic and take time. A crash during a commit leaves all of it or nothing, because LevelDB cuts a torn
commit off its log. The production checksums find a flipped bit when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from dkv.host.calls import PlannedCall
from dkv.keys import STATE
from dkv.sim.memory import MemoryStore
from dkv.sim.schedule import Schedule
from dkv.storage.seal import seal
from dkv.storage.store import StoreFailed

Writes = Mapping[bytes, bytes | None]
Done = Callable[[StoreFailed | None], None]


class Disk(MemoryStore):
    """``commit_seconds()`` says how long a commit takes, 0 for no time. ``run`` makes a call when the node runs.

    ``on_commit()`` hears of each commit before it begins, ``on_durable(writes)`` when it is on disk. Both may end
    the life of the node at that moment.
    """

    def __init__(
        self,
        schedule: Schedule,
        commit_seconds: Callable[[], float],
        run: Callable[..., None],
        on_commit: Callable[[], None],
        on_durable: Callable[[Writes], None],
    ) -> None:
        super().__init__()
        self._schedule = schedule
        self._commit_seconds = commit_seconds
        self._run = run
        self._on_commit = on_commit
        self._on_durable = on_durable
        self._finishing: PlannedCall | None = None
        self._writes: Writes = {}
        self.stuck = False
        self.full = False
        self.broken = False
        """The next commit fails, once."""

    @property
    def takes_writes(self) -> bool:
        """Whether a commit that begins now would end, without an error."""
        return not (self.stuck or self.full or self.broken)

    def commit(self, writes: Writes, done: Done) -> None:
        """Begin a commit."""
        super().commit(writes, lambda failure: self._run(done, failure))
        self._writes = writes
        self._finishing = None
        self._on_commit()
        if self.committing and not self.stuck:
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

    def unstick(self) -> None:
        """Commits end again; the one under way ends at once."""
        self.stuck = False
        if self.committing:
            if self._finishing is not None:
                self._finishing.cancel()
            self._finish()

    def crash(self, keep: bool = False) -> None:
        """The process is gone. The disk has all of a commit under way (``keep``) or nothing."""
        if self._finishing is not None:
            self._finishing.cancel()
        if self.committing and keep and not (self.full or self.broken):
            self._keep()
        super().crash()
        self._failure = None
        self.broken = False

    def flip(self, random: Random) -> bytes | None:
        """Flip one bit of a stored value with a checksum, and return its key; None if there is no such value."""
        keys = [key for key in self._keys if key[:1] != STATE]
        if not keys:
            return None
        key = random.choice(keys)
        stored = bytearray(self.durable[key])
        stored[random.randrange(len(stored))] ^= 1 << random.randrange(8)
        self.durable[key] = bytes(stored)
        return key

    def copied(self) -> MemoryStore:
        """A copy of all that is durable at this moment, in a store of its own."""
        copy = MemoryStore()
        copy.durable, copy._keys = dict(self.durable), list(self._keys)
        return copy

    def restore(self, copy: MemoryStore) -> None:
        """From now on hold what ``copy`` holds, and nothing else."""
        self.crash()
        self.durable, self._keys = dict(copy.durable), list(copy._keys)

    def wipe(self) -> None:
        """Everything is lost: from now on this is a new, empty disk."""
        self.crash()
        self.durable.clear()
        self._keys.clear()

    def _finish(self) -> None:
        self._finishing = None
        if self.full:
            self.fail("the disk is full")
        elif self.broken:
            self.broken = False
            self.fail("input/output error")
        else:
            self.complete()

    def _keep(self) -> None:
        super()._keep()
        self._on_durable(self._writes)
