"""The messages that travel between nodes: one frozen class each. ARCHITECTURE.md tables them; a test compares.

``through`` marks are inclusive and count slots from 1, so 0 says "none". ``dkv.wire.codec`` gives each class its tag.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dkv.actor import ACCEPTOR, CATCHUP, ELECTOR, GATEWAY, LEARNER, PROPOSER
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
    report: int
    chunk: int
    chunks: int
    records: tuple[tuple[int, SlotRecord], ...]
    votes: int = field(default=0, compare=False)


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
    votes: int = field(default=0, compare=False)


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


# --- Classic mode: both phases for each slot by itself ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrepareSlot:
    """Promise me ``ballot`` for ``slot``, and report what you hold for it."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class PromiseSlot:
    """``ballot`` is promised for ``slot``; ``record`` is what was accepted or learned there before, None if nothing."""

    ballot: Ballot
    slot: int
    record: SlotRecord | None
    votes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NackSlot:
    """``ballot`` is refused for ``slot``: ``promised`` is promised there, and ``floor`` for every slot."""

    ballot: Ballot
    slot: int
    promised: Ballot
    floor: Ballot


@dataclass(frozen=True, slots=True)
class AcceptSlot:
    """Accept ``value`` for ``slot`` in ``ballot``, which a quorum has promised for this slot."""

    ballot: Ballot
    slot: int
    value: Value


@dataclass(frozen=True, slots=True)
class AcceptedSlot:
    """``slot`` is accepted in ``ballot`` and on this acceptor's disk."""

    ballot: Ballot
    slot: int
    votes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SlotSettled:
    """No vote is needed: ``slot`` is chosen. The sender holds the chosen values of all up to ``chosen_through``."""

    slot: int
    chosen_through: int


@dataclass(frozen=True, slots=True)
class SlotChosen:
    """The proposer of ``ballot`` counted a quorum for ``slot`` in it; it held every slot below."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class ChosenThrough:
    """The sender holds the chosen values of every slot up to ``through``: whoever does not may fetch them.

    ``number`` counts what the sender says in this way; ``echo`` is the last number that it heard of the receiver.
    """

    through: int
    number: int
    echo: int


# --- What an acceptor's disk holds, told to all who may have to know it when the node is started again ----------


@dataclass(frozen=True, slots=True)
class Voted:
    """The sender has on its disk that it promised or accepted ``ballot``, and has cast so many ``votes`` in all."""

    ballot: Ballot
    votes: int


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


@dataclass(frozen=True, slots=True)
class AppliedDigest:
    """The sender has applied every slot up to ``through``, which comes to ``digest`` (``dkv.records.digest_after``)."""

    through: int
    digest: bytes


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
    """The sender leads in ``ballot``; ``beat`` counts its heartbeats.

    ``acked`` is the last one that the receiver has answered, as far as the sender knows. A round of Confirms that
    began with heartbeat ``confirmed`` found a quorum, and all up to ``chosen_through`` chosen.
    """

    ballot: Ballot
    beat: int
    acked: int
    confirmed: int
    chosen_through: int


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
    PrepareSlot: (PROPOSER, ACCEPTOR),
    PromiseSlot: (ACCEPTOR, PROPOSER),
    NackSlot: (ACCEPTOR, PROPOSER),
    AcceptSlot: (PROPOSER, ACCEPTOR),
    AcceptedSlot: (ACCEPTOR, PROPOSER),
    SlotSettled: (ACCEPTOR, PROPOSER),
    SlotChosen: (PROPOSER, ACCEPTOR),
    ChosenThrough: (ACCEPTOR, ACCEPTOR),
    Voted: (ACCEPTOR, ACCEPTOR),
    Submit: (GATEWAY, PROPOSER),
    Want: (PROPOSER, GATEWAY),
    BarrierRequest: (GATEWAY, PROPOSER),
    Barrier: (PROPOSER, GATEWAY),
    Confirm: (PROPOSER, ACCEPTOR),
    Confirmed: (ACCEPTOR, PROPOSER),
    ReadChosen: (CATCHUP, ACCEPTOR),
    ChosenSlots: (ACCEPTOR, CATCHUP),
    AppliedDigest: (LEARNER, LEARNER),
    Poll: (ELECTOR, ELECTOR),
    PollAnswer: (ELECTOR, ELECTOR),
    Resigned: (ELECTOR, ELECTOR),
    Heartbeat: (ELECTOR, ELECTOR),
    HeartbeatAck: (ELECTOR, ELECTOR),
}
"""Between nodes each class goes from one role to one other, so a peer cannot hand an actor what it does not know."""

_CLASSIC = frozenset(
    (PrepareSlot, PromiseSlot, NackSlot, AcceptSlot, AcceptedSlot, SlotSettled, SlotChosen, ChosenThrough)
)
SPOKEN: dict[str, frozenset[type]] = {
    "leader": frozenset(ROUTES) - _CLASSIC,
    "classic": _CLASSIC | {ReadChosen, ChosenSlots, Voted, AppliedDigest},
}
"""What nodes of each mode say to each other: whatever else a peer sends, no actor of that mode would know."""

VOTES: dict[type, bool] = {
    Prepare: False,
    Promise: True,
    Accepted: True,
    PrepareSlot: False,
    PromiseSlot: True,
    AcceptedSlot: True,
    Voted: True,
    Heartbeat: False,
}
"""Whoever sends one of these has the promise of its ``ballot`` on disk, and if True has cast ``votes`` votes in all.

That count is for the mesh alone, which holds it against later lives (B34): it is no part of what a message says, and
equal messages may differ in it.
"""
