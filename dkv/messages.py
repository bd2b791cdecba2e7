"""The messages that travel between nodes: one frozen class each. ARCHITECTURE.md tables them; a test compares.

``through`` marks are inclusive and count slots from 1, so 0 says "none". ``dkv.routes`` says who sends each class to
whom, and ``dkv.wire.codec`` gives it its tag.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dkv.ballot import Ballot
from dkv.records import Batch, ShortDisk, SlotRecord, Value

# --- Phase 1 (Paxos Made Simple, section 2.2), one Prepare for every slot from from_slot on ---------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    """Promise me ``ballot``, for every slot, and report what you hold from ``from_slot`` on."""

    ballot: Ballot
    from_slot: int


@dataclass(frozen=True, slots=True)
class Promise:
    """``ballot`` is promised. ``records`` are those above ``chosen_through`` and from ``from_slot`` on.

    The sender has erased the records up to ``compacted_through``: they are chosen, and nobody can fetch them from it.
    A long report comes in ``chunks`` messages numbered ``chunk`` from 0; it counts when all have come. ``report`` is
    a number drawn for each report: the chunks of two may differ in where they begin, and must not be joined. ``clock``
    is the replicated time as the sender holds it, in milliseconds since 1970.
    """

    ballot: Ballot
    chosen_through: int
    compacted_through: int
    report: int
    chunk: int
    chunks: int
    records: tuple[tuple[int, SlotRecord], ...]
    votes: int = field(default=0, compare=False)
    clock: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Nack:
    """``ballot`` is refused: the acceptor has promised ``promised``."""

    ballot: Ballot
    promised: Ballot


# --- Phase 2 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept ``value`` for ``slot`` in ``ballot``; the sender counted every slot up to ``chosen_through`` chosen.

    ``clock`` is the replicated time at the sender. A value that is sent again has an older stamp.
    """

    ballot: Ballot
    slot: int
    value: Value
    chosen_through: int
    clock: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """``slot`` is accepted in ``ballot`` and on this acceptor's disk, whose log is whole up to ``chosen_through``."""

    ballot: Ballot
    slot: int
    votes: int = field(default=0, compare=False)
    chosen_through: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ChosenOtherwise:
    """The Accept of ``ballot`` for ``slot`` is refused: another value is chosen there."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class GiveWay:
    """The Accept of ``ballot`` is for a slot that the sender has compacted: all up to ``compacted_through`` is chosen.

    The sender cannot vote there. A leader that counts fewer slots chosen had better let another node lead.
    """

    ballot: Ballot
    compacted_through: int


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
    """``ballot`` is promised for ``slot``; ``record`` is the value accepted or learned there before, None if none.

    ``clock`` is that of a Promise.
    """

    ballot: Ballot
    slot: int
    record: SlotRecord | None
    votes: int = field(default=0, compare=False)
    clock: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NackSlot:
    """``ballot`` is refused for ``slot``: ``promised`` is promised there, and ``floor`` for every slot."""

    ballot: Ballot
    slot: int
    promised: Ballot
    floor: Ballot


@dataclass(frozen=True, slots=True)
class AcceptSlot:
    """Accept ``value`` for ``slot`` in ``ballot``, which a quorum has promised for this slot.

    ``clock`` is that of an Accept.
    """

    ballot: Ballot
    slot: int
    value: Value
    clock: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AcceptedSlot:
    """``slot`` is accepted in ``ballot`` and on this acceptor's disk."""

    ballot: Ballot
    slot: int
    votes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SlotSettled:
    """No vote is needed, because ``slot`` is chosen. The sender holds all chosen values up to ``chosen_through``."""

    slot: int
    chosen_through: int


@dataclass(frozen=True, slots=True)
class SlotChosen:
    """The proposer of ``ballot`` counted a quorum for ``slot`` in it; it held every slot below."""

    ballot: Ballot
    slot: int


@dataclass(frozen=True, slots=True)
class ChosenThrough:
    """The sender holds the chosen values of every slot up to ``through``: a node that does not may fetch them.

    ``number`` counts the sender's messages of this kind; ``echo`` is the last number that it heard from the receiver.
    """

    through: int
    number: int
    echo: int


# --- What an acceptor's disk holds, told to all who may have to know it when the node is started again ----------


@dataclass(frozen=True, slots=True)
class Voted:
    """The sender has it on disk that it promised or accepted ``ballot``; it has cast ``votes`` votes in all."""

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
    """A question: which slots must be applied for reads that have arrived by now? ``number`` counts within ``boot``."""

    boot: int
    number: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """The reads of all requests up to ``number`` may be served once every slot up to ``through`` is applied."""

    boot: int
    number: int
    through: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """A question: is your promise still at most ``ballot``? ``round`` counts the leader's rounds in its ballot."""

    ballot: Ballot
    round: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """No ballot above ``ballot`` was promised here when the question of ``round`` arrived."""

    ballot: Ballot
    round: int


# --- Failure detection and elections ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Poll:
    """A question: would you grant me an election? ``number`` tells the polls of this candidate apart."""

    number: int
    chosen_through: int


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """The answer to poll ``number``; granting binds the voter to nothing."""

    number: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Resigned:
    """The sender no longer leads in ``ballot``, or has given it up: do not wait until its silence shows that."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The leader of ``ballot`` asks the receiver to campaign now, without a poll. It leads on until it is overtaken."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The sender leads in ``ballot``; ``beat`` counts its heartbeats.

    ``acked`` is the last heartbeat that the receiver has answered, as the sender knows. The round of Confirms that
    began with heartbeat ``confirmed`` found a quorum, when all slots up to ``chosen_through`` were chosen. While disks
    are ``short`` of space all nodes refuse writes that grow data: the leader decides that for all.
    """

    ballot: Ballot
    beat: int
    acked: int
    confirmed: int
    chosen_through: int
    short: tuple[ShortDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatAck:
    """Heartbeat ``beat`` of ``ballot`` was heard. The sender holds all slots up to about ``chosen_through``.

    ``wall_ms`` is the time of day by the sender's machine, in milliseconds since 1970.
    """

    ballot: Ballot
    beat: int
    chosen_through: int = 0
    wall_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The sender's disk has ``free_bytes`` left. If it is ``short`` of space, ``wanted_bytes`` would be enough."""

    free_bytes: int
    wanted_bytes: int
    short: bool
