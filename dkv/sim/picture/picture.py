"""A space-time picture of a run, as SVG: a lane for each node, slanted arrows for messages, coloured by ballot.

Time runs from left to right. ``dkv.sim.picture.scene`` decides what is shown, ``dkv.sim.picture.sheet`` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from dkv.ballot import Ballot
from dkv.messages import (
    Accept,
    Accepted,
    ChosenMark,
    ChosenOtherwise,
    Nack,
    Poll,
    PollAnswer,
    Prepare,
    Promise,
    Resigned,
    TakeOver,
)
from dkv.sim.picture.legend import COLOURS, GREEN, GREY, INK, RED, draw_legend
from dkv.sim.picture.scene import (
    CRASHES,
    OF_ONE_SLOT,
    Commit,
    Flight,
    Scene,
    Stretch,
    Trouble,
    ballot_of,
    ballots_of,
    chosen_slot,
    compose,
    note_words,
)
from dkv.sim.picture.sheet import Axis, Sheet
from dkv.sim.trace import Happening, describe

LANE_PIXELS, LEFT, RIGHT, WIDTH_MIN = 118, 92, 46, 1140
TOP, TITLE_Y = 88, 24
TROUBLE_PIXELS, STUB_PIXELS = 24, 22.0
_LEADERS = (Prepare, Promise, Nack, Accept, Accepted, ChosenOtherwise, ChosenMark, Poll, PollAnswer, Resigned, TakeOver)
TELLING = (*_LEADERS, *OF_ONE_SLOT)
"""Messages of elections and of both phases. They are drawn thick, and get the first names if room is short."""
FAULT_WORDS = {
    "ended": "ends",
    "leap": "clock leaps",
    "jump": "time of day jumps",
    "broken": "write error",
    "wipe": "disk lost",
    "flip": "bit flipped",
    "slow": "disk slow",
    "stuck": "disk stuck",
    "full": "disk full",
}


def picture(
    events: Sequence[Happening], nodes: int, *, slot: int | None = None, last: int = 400, around: float | None = None
) -> str:
    """The last ``last`` events on lanes, or as many ``around`` a time in simulated seconds; an SVG text.

    The first ``nodes`` nodes have lanes, and those that join: from their start until they hear that they were removed.
    If ``slot`` is given, only this slot is shown, with the ballots that proposed a value for it. Signs of life are
    left out. Ballots of a run have the same colours in all its pictures.
    """
    colours = {str(ballot): COLOURS[index % len(COLOURS)] for index, ballot in enumerate(ballots_of(events))}
    scene = compose(events, nodes, slot, last, around)
    return _Drawing(scene, colours).drawn(slot)


class _Drawing:
    def __init__(self, scene: Scene, colours: dict[str, str]) -> None:
        self._scene = scene
        self._nodes = sorted({each.node for each in scene.stretches})
        self._colours = colours
        self._sheet = Sheet()
        self._axis = Axis(scene.times(), LEFT, WIDTH_MIN - LEFT - RIGHT)
        self._right = max(self._axis.right, WIDTH_MIN - RIGHT)
        self._complaint = [
            line
            for mark in scene.marks
            if mark.kind == "violated"
            for line in wrap(str(mark.about), int(self._right - LEFT) // 8)
        ]
        self._top = TOP + 17.0 * len(self._complaint)
        self._chosen_y = self._top - 26
        self._bottom = self._top + len(self._nodes) * LANE_PIXELS
        self._ballots: set[str] = set()
        self._names: dict[tuple[int, str], float] = {}

    def drawn(self, slot: int | None) -> str:
        """The whole picture. Shapes drawn first lie below, and the first label gets the best place."""
        self._heading(slot)
        self._gaps()
        for stretch in self._scene.stretches:
            self._stretch(stretch)
        for commit in self._scene.commits:
            self._commit(commit)
        for flight in self._scene.flights:
            self._arrow(flight)
        for node in self._nodes:
            y = self._y(node)
            self._sheet.text(LEFT - 14, y + 5, f"node {node}", size=14, anchor="end", bold=True)
            self._sheet.keep_clear(LEFT, y - 5, self._right, 10)
        for mark in self._scene.marks:
            self._mark(mark)
        for flight in sorted(self._scene.flights, key=lambda flight: not isinstance(flight.event.about, TELLING)):
            self._name(flight)
        below = self._time(self._links(self._bottom))
        shown = {ballot: colour for ballot, colour in self._colours.items() if ballot in self._ballots}
        height = draw_legend(self._sheet, LEFT, below, self._right, shown)
        return self._sheet.svg(self._right + RIGHT, height)

    def _y(self, node: int) -> float:
        return self._top + (self._nodes.index(node) + 0.5) * LANE_PIXELS

    def _x(self, time: float) -> float:
        return self._axis.x(time)

    def _colour(self, ballot: Ballot | str | None) -> str:
        """The colour of a ballot; from now on the legend lists it."""
        if ballot is None:
            return GREY
        self._ballots.add(str(ballot))
        return self._colours[str(ballot)]

    # --- around it ---

    def _heading(self, slot: int | None) -> None:
        scene = self._scene
        what = f"{len(self._nodes)} nodes" if slot is None else f"slot {slot} on {len(self._nodes)} nodes"
        when = (
            f", from {scene.start:.3f} to {scene.end:.3f} s of simulated time" if scene.flights or scene.marks else ""
        )
        self._sheet.text(LEFT, TITLE_Y, f"{what}{when or ': nothing happened'}", size=14, bold=True)
        self._sheet.text(LEFT - 14, self._chosen_y + 4, "chosen slots", size=12, anchor="end")
        self._sheet.line(LEFT, self._chosen_y, self._right, self._chosen_y, "#ddd", 1)

    def _gaps(self) -> None:
        """Mark the places where time is cut."""
        for gap in self._axis.gaps:
            middle = (gap.x + gap.to_x) / 2
            self._sheet.begin("gap", f"{_span(gap.seconds)} in which nothing happened, drawn shorter")
            self._sheet.box(middle - 9, self._top, 18, self._bottom - self._top, "#f3f3f0")
            self._sheet.end()

    def _time(self, y: float) -> float:
        """Draw the axis of time, in seconds, and return where it ends below."""
        y += 8
        self._sheet.begin("axis")
        self._sheet.line(LEFT, y, self._right, y, INK, 1.2)
        self._sheet.text(LEFT - 38, y + 18, "time", size=12, anchor="end")
        for gap in self._axis.gaps:
            middle = (gap.x + gap.to_x) / 2
            self._sheet.box(middle - 3, y - 3, 6, 6, "white")
            for x in (middle - 3, middle + 3):
                self._sheet.line(x - 2, y + 5, x + 2, y - 5, INK, 1.2)
            self._sheet.text(middle, y + 32, _span(gap.seconds), colour="#777", size=10, anchor="middle")
        for time, x in self._axis.ticks(74):
            self._sheet.line(x, y, x, y + 5, INK, 1.2)
            self._sheet.text(x, y + 18, f"{time:.4f} s", size=11, anchor="middle")
        self._sheet.end()
        return y + 40

    def _links(self, y: float) -> float:
        """Draw a row for each pair of nodes with a cut or lossy direction, and return where the rows end below."""
        pairs = sorted({(min(each.one, each.other), max(each.one, each.other)) for each in self._scene.troubles})
        for pair in pairs:
            self._sheet.text(LEFT - 14, y + 16, f"link {pair[0]}\N{EN DASH}{pair[1]}", size=11, anchor="end")
            for trouble in self._scene.troubles:
                if {trouble.one, trouble.other} != set(pair):
                    continue
                self._trouble(trouble, y + (12 if trouble.one > trouble.other else 2))
            y += TROUBLE_PIXELS
        return y

    def _trouble(self, trouble: Trouble, y: float) -> None:
        x, to_x = self._x(trouble.start), self._x(trouble.end)
        words = f"{trouble.one} to {trouble.other}: {trouble.what}"
        self._sheet.begin("trouble", f"{words}, from {trouble.start:.6f} to {trouble.end:.6f} s")
        self._sheet.box(x, y, max(to_x - x, 2), 9, "#f5b5b0" if trouble.what == "cut" else "#f6dcae")
        if to_x - x > 6 * len(words):
            self._sheet.text(x + 3, y + 8, words, colour="#6b1414", size=9)
        self._sheet.end()

    # --- lanes ---

    def _stretch(self, stretch: Stretch) -> None:
        if stretch.condition == "absent":
            return
        x, to_x, y = self._x(stretch.start), self._x(stretch.end), self._y(stretch.node)
        if stretch.end == self._scene.end:
            to_x = self._right
        role = (
            "" if stretch.ballot is None else f", {'leads' if stretch.leads else 'phase 1'} in ballot {stretch.ballot}"
        )
        title = f"node {stretch.node} {stretch.condition}{role}, {stretch.start:.6f} to {stretch.end:.6f} s"
        self._sheet.begin("lane", title)
        if stretch.condition == "down":
            self._sheet.line(x, y, to_x, y, "#aaa", 1.6, "2 5")
        elif stretch.ballot is None:
            self._sheet.line(x, y, to_x, y, INK, 1.6)
        elif stretch.leads:
            self._sheet.line(x, y, to_x, y, self._colour(stretch.ballot), 7)
        else:
            self._sheet.line(x, y, to_x, y, INK, 1.2)
            self._sheet.line(x, y, to_x, y, self._colour(stretch.ballot), 4, "6 3")
        if stretch.condition == "paused":
            self._sheet.box(x, y - 8, to_x - x, 16, "url(#paused)", edge="#bbb")
        self._sheet.end()

    def _commit(self, commit: Commit) -> None:
        x, to_x, y = self._x(max(commit.start, self._scene.start)), self._x(commit.end), self._y(commit.node)
        fate = {"durable": f"durable at {commit.end:.6f}", "lost": f"lost at {commit.end:.6f}"}.get(
            commit.fate, "pending"
        )
        self._sheet.begin("commit", f"node {commit.node}: a commit, begun at {commit.start:.6f}, {fate}")
        durable = commit.fate == "durable"
        self._sheet.box(x, y + 4, max(to_x - x, 2), 6, INK if durable else "white", edge=INK)
        self._sheet.end()

    # --- messages ---

    def _ends(self, flight: Flight) -> tuple[float, float, float, float]:
        """The two ends of a message's line: a stub, if one end is missing."""
        sender, receiver = flight.way
        y, to_y = self._y(sender), self._y(receiver)
        stub = STUB_PIXELS if to_y > y else -STUB_PIXELS
        aside = STUB_PIXELS / 2 * abs(receiver - sender)  # Stubs to two nodes on the same side lie beside each other.
        if flight.sent is None:
            assert flight.arrived is not None
            x = self._x(flight.arrived.time)
            return x - aside, to_y - stub, x, to_y
        x = self._x(flight.sent.time)
        if flight.arrived is not None:
            return x, y, self._x(flight.arrived.time), to_y
        return x, y, x + aside, y + stub

    def _arrow(self, flight: Flight) -> None:
        x, y, to_x, to_y = self._ends(flight)
        colour = self._colour(ballot_of(flight.event.about))
        width = 1.5 if isinstance(flight.event.about, TELLING) else 0.7
        self._sheet.begin("arrow", self._tale(flight))
        lost = flight.arrived is None and not flight.pending
        self._sheet.line(x, y, to_x, to_y, colour, width, "3 2" if lost else "")
        if lost:
            self._sheet.cross(to_x, to_y, 3.5, colour, 1.6)
        elif flight.pending:
            self._sheet.dot(to_x, to_y, 2.5, colour, "white")
        else:
            self._sheet.head(x, y, to_x, to_y, colour)
        if flight.sent is None:
            self._sheet.dot(x, y, 2.5, colour, "white")
        if flight.arrived is None:
            self._sheet.keep_clear(to_x - 4, to_y - 4, 8, 8)
        self._sheet.end()

    def _tale(self, flight: Flight) -> str:
        """Everything known about a message."""
        sender, receiver = flight.way
        if flight.sent is None:
            fate = "sent before the picture, arrived"
        elif flight.arrived is not None:
            fate = f"sent {flight.sent.time:.6f}, arrived"
        elif flight.pending:
            fate = f"sent {flight.sent.time:.6f}, on its way"
        else:
            fate = f"sent {flight.sent.time:.6f}, never arrived"
        when = f" {flight.arrived.time:.6f}" if flight.arrived is not None else ""
        return f"{sender} to {receiver}: {describe(flight.event.about)} ({fate}{when})"

    def _name(self, flight: Flight) -> None:
        """Name a message, unless the same one to another node has a name, or a similar one beside it."""
        about = flight.event.about
        slot = about.chosen_through if isinstance(about, ChosenMark) else getattr(about, "slot", None)
        name = type(about).__name__ if slot is None else f"{type(about).__name__} {slot}"
        sender, _ = flight.way
        x, y, to_x, to_y = self._ends(flight)
        if x - self._names.get((sender, name), -1000.0) < 160:
            return
        if flight.sent is None or flight.arrived is None:
            to_x, to_y = (x, y) if flight.sent is None else (to_x, to_y)
            places = [(to_x + 6, to_y + 4), (to_x + 6, to_y + 14)]
        else:
            places = [
                (x + (to_x - x) * share + 5, y + (to_y - y) * share + 4)
                for share in (0.4, 0.5, 0.3, 0.6, 0.7, 0.22, 0.8)
            ]
        edge = self._right + RIGHT - 7 * len(name)
        self._sheet.begin("name", self._tale(flight))
        if self._sheet.label([place for place in places if place[0] < edge], name, self._colour(ballot_of(about))):
            self._names[sender, name] = x
        self._sheet.end()

    # --- marks ---

    def _mark(self, event: Happening) -> None:
        x = self._x(event.time)
        self._sheet.begin(event.kind, event.line())
        if event.kind == "chosen":
            slot, ballot = chosen_slot(event)
            self._sheet.dot(x, self._chosen_y, 4.5, self._colour(ballot))
            self._sheet.label(
                [(x - 3 * len(str(slot)), self._chosen_y - 9)], str(slot), self._colour(ballot), 11, bold=True
            )
        elif event.kind == "violated":
            self._sheet.line(x, self._top - 60, x, self._bottom, RED, 2.5)
            for row, line in enumerate(self._complaint):
                self._sheet.text(LEFT, TITLE_Y + 17 * (row + 1), line, colour=RED, size=13, bold=True)
        elif event.kind == "heal":
            self._sheet.line(x, self._top, x, self._bottom, GREEN, 1.2, "6 4")
            self._sheet.label([(x + 4, self._top + 8)], f"healed: {event.about}", GREEN, 11)
        elif event.node:
            self._on_lane(event, x, self._y(event.node))
        self._sheet.end()

    def _on_lane(self, event: Happening, x: float, y: float) -> None:
        """Draw an event that is a moment of a node's life, and label it where there is room."""
        places = [(x + 6, y + 24), (x + 6, y - 10), (x + 6, y + 36), (x + 6, y - 22), (x - 40, y + 24)]
        if event.kind in CRASHES:
            self._sheet.cross(x, y, 7, RED, 3)
            self._sheet.label(places, FAULT_WORDS.get(event.kind, event.kind), RED, 12, bold=True)
        elif event.kind == "note":
            self._sheet.line(x, y - 7, x, y + 7, "#222", 1.2)
            self._sheet.label(places, note_words(event), "#222", 11, bold=True)
        elif event.kind == "change":
            self._sheet.dot(x, y, 5, INK)
            self._sheet.label(places, str(event.about), INK, 12, bold=True)
        elif event.kind in ("start", "pause", "resume"):
            self._sheet.line(x, y - 9, x, y + 9, GREEN if event.kind != "pause" else RED, 2)
            self._sheet.label(places, event.kind, GREEN if event.kind != "pause" else RED, 11, bold=True)
        else:
            self._sheet.dot(x, y, 5, RED)
            word = FAULT_WORDS.get(event.kind, event.kind)
            self._sheet.label(places, word, RED, 11, bold=True)


def _span(seconds: float) -> str:
    """A duration in words."""
    return (
        f"{seconds:.2f} s"
        if seconds >= 1
        else f"{seconds * 1000:.0f} ms"
        if seconds >= 0.001
        else f"{seconds * 1e6:.0f} us"
    )
