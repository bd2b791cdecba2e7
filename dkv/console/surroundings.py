"""What a node's parts do not know of themselves, and an operator wants to: the program, its files and its disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dkv.console.logins import Logins
from dkv.events import DiskMeasured
from dkv.host.held_store import HeldStore


class WatchesDisk(Protocol):
    """The watch over the node's disk (``dkv.node.disk_watch``)."""

    @property
    def measured(self) -> DiskMeasured | None:
        """How much room there was at the last look; None if that could not be found out."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the files of the log, and of all generations of the state that are on disk."""

    log_bytes: int
    state_bytes: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The keys after slot ``applied_through``, and the bytes of keys and values; counted until ``at``."""

    keys: int
    live_bytes: int
    applied_through: int
    at: float


class Holdings(Protocol):
    """What the state machine of the node holds (``dkv.kv.machine``)."""

    @property
    def expired(self) -> int:
        """How many keys were erased because they had expired, since the process began."""

    def counted(self) -> Sequence[tuple[int, int, int]]:
        """For each database that holds something: its number, its keys, and how many of them have a deadline."""


class BackupRefused(Exception):
    """A backup does not begin or go on now; the text is the reply."""


class Backups(Protocol):
    """Backups of this node, one at a time: the bytes of a file, piece by piece. ``owner`` is any object."""

    def begin(self, owner: object, covering: int) -> bytes:
        """The first piece of a new backup of the durable state, which must cover slot ``covering``."""

    def next(self, owner: object) -> bytes | None:
        """The next piece; None behind the last one."""

    def end(self, owner: object) -> None:
        """``owner`` wants no more; nothing happens if it has no backup under way."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Handed to ``Inspection`` by the process.

    ``build`` has the labels of ``dkv_build_info``. ``lines_dropped`` counts the lines of the log that were lost.
    ``sizes`` and ``counted`` are None where there is nothing to be known, or nothing yet.
    """

    build: Mapping[str, str]
    lines_dropped: Callable[[], int]
    sizes: Callable[[], Sizes | None]
    counted: Callable[[], Counted | None]
    disk: WatchesDisk
    backups: Backups
    holdings: Callable[[], Holdings]
    logins: Logins
    held: HeldStore | None = None
    """The log's store, if faults may be ordered."""
