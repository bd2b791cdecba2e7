"""The messages that stay inside one node: one frozen class each. ARCHITECTURE.md tables them; a test compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dkv.ballot import Ballot
from dkv.identity import Acquaintance
from dkv.records import Entry, Value
from dkv.replies import Local, Result

# --- Between consensus actors -------------------------------------------------------------------


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


# --- Gateway, learner, clients -------------------------------------------------------------------


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
    results: list[Result]


@dataclass(frozen=True, slots=True)
class Read:
    """Evaluate the read ``entries`` once every slot up to ``through`` is applied."""

    number: int
    through: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class ReadResults:
    """The results of read ``number``, one per entry."""

    number: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The learner has applied what its acceptor's log held at start, up to ``through``: the node can serve."""

    through: int


class Requests(NamedTuple):
    """Requests of one connection, in order: entries for the log, and ``Local`` replies that keep their place.

    ``writes`` and ``reads`` count the entries; ``size`` is what the requests took on the wire, in bytes.
    """

    connection: int
    items: list[Entry | Local]
    writes: int
    reads: int
    size: int


class Replies(NamedTuple):
    """Replies to the oldest unanswered requests of one connection, in order, and the bytes those had taken."""

    connection: int
    replies: Sequence[Result | Local]
    size: int


@dataclass(frozen=True, slots=True)
class ClientRequests:
    """What came in from all connections since the last message, in order: one turn of the gateway for all of it."""

    requests: list[Requests]


@dataclass(frozen=True, slots=True)
class ClientReplies:
    """All replies of one turn of the gateway, in order."""

    replies: list[Replies]


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The connection is closed: nobody waits for its replies."""

    connection: int


@dataclass(frozen=True, slots=True)
class RepliesUnread:
    """Whether so many replies wait for clients to read them that no more should be made."""

    full: bool


# --- From the host -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The actor's timer ``name`` is due."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerMet:
    """A Hello of a life of ``node`` that was not met before was accepted; ``acquaintance`` is what is known now."""

    node: int
    acquaintance: Acquaintance


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
