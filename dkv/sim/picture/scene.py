"""The contents of a picture: the events that it shows, and the messages, commits, lanes and links in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dkv import noted
from dkv.ballot import Ballot
from dkv.messages import (
    Accept,
    Accepted,
    AcceptedSlot,
    AcceptSlot,
    ChosenMark,
    ChosenOtherwise,
    ChosenThrough,
    DiskSpace,
    Heartbeat,
    HeartbeatAck,
    Nack,
    NackSlot,
    Prepare,
    PrepareSlot,
    Promise,
    PromiseSlot,
    SlotChosen,
    SlotSettled,
)
from dkv.sim.trace import Happening
from dkv.state_messages import ChosenSlots

CRASHES = ("crash", "ended", "wipe")
FAULTS = (*CRASHES, "leap", "jump", "slow", "stuck", "broken", "full", "flip")
LINKS = ("cut", "mend", "lossy")
NOTES = {
    noted.phase1_started.name: "phase 1",
    noted.phase1_ended.name: "gives up",
    noted.leading.name: "leads",
    noted.stepped_down.name: "steps down",
    noted.leader_lost.name: "leader lost",
    noted.quorum_lost.name: "quorum lost",
    noted.members_in_force.name: "new members",
    noted.removed.name: "removed",
}
"""The notes of actors that are shown, in a word or two."""
OF_ONE_SLOT = (PrepareSlot, PromiseSlot, NackSlot, AcceptSlot, AcceptedSlot, SlotSettled, SlotChosen)
"""The messages of classic mode, except ChosenThrough."""
_ENDS = (noted.phase1_ended.name, noted.stepped_down.name)
_STEPS = (noted.phase1_started.name, noted.leading.name, *_ENDS)
_MARKS = (*FAULTS, *LINKS, "start", "pause", "resume", "heal", "violated", "chosen", "change")
_SENT = ("send", "drop")


@dataclass(frozen=True, slots=True)
class Flight:
    """A message on its way. ``arrived`` is None if it never arrived, or after the picture (``pending``)."""

    sent: Happening | None
    arrived: Happening | None
    pending: bool = False

    @property
    def event(self) -> Happening:
        """One of its two ends."""
        event = self.sent or self.arrived
        assert event is not None
        return event

    @property
    def way(self) -> tuple[int, int]:
        """The sender and the receiver."""
        event = self.event
        return (event.peer, event.node) if event.kind == "arrive" else (event.node, event.peer)


class Stretch(NamedTuple):
    """A piece of a lane: ``condition`` is up, down, paused, or absent: not there yet, or removed.

    The node ``leads`` in ``ballot``, or prepares it.
    """

    node: int
    start: float
    end: float
    condition: str
    ballot: Ballot | None
    leads: bool


class Commit(NamedTuple):
    """A commit under way; ``fate`` is durable, lost (its node died) or pending."""

    node: int
    start: float
    end: float
    fate: str


class Trouble(NamedTuple):
    """The direction from ``one`` to ``other`` carries nothing, or loses messages: ``what`` says which."""

    one: int
    other: int
    start: float
    end: float
    what: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything shown from ``start`` to ``end``, in simulated seconds; ``marks`` are all other events."""

    start: float
    end: float
    flights: tuple[Flight, ...]
    marks: tuple[Happening, ...]
    stretches: tuple[Stretch, ...]
    commits: tuple[Commit, ...]
    troubles: tuple[Trouble, ...]

    def times(self) -> list[float]:
        """Every moment with an event, ascending, and the first and the last moment of the picture."""
        ends = [event.time for flight in self.flights for event in (flight.sent, flight.arrived) if event is not None]
        spans: tuple[Stretch | Commit | Trouble, ...] = (*self.stretches, *self.commits, *self.troubles)
        times = {self.start, self.end, *ends, *(mark.time for mark in self.marks)}
        times.update(time for span in spans for time in (span.start, span.end))
        return sorted(time for time in times if self.start <= time <= self.end)


def lanes_of(events: Sequence[Happening], first: int) -> list[int]:
    """The nodes with a lane: ``first`` ones that began the cluster, with the ids from 1 on, and those that joined."""
    return sorted({*range(1, first + 1), *(event.node for event in events if event.node)})


def compose(events: Sequence[Happening], nodes: int, slot: int | None, last: int, around: float | None) -> Scene:
    """The scene of the last ``last`` events worth showing, or as many around a time; about one slot, if given."""
    worth = _of_slot(events, slot)
    if around is not None:
        middle = sum(event.time < around for event in worth)
        worth = worth[max(middle - last // 2, 0) :][:last]
    worth = worth[-last:]
    if not worth:
        return Scene(0.0, 0.0, (), (), tuple(Stretch(n + 1, 0.0, 0.0, "up", None, False) for n in range(nodes)), (), ())
    start, end = worth[0].time, worth[-1].time
    before_end = [event for event in events if event.time <= end]
    numbers = {event.number for event in worth if event.number}
    flights = tuple(_flights([event for event in events if event.number in numbers], start, end))
    commits = [commit for commit in _commits(before_end, end) if commit.end >= start]
    if slot is not None:
        busy = {(event.node, event.time) for event in worth if event.number}
        commits = [each for each in commits if any(n == each.node and each.start <= t <= each.end for n, t in busy)]
    return Scene(
        start,
        end,
        flights,
        tuple(event for event in worth if not event.number and event.kind not in ("commit", "durable", *LINKS)),
        tuple(
            stretch
            for node in lanes_of(before_end, nodes)
            for stretch in _lane(before_end, node, start, end, "up" if node <= nodes else "absent")
        ),
        tuple(commits),
        tuple(_troubles(before_end, start, end)),
    )


# --- which events ---


def _of_slot(events: Sequence[Happening], slot: int | None) -> list[Happening]:
    """The events that say something new; for one slot only those about it, and the faults meanwhile."""
    noise = _noise(events)
    worth = [event for event in events if event.number not in noise and _is_worth(event)]
    if slot is None:
        return worth
    ballots = {event.about.ballot for event in events if isinstance(event.about, Accept) and event.about.slot == slot}
    about = [event for event in worth if _is_about(event, slot, ballots)]
    first, last = (about[0].time, about[-1].time) if about else (0.0, -1.0)
    kept = {id(event) for event in about}
    return [event for event in worth if id(event) in kept or (_is_fault(event) and first <= event.time <= last)]


def _noise(events: Sequence[Happening]) -> set[int]:
    """The numbers of signs of life, and of marks that a leader repeats."""
    told: dict[tuple[int, int], ChosenMark | ChosenThrough] = {}
    noise = set()
    for event in events:
        if isinstance(event.about, Heartbeat | HeartbeatAck | DiskSpace):
            noise.add(event.number)
        elif isinstance(event.about, ChosenMark | ChosenThrough) and event.kind in _SENT:
            if told.get((event.node, event.peer)) == event.about:
                noise.add(event.number)
            told[event.node, event.peer] = event.about
    return noise


def _is_worth(event: Happening) -> bool:
    if event.kind == "note":
        return _note_name(event) in NOTES
    return event.number > 0 or event.kind in _MARKS or event.kind in ("commit", "durable")


def _is_fault(event: Happening) -> bool:
    return not event.number and event.kind in _MARKS and event.kind != "chosen"


def _is_about(event: Happening, slot: int, ballots: set[Ballot]) -> bool:
    message = event.about
    if isinstance(message, (Accept, Accepted, ChosenOtherwise, *OF_ONE_SLOT)):
        return bool(message.slot == slot)
    if isinstance(message, Prepare | Promise | Nack):
        return message.ballot in ballots
    if isinstance(message, ChosenMark):
        return message.chosen_through == slot
    if isinstance(message, ChosenThrough):
        return message.through == slot
    if isinstance(message, ChosenSlots):
        return message.first_slot <= slot < message.first_slot + len(message.values)
    if event.kind == "note":
        return _note_name(event) in _STEPS and _ballot_of(event) in ballots
    return event.kind == "chosen" and chosen_slot(event) == (slot, str(message).split()[-1])


# --- what they say ---


def chosen_slot(event: Happening) -> tuple[int, str]:
    """The slot and ballot of a "chosen" event, whose text is "slot 7 in ballot 3.1"."""
    words = str(event.about).split()
    return int(words[1]), words[-1]


def ballots_of(events: Sequence[Happening]) -> list[Ballot]:
    """Every ballot that is named, in order."""
    named = (_ballot_of(event) if event.kind in ("note", "chosen") else ballot_of(event.about) for event in events)
    return sorted({ballot for ballot in named if ballot is not None})


def _note_name(event: Happening) -> str:
    """The event of a note: the second word of its text, behind the actor."""
    return str(event.about).split()[1]


def note_words(event: Happening) -> str:
    """A note in a word or two."""
    return NOTES[_note_name(event)]


def _ballot_of(event: Happening) -> Ballot | None:
    """The ballot named by a note, or by the choice of a slot."""
    words = str(event.about).split()
    named = [word.removeprefix("ballot=") for word in words if word.startswith("ballot=")]
    if event.kind == "chosen":
        named = [chosen_slot(event)[1]]
    if not named:
        return None
    number, _, node = named[0].partition(".")
    return Ballot(int(number), int(node))


def ballot_of(about: Any) -> Ballot | None:
    """The ballot of a message, if it has one."""
    ballot = getattr(about, "ballot", None)
    return ballot if isinstance(ballot, Ballot) else None


def _flights(events: Sequence[Happening], start: float, end: float) -> Iterator[Flight]:
    """Each message once for each arrival; ``events`` are their sends, drops and arrivals only."""
    sends = {event.number: event for event in events if event.kind in _SENT}
    arrived = set()
    for event in events:
        if event.kind == "arrive":
            sent = sends.get(event.number)
            arrived.add(event.number)
            if event.time <= end and event.time >= start:
                yield Flight(sent if sent is not None and sent.time >= start else None, event)
            elif event.time > end and sent is not None and start <= sent.time:
                yield Flight(sent, None, pending=True)
    for sent in sends.values():
        if sent.number not in arrived and start <= sent.time <= end:
            yield Flight(sent, None)


def _lane(events: Sequence[Happening], node: int, start: float, end: float, condition: str) -> Iterator[Stretch]:
    """The lane of a node in stretches. Earlier events decide how it begins on the left, else ``condition`` does."""
    state: tuple[str, Ballot | None, bool] = (condition, None, False)
    since = start
    for event in events:
        if event.node != node:
            continue
        after = _after(state, event)
        if after != state:
            if event.time > since:
                yield Stretch(node, since, event.time, *state)
                since = event.time
            state = after
    yield Stretch(node, since, end, *state)


def _after(state: tuple[str, Ballot | None, bool], event: Happening) -> tuple[str, Ballot | None, bool]:
    condition, ballot, leads = state
    if condition == "absent" and event.kind != "start":
        return state
    if event.kind == "note" and _note_name(event) == noted.removed.name:
        return "absent", None, False
    if event.kind in CRASHES:
        return "down", None, False
    if event.kind == "start":
        return "up", None, False
    if event.kind in ("pause", "resume"):
        return "paused" if event.kind == "pause" else "up", ballot, leads
    if event.kind in _SENT and isinstance(event.about, Accept | Heartbeat):
        return (
            condition,
            event.about.ballot,
            True,
        )  # Only a leader sends these. It may have become leader before the events.
    if event.kind != "note" or _note_name(event) not in _STEPS:
        return state
    if _note_name(event) in _ENDS:
        return condition, None, False
    return condition, _ballot_of(event), _note_name(event) == noted.leading.name


def _commits(events: Sequence[Happening], end: float) -> Iterator[Commit]:
    under_way: dict[int, float] = {}
    for event in events:
        if event.kind == "commit":
            under_way[event.node] = event.time
        elif event.kind in ("durable", *CRASHES) and event.node in under_way:
            fate = "durable" if event.kind == "durable" else "lost"
            yield Commit(event.node, under_way.pop(event.node), event.time, fate)
    for node, begun in sorted(under_way.items()):
        yield Commit(node, begun, end, "pending")


def _troubles(events: Sequence[Happening], start: float, end: float) -> Iterator[Trouble]:
    """Directions that are cut or lossy; their events say "to node 3" or "to node 3, 50%"."""
    since: dict[tuple[int, int, bool], tuple[float, str]] = {}
    for event in events:
        if event.kind == "heal":
            ended = [key for key in since if not key[2]]  # Nothing is lossy any more; cuts have events of their own.
        elif event.kind in LINKS:
            peer, _, chance = str(event.about).removeprefix("to node ").partition(", ")
            key = (event.node, int(peer), event.kind != "lossy")
            ended = [key] if key in since else []
        else:
            continue
        for each in ended:
            begun, what = since.pop(each)
            if event.time >= start:
                yield Trouble(each[0], each[1], max(begun, start), event.time, what)
        if event.kind == "cut" or (event.kind == "lossy" and chance != "0%"):
            since[key] = (event.time, "cut" if event.kind == "cut" else f"loses {chance}")
    for (one, other, _), (begun, what) in since.items():
        yield Trouble(one, other, max(begun, start), end, what)
