"""The table of what actors note: which actor, with which fields, how it is logged, and what it means.

An actor calls ``turn.note`` with one of these and its fields, which mypy compares. The log, the metrics, readiness,
``INFO`` and the simulator all go by this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dkv.actor import (
    ACCEPTOR,
    CATCHUP,
    CHECKER,
    DONOR,
    ELECTOR,
    GATEWAY,
    HOST,
    LEARNER,
    PROPOSER,
    RECEIVER,
    ROSTER,
    SURVEYOR,
    Level,
    Note,
    NoteFields,
)
from dkv.ballot import Ballot
from dkv.configurations import Configurations
from dkv.records import Entry
from dkv.replies import Local

MEASURE: Final = None
"""In place of a level: it happens for every slot, batch or commit, so it is no line of the log."""


def _note(level: Level | None, *by: str) -> Callable[[Callable[NoteFields, None]], Note[NoteFields]]:
    """Make an event of a function that nobody calls: its name, its fields and its meaning are those of the event."""

    def event(form: Callable[NoteFields, None]) -> Note[NoteFields]:
        return Note(form.__name__, level, by, form.__doc__ or "")

    return event


# --- Elections ---------------------------------------------------------------------------------------------------


@_note("info", ELECTOR)
def leader_elected(*, leader: int, ballot: Ballot) -> None:
    """This node follows ``leader`` from now on, which may be itself."""


@_note("warning", ELECTOR)
def leader_lost(*, leader: int, ballot: Ballot, reason: str) -> None:
    """This node follows nobody any more: ``leader`` is silent or has resigned, or the connection with it broke."""


@_note("info", PROPOSER)
def phase1_started(*, ballot: Ballot) -> None:
    """This node runs for leader."""


@_note("info", PROPOSER)
def phase1_ended(*, ballot: Ballot, by: Ballot, reason: str) -> None:
    """This node gives up before it leads; ``by`` is the ballot that overtook it, or its own."""


@_note("info", PROPOSER)
def leading(*, ballot: Ballot, chosen_through: int, recovering: int) -> None:
    """This node leads, and finishes so many slots that earlier leaders began."""


@_note(MEASURE, PROPOSER)
def clocks_compared(*, time_ms: int, offsets: dict[int, float]) -> None:
    """By this leader it is ``time_ms``; machines' clocks are ahead of that by ``offsets``, in seconds by node."""


@_note("warning", PROPOSER)
def clock_off(*, peer: int, seconds: float) -> None:
    """The clock of the machine of ``peer``, which may be this node, is ahead of the replicated time by ``seconds``, or
    behind if that is negative."""


@_note("info", PROPOSER)
def clock_agrees(*, peer: int, seconds: float) -> None:
    """The clock of the machine of ``peer`` is no more than 10 seconds from the replicated time again."""


@_note("info", PROPOSER)
def held_back(*, nodes: list[int], chosen_through: int) -> None:
    """This leader holds slots back, so that these nodes come nearer, which catch up; it has counted so far."""


@_note("warning", PROPOSER)
def stepped_down(*, ballot: Ballot, by: Ballot, reason: str) -> None:
    """This node leads no more; ``by`` is the ballot that overtook it, or its own."""


@_note(MEASURE, ELECTOR)
def successors(*, obstacles: dict[int, str]) -> None:
    """This node leads, and these are the other voters: why each cannot take the lead over now, or an empty text."""


@_note("info", ELECTOR)
def handing_over(*, to: int, ballot: Ballot) -> None:
    """This leader asks node ``to`` to take the lead over."""


@_note("info", ELECTOR)
def not_handed_over(*, reason: str) -> None:
    """This node was to give the lead away, and cannot."""


@_note("info", ELECTOR)
def taking_over(*, leader: int, ballot: Ballot) -> None:
    """This node runs for leader, as ``leader`` has asked it to."""


@_note("info", ELECTOR)
def quorum_heard(*, heard: list[int]) -> None:
    """This node hears a majority of the members; ``heard`` are the peers among them."""


@_note("warning", ELECTOR)
def quorum_lost(*, heard: list[int]) -> None:
    """This node hears no majority any more, only the peers in ``heard``."""


@_note("warning", ELECTOR)
def growth_refused(*, disks: list[int], free_bytes: int) -> None:
    """Writes that grow data are refused on all nodes: ``disks`` are short of space, the fullest has ``free_bytes``."""


@_note("info", ELECTOR)
def growth_served() -> None:
    """All disks have room again: writes that grow data are served."""


@_note("warning", ELECTOR)
def paused(*, seconds: float) -> None:
    """The process stood still: the timer of a heartbeat came so much too late."""


@_note(MEASURE, ELECTOR, ACCEPTOR)
def may_serve(*, at: float, through: int) -> None:
    """A read that came in ``at`` that time, in monotonic seconds, could be served once ``through`` is applied."""


# --- Acceptors ---------------------------------------------------------------------------------------------------


@_note("info", ACCEPTOR)
def voting(*, members: str) -> None:
    """This node votes from now on: every other first member has met it, or the log names its directory."""


@_note(MEASURE, ACCEPTOR)
def votes() -> None:
    """This node votes: noted at every start, when it is sure."""


@_note("warning", ACCEPTOR)
def vote_withheld(*, ballot: Ballot, unseen: list[int]) -> None:
    """This node was asked to vote and does not: it has not met those in ``unseen``, or the log names no such node."""


@_note(MEASURE, ACCEPTOR)
def promised(*, ballot: Ballot) -> None:
    """``ballot`` is promised for all slots."""


@_note(MEASURE, ACCEPTOR)
def chosen(*, through: int) -> None:
    """Every slot up to ``through`` is known to be chosen."""


@_note(MEASURE, ACCEPTOR)
def held(*, through: int) -> None:
    """Every slot up to ``through``, and that it is chosen, is on this disk; noted once members have ever changed."""


@_note(MEASURE, ACCEPTOR)
def learned(*, slot: int) -> None:
    """The chosen value of ``slot`` came by catch-up."""


@_note("error", ACCEPTOR)
def chosen_value_conflict(*, slot: int) -> None:
    """A second value counts as chosen for ``slot``: this node fences its directory."""


# --- Proposers ---------------------------------------------------------------------------------------------------


@_note(MEASURE, PROPOSER)
def proposed() -> None:
    """A value was proposed for a new slot."""


@_note("warning", PROPOSER)
def foreign_batch_refused(*, origin: int, peer: int) -> None:
    """``peer`` sent a batch in the name of another node, ``origin``."""


# --- Catch-up ----------------------------------------------------------------------------------------------------


@_note("info", CATCHUP)
def catchup_started(*, from_slot: int, through: int, peer: int) -> None:
    """This node missed slots, and fetches them from ``peer`` at first."""


@_note("info", CATCHUP)
def catchup_ended(*, slots: int, chosen_through: int) -> None:
    """So many ``slots`` were fetched; the node holds every chosen value up to ``chosen_through``."""


# --- Snapshots ---------------------------------------------------------------------------------------------------


@_note("info", RECEIVER)
def snapshot_receiving(*, peer: int, through: int) -> None:
    """The slots that are missing here are in no log any more: ``peer`` sends its state as it was after ``through``."""


@_note(MEASURE, RECEIVER)
def snapshot_progress(*, bytes: int) -> None:
    """So many more ``bytes`` of a snapshot have come."""


@_note("info", RECEIVER)
def snapshot_received(*, peer: int, bytes: int, reason: str) -> None:
    """The transfer from ``peer`` has ended, after so many ``bytes``; ``reason`` says how."""


@_note("info", LEARNER)
def snapshot_installed(*, through: int, passed: int) -> None:
    """The state of a peer after slot ``through`` is in force here, ``passed`` slots further than the one before it."""


@_note("info", DONOR)
def snapshot_sending(*, peer: int, through: int) -> None:
    """``peer`` fetches the state of this node, as it was after ``through``."""


@_note("info", DONOR)
def snapshot_sent(*, peer: int, bytes: int, reason: str) -> None:
    """The transfer to ``peer`` has ended, after so many ``bytes``; ``reason`` says how."""


# --- Learners ----------------------------------------------------------------------------------------------------


@_note("info", LEARNER)
def keys_counted(*, keys: int) -> None:
    """The state was made by an older version, which counted no keys: they were counted once."""


@_note("info", LEARNER)
def replayed(*, applied_through: int) -> None:
    """The state is what the log held at start: the node can serve."""


@_note(MEASURE, LEARNER)
def applied(*, through: int, commands: int) -> None:
    """Slot ``through`` is applied, and so many write ``commands`` of it were executed."""


@_note(MEASURE, LEARNER)
def peer_applied(*, peer: int, through: int) -> None:
    """``peer`` says that it has applied every slot up to ``through``."""


@_note("info", LEARNER)
def members_changed(*, from_slot: int, voters: list[int], standbys: list[int]) -> None:
    """The log has changed the members, who are these now; ``voters`` decide the slots from ``from_slot`` on."""


@_note(MEASURE, LEARNER)
def compacted(*, through: int) -> None:
    """Every slot up to ``through`` is compacted: the log of this node begins behind it."""


@_note(MEASURE, LEARNER)
def duplicates_suppressed(*, count: int) -> None:
    """So many writes that came in here were executed before, and got the stored answer of their token."""


@_note("error", LEARNER)
def digest_differs(*, peer: int, slot: int, differing: list[int]) -> None:
    """``peer`` applied another log up to ``slot``; ``differing`` are all peers of which that is known."""


@_note("info", LEARNER)
def digest_agrees(*, peer: int, slot: int, differing: list[int]) -> None:
    """``peer``, which differed, has applied the same log up to ``slot``; ``differing`` are those that still differ."""


@_note(MEASURE, CHECKER)
def state_compared(*, slot: int, pairs: int, peer: int, same: bool) -> None:
    """The states of ``peer`` and this node after ``slot`` were compared; here it has so many ``pairs``."""


@_note("info", CHECKER)
def state_check_missed(*, slot: int) -> None:
    """This node takes no part in the check of states after ``slot``, which it has passed or cannot write in time."""


@_note("error", CHECKER)
def state_differs(*, peer: int, slot: int, differing: list[int]) -> None:
    """``peer`` has another state after ``slot``; ``differing`` are all peers of which that is known."""


@_note("info", CHECKER)
def state_agrees(*, peer: int, slot: int, differing: list[int]) -> None:
    """``peer``, which differed, has the same state after ``slot``; ``differing`` are those that still differ."""


# --- Gateways ----------------------------------------------------------------------------------------------------


@_note(MEASURE, GATEWAY)
def batch_numbered(*, commands: int, seconds: float) -> None:
    """A batch of so many ``commands`` got its number; the oldest of them had waited so many ``seconds``."""


@_note(MEASURE, GATEWAY)
def batch_agreed(*, commands: int, seconds: float) -> None:
    """A batch of this gateway was applied here, so many ``seconds`` after it got its number."""


@_note(MEASURE, GATEWAY)
def batch_passed(*, commands: int) -> None:
    """A batch of this gateway took effect in a slot that a snapshot stands for: its results are not known here."""


@_note(MEASURE, GATEWAY)
def reads_evaluated(*, commands: int, seconds: float) -> None:
    """Reads got their results; the oldest of them had waited so many ``seconds``."""


@_note(MEASURE, SURVEYOR)
def surveyed(*, entry: Entry, through: int, reply: Local) -> None:
    """A read that looks through many keys is answered, by the state as it was after slot ``through``."""


@_note(MEASURE, GATEWAY, LEARNER)
def refused(*, reason: str, count: int) -> None:
    """So many requests were refused; ``reason`` is the first word of the error."""


# --- Members -----------------------------------------------------------------------------------------------------


@_note(MEASURE, ROSTER)
def members_are(*, configurations: Configurations, applied: int) -> None:
    """These are the sets of members, by the log up to slot ``applied``: as they were, or changed."""


@_note("info", ROSTER)
def members_in_force(*, slot: int, from_slot: int) -> None:
    """The members that the entry in ``slot`` made decide from now on."""


@_note("warning", ROSTER)
def removed(*, slot: int, addresses: list[str]) -> None:
    """This node is no member any more, by the entry in ``slot``. It was told ``addresses`` for clients, or none."""


# --- The host ----------------------------------------------------------------------------------------------------


@_note("warning", HOST)
def reserve_given_up(*, free_bytes: int) -> None:
    """The disk was about to be full, so the reserve was removed; ``free_bytes`` are free with it."""


@_note("warning", HOST)
def disk_hangs(*, seconds: float) -> None:
    """A commit has been under way for ``seconds``, longer than ``stuck_disk_seconds``."""


@_note("info", HOST)
def disk_works_again() -> None:
    """The commit that hung is on disk."""


@_note(MEASURE, HOST)
def committed(*, seconds: float) -> None:
    """A commit is on disk; it took so many ``seconds``."""


TABLE: tuple[Note[...], ...] = tuple(each for each in tuple(globals().values()) if isinstance(each, Note))
"""All of them."""
