"""Telnet's commands (RFC 854) in the lines that a person types, as far as a line of words needs them.

A command begins with the byte 255, *IAC*, and may stand anywhere in a line. It is never data. A command that
interrupts or erases (Ctrl-C sends IAC IP) drops the line typed so far. IAC DO TIMING-MARK asks for an answer once
everything sent before it is done (RFC 860); until then telnet shows nothing that it receives. All other commands are
passed over, which a server that offers no options may do.

Telnet sends a byte 255 that is data as IAC IAC. It counts as one byte if the connection has shown a command of telnet,
and as two otherwise, because other programs send bytes as they are. A byte 255 that begins no command is data.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dkv.replies import Raw

TIMING_MARK = [b"\xff\xfd\x06"]
"""The request that stands for IAC DO TIMING-MARK among a connection's requests. It is compared by identity."""

TIMING_MARK_REPLY = Raw(b"\xff\xfb\x06")
"""IAC WILL TIMING-MARK."""

NEWS = re.compile(rb"[\n\x00\xff]")
"""Bytes without any of these hold neither the end of a line nor a command."""

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
    """What a scan has read of a line."""

    text: bytes
    """The characters of the line, without commands; IAC IAC still stands for itself."""
    stop: int
    """The place in the buffer where it stopped: the bytes behind were not read."""
    size: int
    """The number of bytes of the line with its end, without commands; 0 if it has not ended."""
    marks: int
    """The number of IAC DO TIMING-MARK that it saw."""
    shown: bool
    """Whether it saw any command."""
    too_long: bool
    """Whether the line, or a command in it, has ``bytes_max`` bytes or more, however the network cut it."""


def read_line(buffer: bytes, start: int, bytes_max: int, marks_max: int) -> Typed:
    """Read the line that begins at ``start``, as far as it has arrived.

    Stops early after ``marks_max`` marks, and where a RESP array stands in place of a line.
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
            return Typed(bytes(text), stop, 0, marks, shown, too_long=True)
        stop = token.end()
        if kind == "end":
            return Typed(bytes(text), stop, len(text) + 1, marks, shown, too_long=False)
        if kind == "nul" and text.endswith(b"\r"):  # also where a command came between the two
            return Typed(bytes(text[:-1]), stop, len(text) + 1, marks, shown, too_long=False)
        if kind in ("nul", "escaped"):
            text += token[0]
            continue
        shown = True
        marks += kind == "mark"
        if kind == "drop":
            text.clear()
        if marks == marks_max or (not text and buffer.startswith(b"*", stop)):
            return Typed(bytes(text), stop, 0, marks, shown, too_long=False)
    else:
        text += buffer[stop:]
        stop = len(buffer)
    return Typed(bytes(text), stop, 0, marks, shown, too_long=len(text) + len(buffer) - stop >= bytes_max)


def unescaped(text: bytes) -> bytes:
    """The data that ``text``, typed in telnet, stands for."""
    return text.replace(b"\xff\xff", b"\xff")
