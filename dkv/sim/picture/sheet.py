"""The paper of a picture: SVG shapes with tooltips, labels that never cover each other, and a time axis with gaps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from math import hypot
from typing import NamedTuple

GAP_PIXELS_MIN, GAP_PIXELS_MAX = 7.0, 52.0
FULL_GAPS = 0.8
"""The share of the gaps between events that are drawn to scale; longer ones are cut."""
CHARACTER = 0.58
"""The width of a character, as a share of the size of its font."""
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if code not in (9, 10, 13)}


class ShortenedTime(NamedTuple):
    """A stretch of time that is drawn shorter than it was; ``x`` and ``to_x`` in pixels, ``seconds`` long."""

    x: float
    to_x: float
    seconds: float


class Axis:
    """Maps times to x: to scale where something happens, stretched where much happens, cut where nothing happens."""

    def __init__(self, times: Sequence[float], left: float, width_min: float) -> None:
        self._times = times
        self._xs = [left]
        self.gaps: list[ShortenedTime] = []
        lengths = [later - time for time, later in pairwise(times)]
        full = sorted(lengths)[int(FULL_GAPS * (len(lengths) - 1))] if lengths else 0.0
        scaled = [GAP_PIXELS_MAX * length / full for length in lengths]
        widths = [min(max(pixels, GAP_PIXELS_MIN), GAP_PIXELS_MAX) for pixels in scaled]
        stretch = max(width_min / sum(widths), 1.0) if widths else 1.0
        for length, pixels, width in zip(lengths, scaled, widths, strict=True):
            x = self._xs[-1]
            self._xs.append(x + width * stretch)
            if pixels > 2 * GAP_PIXELS_MAX:
                self.gaps.append(ShortenedTime(x, self._xs[-1], length))
        self.right = self._xs[-1]

    def x(self, time: float) -> float:
        """The x of a time between the first and the last."""
        at = bisect_right(self._times, time) - 1
        if at < 0 or at + 1 >= len(self._times):
            return self._xs[max(at, 0)]
        share = (time - self._times[at]) / (self._times[at + 1] - self._times[at])
        return self._xs[at] + share * (self._xs[at + 1] - self._xs[at])

    def ticks(self, distance: float) -> list[tuple[float, float]]:
        """(time, x) of events to label, at least ``distance`` pixels from each other, those after a gap first."""
        after = {gap.to_x for gap in self.gaps}
        ticks: list[tuple[float, float]] = []
        for wanted in (True, False):
            for time, x in zip(self._times, self._xs, strict=True):
                if (x in after or x == self._xs[0]) == wanted and all(abs(x - each) >= distance for _, each in ticks):
                    ticks.append((time, x))
        return sorted(ticks)


class Sheet:
    """Collects shapes; coordinates are in pixels. A ``title`` is shown while the mouse is over the shape."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._taken: list[tuple[float, float, float, float]] = []

    def svg(self, width: float, height: float) -> str:
        """The whole picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
            f' height="{height:.0f}" font-family="Helvetica, Arial, sans-serif">'
        )
        hatch = (
            '<defs><pattern id="paused" width="7" height="7" patternUnits="userSpaceOnUse">'
            '<path d="M0 7L7 0" stroke="#555" stroke-width="1.4"/></pattern></defs>'
        )
        return "\n".join((head, hatch, '<rect width="100%" height="100%" fill="white"/>', *self._parts, "</svg>", ""))

    def begin(self, kind: str, title: str = "") -> None:
        """Begin a group of shapes that are one thing, until ``end``."""
        self._parts.append(f'<g class="{kind}">' + (f"<title>{_clean(title)}</title>" if title else ""))

    def end(self) -> None:
        """End the group."""
        self._parts.append("</g>")

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str, width: float, dash: str = "") -> None:
        """A straight line."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
        self._parts.append(f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashed}/>')

    def head(self, x: float, y: float, to_x: float, to_y: float, colour: str) -> None:
        """The head of an arrow that comes from ``x``, ``y``."""
        length = hypot(to_x - x, to_y - y) or 1.0
        along_x, along_y = (to_x - x) / length, (to_y - y) / length
        back_x, back_y = to_x - 8 * along_x, to_y - 8 * along_y
        points = (
            (to_x, to_y),
            (back_x - 3 * along_y, back_y + 3 * along_x),
            (back_x + 3 * along_y, back_y - 3 * along_x),
        )
        self._parts.append(f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, fill: str, *, edge: str = "none") -> None:
        """A rectangle."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect {place} fill="{fill}" stroke="{edge}"/>')

    def dot(self, x: float, y: float, radius: float, colour: str, fill: str = "") -> None:
        """A disc, or a circle if ``fill`` is another colour."""
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
        self._parts.append(f'<circle {place} fill="{fill or colour}" stroke="{colour}"/>')

    def cross(self, x: float, y: float, size: float, colour: str, width: float) -> None:
        """An x whose arms are ``size`` long in each direction."""
        path = f"M{x - size:.1f} {y - size:.1f}l{2 * size:g} {2 * size:g}m0 {-2 * size:g}l{-2 * size:g} {2 * size:g}"
        self._parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}" fill="none"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = "#222",
        size: int = 12,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """A line of text, on its baseline, whatever it covers."""
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
        self._parts.append(f'<text {place} fill="{colour}"{weight}>{_clean(text)}</text>')

    def keep_clear(self, x: float, y: float, width: float, height: float) -> None:
        """Keep labels out of here."""
        self._taken.append((x, y, x + width, y + height))

    def label(
        self, places: Sequence[tuple[float, float]], text: str, colour: str, size: int = 10, *, bold: bool = False
    ) -> bool:
        """Write at the first of ``places`` that is free; False if none is."""
        width = len(text) * size * CHARACTER
        for x, y in places:
            left, top, right, bottom = x - 2, y - size, x + width + 3, y + 2
            if all(left >= box[2] or right <= box[0] or top >= box[3] or bottom <= box[1] for box in self._taken):
                self._taken.append((left, top, right, bottom))
                self._parts.append(
                    f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{size + 2}"'
                    ' fill="white" fill-opacity="0.8"/>'
                )
                self.text(x, y, text, colour=colour, size=size, bold=bold)
                return True
        return False


def _clean(text: str) -> str:
    """Escaped for XML, without the control characters that it cannot hold."""
    return escape(text.translate(_CONTROLS))
