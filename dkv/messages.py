"""Every message that actors exchange: one frozen class each. ARCHITECTURE.md tables them; a test compares.

``through`` marks are inclusive and count slots from 1, so 0 says "none". The classes up to ``HeartbeatAck``
and no others travel between nodes (``dkv.wire.codec`` gives each its tag); the rest stay inside one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    A long report comes in ``chunks`` messages numbered ``chunk`` from 0; it counts when all have come.
    """

    ballot: Ballot
    chosen_through: int
    compacted_through: int
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
    """The leader of ``ballot`` has stepped down: do not wait for its silence."""

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


# --- Inside one node: between consensus actors -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PromiseRaised:
    """The node's acceptor has promised ``ballot``, in memory at least; sent at its start too."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Applied:
    """The node's state machine has, on disk, applied every slot up to ``through``."""

    through: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The node holds the chosen values of every slot up to ``chosen_through``, roughly: sent now and then."""

    chosen_through: int


@dataclass(frozen=True, slots=True)
class Missing:
    """All up to ``through`` is chosen, says ``node``; unknown here from ``first`` on (nothing, if that is above)."""

    first: int
    through: int
    node: int


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Fetch the chosen slots up to ``through``, from ``node`` first, at once: an election waits for them."""

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
    """What was fetched is on disk; the contiguous chosen prefix now ends at ``chosen_through``."""

    chosen_through: int


@dataclass(frozen=True, slots=True)
class ReportOrigins:
    """Report the last batch applied of every origin as soon as ``through`` is applied; ``ballot`` is given back."""

    ballot: Ballot
    through: int


@dataclass(frozen=True, slots=True)
class Origins:
    """``marks`` is ((node, incarnation, boot, seq), ...): the last batch applied of each origin."""

    ballot: Ballot
    marks: tuple[tuple[int, int, int, int], ...]


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
class Flush:
    """Sent by an actor to itself, behind what is already in the mailbox: act now on all that came before."""


# --- Inside one node: gateway, learner, clients -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaderIs:
    """The leader is ``node`` in ``ballot``; node 0 says that none is known."""

    node: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class QuorumHeard:
    """Whether a majority of the members, this node included, has been heard of late."""

    heard: bool


@dataclass(frozen=True, slots=True)
class BatchApplied:
    """The gateway's own batch (boot, ``seq``) took effect; one result per entry of it."""

    seq: int
    results: list[Any]


@dataclass(frozen=True, slots=True)
class Read:
    """Evaluate the read ``entries`` once every slot up to ``through`` is applied."""

    number: int
    through: int
    entries: list[Any]


@dataclass(frozen=True, slots=True)
class ReadResults:
    """The results of read ``number``, one per entry."""

    number: int
    results: list[Any]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The learner has applied what its acceptor's log held at start, up to ``through``: the node can serve."""

    through: int


@dataclass(frozen=True, slots=True)
class ClientRequests:
    """Requests of one connection, in order: entries (lists) for the log, or ``Local`` replies that keep their place.

    ``writes`` and ``reads`` count the entries; ``size`` is what the requests took on the wire, in bytes.
    """

    connection: int
    items: list[Any]
    writes: int
    reads: int
    size: int


@dataclass(frozen=True, slots=True)
class ClientReplies:
    """Replies to the oldest unanswered requests of one connection, in order, and the bytes those had taken."""

    connection: int
    replies: list[Any]
    size: int


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The connection is closed: nobody waits for its replies."""

    connection: int


# --- From the host -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The actor's timer ``name`` is due."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A Hello of ``node`` was accepted: what is sent to it now can arrive."""

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
