"""The messages that travel between nodes: one frozen class each. ARCHITECTURE.md tables them; a test compares.

``through`` marks are inclusive and count slots from 1, so 0 says "none". ``dkv.wire.codec`` gives each class its tag.
"""

from __future__ import annotations

from dataclasses import dataclass

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, GATEWAY, PROPOSER
from dkv.ballot import Ballot
from dkv.records import Batch, SlotRecord, Value

# --- Phase 1 (Paxos Made Simple, section 2.2), one Prepare for every slot from from_slot on ---------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    """Promise me ``ballot``, for every slot, and report what you hold from ``from_slot`` on."""

    ballot: Ballot
    from_slot: int


@dataclass(frozen=True, slots=True)
class Promise:
    """``ballot`` is promised. ``records`` are those above ``chosen_through`` and from ``from_slot`` on.

    A long report comes in ``chunks`` messages numbered ``chunk`` from 0; it counts when all have come. ``report`` is
    a number drawn for each report: the chunks of two may differ in where they begin, and must not be joined.
    """

    ballot: Ballot
    chosen_through: int
    compacted_through: int
    report: int
    chunk: int
    chunks: int
    records: tuple[tuple[int, SlotRecord], ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """``ballot`` is refused: the acceptor has promised ``promised``."""

    ballot: Ballot
    promised: Ballot


# --- Phase 2 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept ``value`` for ``slot`` in ``ballot``; the sender counted every slot up to ``chosen_through`` chosen."""

    ballot: Ballot
    slot: int
    value: Value
    chosen_through: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """``slot`` is accepted in ``ballot`` and on this acceptor's disk."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class ChosenOtherwise:
    """``ballot``'s Accept for ``slot`` is refused: another value is chosen there."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class ChosenMark:
    """The leader of ``ballot`` counted every slot up to ``chosen_through`` chosen."""

    ballot: Ballot
    chosen_through: int


# --- Batches on their way to the leader, read barriers ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """Numbered batches of the sender, in order, to be proposed."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """The batch that the leader can take next from this origin is (``boot``, ``seq``), or the first of a later boot."""

    boot: int
    seq: int


@dataclass(frozen=True, slots=True)
class BarrierRequest:
    """Which slots must be applied for reads that have arrived by now? ``number`` counts within ``boot``."""

    boot: int
    number: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """Reads of requests up to ``number`` may be served once ``through`` is applied."""

    boot: int
    number: int
    through: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Is your promise still at most ``ballot``? ``round`` counts the leader's rounds within its ballot."""

    ballot: Ballot
    round: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """No higher ballot than ``ballot`` was promised here when ``round``'s question arrived."""

    ballot: Ballot
    round: int


# --- Catch-up --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadChosen:
    """Send chosen slots from ``from_slot`` on, as many as fit a bounded answer."""

    from_slot: int


@dataclass(frozen=True, slots=True)
class ChosenSlots:
    """The chosen ``values`` of the slots from ``first_slot`` on; the sender knows them up to ``chosen_through``.

    Also how an acceptor pushes newly chosen slots to the learner of its own node.
    """

    first_slot: int
    values: tuple[Value, ...]
    chosen_through: int
    compacted_through: int


# --- Failure detection and elections ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Poll:
    """Would you grant me an election? ``number`` tells this candidate's polls apart."""

    number: int
    chosen_through: int


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """The answer to poll ``number``; granting binds the voter to nothing."""

    number: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Resigned:
    """The sender leads in ``ballot`` no more, or has given up getting there: do not wait for its silence."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The sender leads in ``ballot``; ``beat`` counts its heartbeats."""

    ballot: Ballot
    beat: int


@dataclass(frozen=True, slots=True)
class HeartbeatAck:
    """Heartbeat ``beat`` of ``ballot`` was heard."""

    ballot: Ballot
    beat: int


ROUTES: dict[type, tuple[str, str]] = {
    Prepare: (PROPOSER, ACCEPTOR),
    Promise: (ACCEPTOR, PROPOSER),
    Nack: (ACCEPTOR, PROPOSER),
    Accept: (PROPOSER, ACCEPTOR),
    Accepted: (ACCEPTOR, PROPOSER),
    ChosenOtherwise: (ACCEPTOR, PROPOSER),
    ChosenMark: (PROPOSER, ACCEPTOR),
    Submit: (GATEWAY, PROPOSER),
    Want: (PROPOSER, GATEWAY),
    BarrierRequest: (GATEWAY, PROPOSER),
    Barrier: (PROPOSER, GATEWAY),
    Confirm: (PROPOSER, ACCEPTOR),
    Confirmed: (ACCEPTOR, PROPOSER),
    ReadChosen: (CATCHUP, ACCEPTOR),
    ChosenSlots: (ACCEPTOR, CATCHUP),
    Poll: (ELECTOR, ELECTOR),
    PollAnswer: (ELECTOR, ELECTOR),
    Resigned: (ELECTOR, ELECTOR),
    Heartbeat: (ELECTOR, ELECTOR),
    HeartbeatAck: (ELECTOR, ELECTOR),
}
"""Between nodes each class goes from one role to one other, so a peer cannot hand an actor what it does not know."""
