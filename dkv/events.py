"""The messages that stay inside one node: one frozen class each. ARCHITECTURE.md tables them; a test compares."""

from __future__ import annotations

from dataclasses import dataclass

from dkv.actor import StateView
from dkv.ballot import Ballot
from dkv.configurations import Configurations
from dkv.identity import Acquaintance
from dkv.records import Value

# --- Between consensus actors -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PromiseRaised:
    """The node's acceptor has promised ``ballot``, at least in memory. It is also sent at the start."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Applied:
    """The node's state machine has applied every slot up to ``through``, and that is on disk."""

    through: int


@dataclass(frozen=True, slots=True)
class WrittenBack:
    """The applied state is on disk as it was after slot ``applied_through``."""

    applied_through: int


@dataclass(frozen=True, slots=True)
class Captured:
    """The state that was asked for (``States.capture``). Who receives it closes the view."""

    view: StateView


@dataclass(frozen=True, slots=True)
class StateWritten:
    """What the actor wrote into ``generation`` is on disk."""

    generation: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """The records of all slots up to ``through`` may be erased: what they amount to is on disk, and so is this."""

    through: int


@dataclass(frozen=True, slots=True)
class LogHeld:
    """Of the acceptor to itself: all slots up to ``through``, and that they are chosen, are on disk by now."""

    through: int


@dataclass(frozen=True, slots=True)
class HoldLog:
    """Compact nothing above slot ``through`` from now on, as far as disk space allows; None ends that."""

    through: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The node knows every slot up to about ``chosen_through`` to be chosen. It is sent now and then.

    Of these, it holds no values up to ``compacted_through``.
    """

    chosen_through: int
    compacted_through: int


@dataclass(frozen=True, slots=True)
class Missing:
    """``node`` says that every slot up to ``through`` is chosen. Here those from ``first`` on are missing, if any."""

    first: int
    through: int
    node: int


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Fetch the chosen slots from ``first`` to ``through``, from ``node`` at first, at once: an election waits."""

    first: int
    through: int
    node: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Every slot up to ``chosen_through`` is held and on disk."""

    chosen_through: int


@dataclass(frozen=True, slots=True)
class Learn:
    """Chosen values fetched from a peer: store them."""

    first_slot: int
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """The fetched values are on disk; the chosen slots without a gap now end at ``chosen_through``."""

    chosen_through: int


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Get a snapshot of a peer that goes through slot ``first`` at least: peers ``compacted_at`` said a moment ago that
    they have compacted that slot."""

    first: int
    compacted_at: frozenset[int]


@dataclass(frozen=True, slots=True)
class SnapshotFetched:
    """``donor``'s snapshot is dealt with: the state here is at slot ``through`` or later. Fetch on from the donor."""

    through: int
    donor: int


@dataclass(frozen=True, slots=True)
class Install:
    """``generation`` holds a whole snapshot, on disk: the state of a peer after slot ``through``. Put it in force."""

    generation: int
    through: int


@dataclass(frozen=True, slots=True)
class Installed:
    """The snapshot is in force, on disk: the state is that after slot ``through``."""

    through: int


@dataclass(frozen=True, slots=True)
class Outdated:
    """The snapshot was not put in force: every slot of it is applied here."""


@dataclass(frozen=True, slots=True)
class ReportApplied:
    """Say how far you have applied, once that is ``through`` or more. It replaces an earlier question of the sender."""

    through: int = 0


@dataclass(frozen=True, slots=True)
class AppliedThrough:
    """The state machine has applied every slot up to ``through``, at least in memory."""

    through: int


@dataclass(frozen=True, slots=True)
class AppliedElsewhere:
    """``node`` says that it has applied every slot up to ``through``, which is more than is applied here."""

    through: int
    node: int


@dataclass(frozen=True, slots=True)
class MembersAre:
    """Who decides which slots, as the log says it up to slot ``applied``.

    Sent at the start, when a set is applied, when it takes force (``applied`` is the slot before), and when a snapshot
    is put in force.
    """

    configurations: Configurations
    applied: int


@dataclass(frozen=True, slots=True)
class CaptureState:
    """Let me have a view of the state as it is after ``slot``, as soon as that is on disk; it replaces an earlier wish.

    The answer is ``Captured``, or ``CaptureMissed``.
    """

    slot: int


@dataclass(frozen=True, slots=True)
class CaptureNow:
    """Let me have a view of the state as it is now. The answer is ``Captured``, or ``CaptureMissed``."""


@dataclass(frozen=True, slots=True)
class CaptureMissed:
    """The state as it is after ``slot`` cannot be had: later slots are applied, or too much waits for the disk."""

    slot: int


@dataclass(frozen=True, slots=True)
class ReportOrigins:
    """Report the last batch applied of every origin as soon as ``through`` is applied; ``ballot`` is given back."""

    ballot: Ballot
    through: int


@dataclass(frozen=True, slots=True)
class Origins:
    """``marks`` is ((node, incarnation, boot, seq), ...): the last batch applied of each origin.

    Every slot up to ``through`` is applied, and no later one; ``time`` is the replicated time after that slot.
    """

    ballot: Ballot
    through: int
    marks: tuple[tuple[int, int, int, int], ...]
    time: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A slot is wanted once the replicated time is ``at``, though nobody writes: 0 at once, ``maxsize`` never.

    That is so after slot ``through``, which is the last one applied, and at which it is ``time``.
    """

    at: int
    through: int
    time: int


@dataclass(frozen=True, slots=True)
class ClocksAre:
    """The times of day of the machines that answered the last heartbeat, the leader's own among them.

    Each is (node, milliseconds by which it is ahead of the leader's monotonic clock).
    """

    clocks: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """Run phase 1 now."""


@dataclass(frozen=True, slots=True)
class Leading:
    """The node's proposer leads in ``ballot``: phase 1 and its catch-up are done."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Stopped:
    """The node's proposer no longer runs or leads ``ballot``; ``by`` is the ballot that overtook it, or its own."""

    ballot: Ballot
    by: Ballot
    led: bool


@dataclass(frozen=True, slots=True)
class StepDown:
    """Stop leading: ``reason`` says why, in words for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Ask node ``to`` to take the lead over, or the best one if that is None; nothing if this node does not lead."""

    to: int | None


@dataclass(frozen=True, slots=True)
class Flush:
    """An actor sends it to itself, behind all messages in the mailbox: act now on all that came before it."""


# --- From the host -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The actor's timer ``name`` is due."""

    name: str


@dataclass(frozen=True, slots=True)
class DiskMeasured:
    """The node's disk has ``free_bytes`` left. If it is ``short`` of space, ``wanted_bytes`` would be enough.

    It comes about once a second. This node alone does not decide what follows from it (``dkv.paxos.space``).
    """

    free_bytes: int
    wanted_bytes: int
    short: bool


@dataclass(frozen=True, slots=True)
class PeerMet:
    """A Hello was accepted from a life of ``node`` that was not met before; ``acquaintance`` is what is known now."""

    node: int
    acquaintance: Acquaintance


@dataclass(frozen=True, slots=True)
class RemovalTold:
    """A member says that this node is none any more, by the entry in ``slot``.

    Clients find members at ``addresses``.
    """

    slot: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A Hello of ``node`` was accepted: messages to it can arrive from now on."""

    node: int
    incarnation: int
    boot: int


@dataclass(frozen=True, slots=True)
class PeerDown:
    """No connection from or to ``node`` is left."""

    node: int


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """Bytes of ``node`` came in; sent at most every few milliseconds for each peer."""

    node: int
