"""Telnet's commands among what a person types (RFC 854), as far as a line of words needs them.

A command begins with the byte 255, *IAC*, and may stand anywhere in a line. None is ever data. Those that interrupt or
erase (Ctrl-C sends IAC IP) drop the line typed so far. IAC DO TIMING-MARK asks to be answered once all that was sent
before it is done (RFC 860); telnet shows nothing of what it receives until then. All others are passed over, as a
server may that has no options to offer.

A byte 255 that is data is sent as IAC IAC. It arrives as one byte if the connection has shown a command of telnet, and
as two otherwise: other programs send bytes as they are. A byte 255 that begins nothing telnet knows is data.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dkv.replies import Raw

TIMING_MARK = [b"\xff\xfd\x06"]
"""The request that stands for IAC DO TIMING-MARK among a connection's requests; it is known by its identity."""

TIMING_MARK_REPLY = Raw(b"\xff\xfb\x06")
"""IAC WILL TIMING-MARK."""

NEWS = re.compile(rb"[\n\x00\xff]")
"""A line without these bytes has neither an end nor a command in it."""

_SUBNEGOTIATION = rb"\xfa(?:[^\xff]|\xff[^\xf0])*"
_TOKEN = re.compile(
    rb"(?P<end>\n)"
    rb"|(?P<nul>\x00)"
    rb"|(?P<escaped>\xff\xff)"
    rb"|(?P<mark>\xff\xfd\x06)"
    rb"|(?P<drop>\xff[\xee\xf3\xf4\xf7\xf8])"  # abort, break, interrupt, erase a character, erase the line
    rb"|(?P<other>\xff(?:[\xfb-\xfe].|" + _SUBNEGOTIATION + rb"\xff\xf0|[\xec-\xf9]))"
    rb"|(?P<begun>\xff(?:[\xfb-\xfe]?|" + _SUBNEGOTIATION + rb"\xff?)\Z)",
    re.DOTALL,
)


class Typed(NamedTuple):
    """What was read of a line."""

    text: bytes
    """The characters of the line, without commands; IAC IAC still stands for itself."""
    stop: int
    """Where in the buffer it stopped: what lies behind was not read."""
    ended: bool
    """Whether that is behind the line's end."""
    marks: int
    """How often IAC DO TIMING-MARK was seen."""
    shown: bool
    """Whether any command was."""
    too_long: bool
    """Whether the line, or a command in it, has ``bytes_max`` bytes or more, wherever the network cut it."""


def read_line(buffer: bytes, start: int, bytes_max: int, marks_max: int) -> Typed:
    """Read the line that begins at ``start``, as far as it is there.

    Stops early at ``marks_max`` marks, and where a RESP array follows in place of a line.
    """
    text = bytearray()
    stop, marks, shown = start, 0, False
    for token in _TOKEN.finditer(buffer, start):
        kind, begin = token.lastgroup, token.start()
        text += buffer[stop:begin]
        stop = begin
        if kind == "begun":
            break
        if len(text) + len(token[0]) > bytes_max:
            return Typed(bytes(text), stop, False, marks, shown, too_long=True)
        stop = token.end()
        if kind == "end":
            return Typed(bytes(text), stop, True, marks, shown, too_long=False)
        if kind == "nul" and text.endswith(b"\r"):  # also where a command came between the two
            return Typed(bytes(text[:-1]), stop, True, marks, shown, too_long=False)
        if kind in ("nul", "escaped"):
            text += token[0]
            continue
        shown = True
        marks += kind == "mark"
        if kind == "drop":
            text.clear()
        if marks == marks_max or (not text and buffer.startswith(b"*", stop)):
            return Typed(bytes(text), stop, False, marks, shown, too_long=False)
    else:
        text += buffer[stop:]
        stop = len(buffer)
    return Typed(bytes(text), stop, False, marks, shown, too_long=len(text) + len(buffer) - stop >= bytes_max)


def unescaped(text: bytes) -> bytes:
    """The data that ``text``, typed in telnet, stands for."""
    return text.replace(b"\xff\xff", b"\xff")
