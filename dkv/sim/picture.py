"""A space-time picture of a run, as SVG: a lane for each node, slanted arrows for messages, coloured by ballot.

Time runs from left to right. A thick bar on a lane is a commit under way; a lane is missing while its node is down,
hatched while it is paused, and in the colour of a ballot while the node leads in it. Dashed verticals are chosen slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from dkv.ballot import Ballot
from dkv.messages import Accept, Accepted, ChosenMark, ChosenOtherwise, Heartbeat, HeartbeatAck, Prepare, Promise
from dkv.sim.trace import Happening, describe

COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#8d5a97", "#c77d0a", "#0f8b8d", "#a23b72", "#5c6b73")
QUIET = "#929ba3"
LANE_PIXELS, LEFT, TOP, RIGHT, BOTTOM = 110, 70, 64, 30, 74
GAP_PIXELS_MAX, GAP_PIXELS_MIN, PIXELS_PER_SECOND = 40.0, 5.0, 9_000.0
LABEL_PIXELS = 70
MARKS = {
    "crash": "crash",
    "start": "start",
    "ended": "ends",
    "pause": "pause",
    "resume": "resume",
    "leap": "clock leaps",
    "stuck": "disk stuck",
    "slow": "disk slow",
    "broken": "write error",
    "full": "disk full",
    "flip": "bit flipped",
    "wipe": "disk lost",
    "silent": "silence",
    "heal": "healed",
}
"""Events that a lane, or the world's line, is marked with."""


@dataclass(frozen=True, slots=True)
class _Arrow:
    """A message: sent, and received or lost."""

    sent: Happening
    arrived: Happening | None


def picture(
    events: Sequence[Happening],
    nodes: int,
    *,
    slot: int | None = None,
    last: int = 400,
    around: float | None = None,
) -> str:
    """The last ``last`` events of ``events`` on lanes for ``nodes``, or as many ``around`` a time in simulated seconds.

    Of one slot, if ``slot`` is given. Heartbeats, and marks that say nothing new, are left out. Times are compressed
    where nothing happens, so distances are no measure: the axis says.
    """
    news = _without_repeated_marks(events)
    shown = [event for event in news if _is_shown(event, slot)]
    if around is not None:
        middle = sum(event.time < around for event in shown)
        shown = shown[max(middle - last // 2, 0) : middle + last // 2]
    shown = shown[-last:]
    return _Drawing(shown, nodes, [event for event in events if shown and event.time <= shown[-1].time]).svg()


def _without_repeated_marks(events: Sequence[Happening]) -> list[Happening]:
    """What a leader repeats to say that it is there."""
    told: dict[tuple[int, int], ChosenMark] = {}
    repeated: set[int] = set()
    kept = []
    for event in events:
        if event.kind in ("send", "drop") and isinstance(event.about, ChosenMark):
            if told.get((event.node, event.peer)) == event.about:
                repeated.add(event.number)
            told[event.node, event.peer] = event.about
        if not event.number or event.number not in repeated:
            kept.append(event)
    return kept


def _is_shown(event: Happening, slot: int | None) -> bool:
    about = event.about
    if isinstance(about, Heartbeat | HeartbeatAck):
        return False
    if slot is None or event.kind in MARKS or event.kind in ("violated", "cut", "mend"):
        return True
    if event.kind == "chosen":
        return str(about).startswith(f"slot {slot} ")
    if isinstance(about, Accept | Accepted | ChosenOtherwise):
        return about.slot == slot
    if isinstance(about, ChosenMark):
        return about.chosen_through == slot
    return isinstance(about, Prepare | Promise) or (event.kind == "note" and _leads(event) is not None)


def _leads(event: Happening) -> bool | None:
    """Whether a note says that the node leads (True) or does no more (False)."""
    words = str(event.about).split()
    if event.kind == "note" and words[:2] == ["proposer", "leading"]:
        return True
    return False if event.kind == "note" and words[:2] == ["proposer", "stepped_down"] else None


class _Drawing:
    def __init__(self, shown: list[Happening], nodes: int, events: list[Happening]) -> None:
        self._shown = shown
        self._nodes = nodes
        self._events = events
        self._parts: list[str] = []
        self._x: dict[float, float] = {}
        self._ballots: dict[Ballot, str] = {}
        self._last_label: dict[tuple[int, int, str], float] = {}
        x, before = float(LEFT), None
        for time in sorted({event.time for event in shown}):
            if before is not None:
                x += min(max((time - before) * PIXELS_PER_SECOND, GAP_PIXELS_MIN), GAP_PIXELS_MAX)
            self._x[time] = x
            before = time
        self._right = max(x, LEFT + 400.0)

    def svg(self) -> str:
        """The whole picture."""
        self._lanes()
        self._arrows()
        for event in self._shown:
            self._mark(event)
        self._axis()
        self._legend()
        width, height = self._right + RIGHT, TOP + self._nodes * LANE_PIXELS + BOTTOM
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}"'
            f' height="{height}" font-family="sans-serif" font-size="11">'
        )
        hatch = (
            '<defs><pattern id="paused" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<path d="M0 6L6 0" stroke="#666" stroke-width="1.5"/></pattern></defs>'
        )
        background = f'<rect width="{width:.0f}" height="{height}" fill="white"/>'
        return "\n".join((head, hatch, background, *self._parts, "</svg>", ""))

    # --- lanes ---

    def _y(self, node: int) -> float:
        return TOP + (node - 0.5) * LANE_PIXELS

    def _lanes(self) -> None:
        """Each lane in stretches: up, down, paused, leading; what holds at its left end comes from earlier events."""
        for node in range(1, self._nodes + 1):
            y = self._y(node)
            self._text(LEFT - 12, y + 4, f"node {node}", anchor="end", weight="bold")
            state: tuple[str, Ballot | None] = ("up", None)
            x = float(LEFT)
            for event in self._events:
                if event.node != node:
                    continue
                after = self._after(state, event)
                if after == state:
                    continue
                at = self._x.get(event.time)
                if at is not None and at > x:
                    self._stretch(x, at, y, state)
                    x = at
                state = after
            self._stretch(x, self._right, y, state)

    def _after(self, state: tuple[str, Ballot | None], event: Happening) -> tuple[str, Ballot | None]:
        condition, leading = state
        if event.kind in ("crash", "ended", "wipe"):
            return "down", None
        if event.kind in ("start", "resume", "pause"):
            return ("paused" if event.kind == "pause" else "up"), (None if event.kind == "start" else leading)
        leads = _leads(event)
        if leads is None:
            return state
        ballot = next(word for word in str(event.about).split() if word.startswith("ballot="))
        number, _, node = ballot.removeprefix("ballot=").partition(".")
        return condition, Ballot(int(number), int(node)) if leads else None

    def _stretch(self, x: float, to: float, y: float, state: tuple[str, Ballot | None]) -> None:
        condition, leading = state
        if condition == "down":
            self._line(x, y, to, y, "#ddd", 1.0, dash="2 6")
            return
        colour = "#444" if leading is None else self._colour(leading)
        self._line(x, y, to, y, colour, 1.2 if leading is None else 5.0, title=leading and f"leads in ballot {leading}")
        if condition == "paused":
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y - 6:.1f}" width="{to - x:.1f}" height="12" fill="url(#paused)"/>'
            )

    # --- messages ---

    def _arrows(self) -> None:
        sends = {event.number: event for event in self._shown if event.kind in ("send", "drop")}
        arrived = set()
        for event in self._shown:
            if event.kind == "arrive" and event.number in sends:
                arrived.add(event.number)
                self._arrow(_Arrow(sends[event.number], event))
        for number, event in sends.items():
            if number not in arrived:
                self._arrow(_Arrow(event, None))

    def _arrow(self, arrow: _Arrow) -> None:
        sent, arrived = arrow.sent, arrow.arrived
        x, y, to_y = self._x[sent.time], self._y(sent.node), self._y(sent.peer)
        colour = self._colour(getattr(sent.about, "ballot", None))
        title = f"{sent.time:.6f} {describe(sent.about)}"
        if arrived is None:
            end_x, end_y = x + 8, y + (to_y - y) * 0.12
            self._line(x, y, end_x, end_y, colour, 1.0, dash="2 2", title=f"{title} (lost, or not there yet)")
            self._text(end_x, end_y + 3, "\u00d7", colour=colour, anchor="middle")
            return
        end_x = max(self._x[arrived.time], x + 1)
        self._line(x, y, end_x, to_y, colour, 1.1, title=title)
        self._parts.append(f'<circle cx="{end_x:.1f}" cy="{to_y:.1f}" r="2" fill="{colour}"/>')
        self._label(sent, x + (end_x - x) * 0.3, y + (to_y - y) * 0.3, colour)

    def _label(self, sent: Happening, x: float, y: float, colour: str) -> None:
        """The name of a message, where it is not written just beside already."""
        name = type(sent.about).__name__
        slot = getattr(sent.about, "slot", None)
        key = (sent.node, sent.peer, "")
        if x - self._last_label.get(key, -LABEL_PIXELS) >= LABEL_PIXELS:
            self._last_label[key] = x
            self._text(x + 3, y, name if slot is None else f"{name} {slot}", colour=colour, size=9)

    # --- marks ---

    def _mark(self, event: Happening) -> None:
        x = self._x[event.time]
        if event.kind == "commit":
            end = self._end_of_commit(event)
            box = f'x="{x:.1f}" y="{self._y(event.node) + 5:.1f}" width="{max(end - x, 1.5):.1f}" height="5"'
            self._parts.append(f'<rect {box} fill="#777"><title>{event.time:.6f} commit</title></rect>')
        elif event.kind == "chosen":
            self._line(x, TOP - 8, x, TOP + self._nodes * LANE_PIXELS, "#999", 0.7, dash="3 3", title=event.line())
            self._text(x, TOP - 12, str(event.about).split()[1], anchor="middle", size=9)
        elif event.kind == "violated":
            self._line(x, TOP - 20, x, TOP + self._nodes * LANE_PIXELS, "red", 2.0, title=event.line())
            self._text(LEFT, 16, str(event.about), colour="red", weight="bold")
        elif event.kind in MARKS and event.node:
            y = self._y(event.node)
            self._parts.append(f'<path d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10" stroke="red" stroke-width="2"/>')
            self._text(x + 7, y - 8, MARKS[event.kind], colour="red", size=10)
        elif event.kind in ("cut", "mend"):
            peer = int(str(event.about).rpartition(" ")[2])
            colour, y = ("red" if event.kind == "cut" else "green"), self._y(event.node)
            towards = y + (12 if peer > event.node else -12)
            self._line(x, y, x, towards, colour, 3.0, title=f"{event.time:.6f} {event.kind} {event.about}")

    def _end_of_commit(self, event: Happening) -> float:
        for later in self._shown:
            if later.time >= event.time and later.node == event.node and later.kind in ("durable", "crash", "ended"):
                return self._x[later.time]
        return self._right

    # --- around it ---

    def _axis(self) -> None:
        y = TOP + self._nodes * LANE_PIXELS + 6
        self._line(LEFT, y, self._right, y, "#444", 1.0)
        labelled = -100.0
        for time, x in self._x.items():
            if x - labelled >= 90:
                labelled = x
                self._line(x, y, x, y + 5, "#444", 1.0)
                self._text(x, y + 17, f"{time:.4f} s", anchor="middle", size=10)
        self._text(LEFT - 12, TOP - 12, "chosen slot", anchor="end", size=9)

    def _legend(self) -> None:
        y = TOP + self._nodes * LANE_PIXELS + 46
        self._text(LEFT, y, "ballots:")
        x = LEFT + 50.0
        for ballot, colour in sorted(self._ballots.items()):
            self._line(x, y - 4, x + 18, y - 4, colour, 4.0)
            self._text(x + 22, y, str(ballot))
            x += 64
        self._line(x, y - 4, x + 18, y - 4, QUIET, 4.0)
        self._text(x + 22, y, "no ballot; a thick lane leads, a grey bar is a commit, \u00d7 is lost")

    def _colour(self, ballot: Any) -> str:
        if not isinstance(ballot, Ballot):
            return QUIET
        return self._ballots.setdefault(ballot, COLOURS[(ballot.round * 3 + ballot.node) % len(COLOURS)])

    def _line(
        self,
        x: float,
        y: float,
        to_x: float,
        to_y: float,
        colour: str,
        width: float,
        *,
        dash: str = "",
        title: Any = None,
    ) -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        start = f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"'
        inner = f"><title>{escape(str(title))}</title></line>" if title else "/>"
        self._parts.append(f'{start} stroke-width="{width}"{dashed}{inner}')

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = "#222",
        anchor: str = "start",
        size: int = 11,
        weight: str = "normal",
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}"'
            f' font-weight="{weight}">{escape(text)}</text>'
        )
