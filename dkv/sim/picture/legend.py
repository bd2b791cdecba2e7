"""The meaning of the colours and signs of a picture."""

from __future__ import annotations

from collections.abc import Mapping

from dkv.sim.picture.sheet import Sheet

COLOURS = ("#1f62c4", "#d9700a", "#14884a", "#b32b8c", "#8a5a2b", "#0790ad", "#6a4bc0", "#7c8a12")
"""The colours of ballots, in their order."""
GREY, INK, RED, GREEN = "#8d969e", "#444", "#d3121f", "#14884a"
"""The colours of messages without a ballot, of lanes and axes, of faults, and of the ends of faults."""
ROW_PIXELS = 20
SIGNS = (
    "leads",
    "phase 1",
    "commit",
    "unfinished commit",
    "down",
    "paused",
    "lost",
    "from or to beyond",
    "chosen",
    "time cut",
)


def draw_legend(sheet: Sheet, left: float, y: float, right: float, ballots: Mapping[str, str]) -> float:
    """Draw the colours of ``ballots`` and all signs, and return where the legend ends below."""
    sheet.begin("legend")
    sheet.text(left - 14, y + 14, "ballots", anchor="end")
    x = left
    for ballot, colour in ballots.items():
        if x > right - 60:
            x, y = left, y + ROW_PIXELS
        sheet.line(x, y + 10, x + 20, y + 10, colour, 5)
        sheet.text(x + 25, y + 14, ballot)
        x += 52 + 7 * len(ballot)
    sheet.line(x, y + 10, x + 20, y + 10, GREY, 1.2)
    sheet.text(x + 25, y + 14, "none")
    x, y = left, y + ROW_PIXELS
    sheet.text(left - 14, y + 14, "signs", anchor="end")
    for sign in SIGNS:
        _draw_sign(sheet, x, y + 10, sign)
        sheet.text(x + 25, y + 14, sign)
        x += 46 + 7 * len(sign)
    sheet.end()
    return y + 30


def _draw_sign(sheet: Sheet, x: float, y: float, sign: str) -> None:
    if sign == "leads":
        sheet.line(x, y, x + 20, y, COLOURS[0], 7)
    elif sign == "phase 1":
        sheet.line(x, y, x + 20, y, COLOURS[0], 4, "6 3")
    elif sign in ("commit", "unfinished commit"):
        sheet.line(x, y - 4, x + 20, y - 4, INK, 1.6)
        sheet.box(x + 2, y, 16, 6, INK if sign == "commit" else "white", edge=INK)
    elif sign == "down":
        sheet.line(x, y, x + 20, y, "#aaa", 1.6, "2 5")
    elif sign == "paused":
        sheet.line(x, y, x + 20, y, INK, 1.6)
        sheet.box(x, y - 7, 20, 14, "url(#paused)")
    elif sign == "lost":
        sheet.line(x + 2, y - 6, x + 9, y + 1, GREY, 1.2, "2 2")
        sheet.cross(x + 11, y + 3, 3, GREY, 1.4)
    elif sign == "from or to beyond":
        sheet.line(x + 2, y - 6, x + 11, y + 3, GREY, 1.2)
        sheet.dot(x + 11, y + 3, 2.5, GREY, "white")
    elif sign == "chosen":
        sheet.dot(x + 10, y, 4.5, COLOURS[0])
    else:
        sheet.line(x + 4, y + 5, x + 8, y - 5, INK, 1.2)
        sheet.line(x + 11, y + 5, x + 15, y - 5, INK, 1.2)
