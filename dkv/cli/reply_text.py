"""Replies for people, as redis-cli prints them; for pipes, raw; and for programs, as JSON."""

from __future__ import annotations

import base64
import math
from typing import Any

from dkv.cli.output import one_line
from dkv.client.blocking import Reply
from dkv.replies import Error

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quoted(data: bytes) -> str:
    """``data`` in double quotes with Redis's escapes: an inline command reads it back as the same bytes."""
    return '"' + "".join(_ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data) + '"'


def word(data: bytes) -> str:
    """``data`` as one word of a line: without quotes if that is safe."""
    bare = data and all(32 < byte < 127 and byte not in b"\"'\\" for byte in data)
    return data.decode() if bare else quoted(data)


def printed(reply: Reply, indent: int = 0) -> str:
    """``reply`` in a form that shows its type: ``"text"``, ``(integer) 5``, ``(nil)``, ``OK``, arrays numbered."""
    if reply is None:
        return "(nil)"
    if isinstance(reply, Error):
        return f"(error) {one_line(reply.text)}"
    if isinstance(reply, bool):
        return f"({as_text(reply)})"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, float):
        return f"(double) {as_text(reply)}"
    if isinstance(reply, bytes):
        return quoted(reply)
    if isinstance(reply, str):
        return one_line(reply)
    if not reply:
        return "(empty array)"
    digits = len(str(len(reply)))
    lines = []
    for number, item in enumerate(reply, 1):
        lead = " " * indent if number > 1 else ""
        lines.append(f"{lead}{number:>{digits}}) {printed(item, indent + digits + 2)}")
    return "\n".join(lines)


def raw(reply: Reply) -> bytes:
    """``reply`` byte for byte: nil is nothing, and each item of an array has a line."""
    if reply is None:
        return b""
    if isinstance(reply, bytes):
        return reply
    if isinstance(reply, list):
        return b"\n".join(map(raw, reply))
    return as_text(reply).encode("utf-8", "replace")


def as_text(reply: int | float | str | Error) -> str:
    """The text for a pipe of a reply that is neither bytes nor an array."""
    if isinstance(reply, Error):
        return reply.text
    return str(reply).lower() if isinstance(reply, bool | float) else str(reply)


def as_json(reply: Reply) -> Any:
    """``reply`` for ``json.dumps``: bytes as text if they are UTF-8, else as ``{"base64": ...}``."""
    if isinstance(reply, bytes):
        try:
            return reply.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(reply).decode()}
    if isinstance(reply, Error):
        return {"error": reply.text}
    if isinstance(reply, float) and not math.isfinite(reply):
        return as_text(reply)  # JSON has no number for it
    return [as_json(item) for item in reply] if isinstance(reply, list) else reply
