"""Replies for people, as redis-cli prints them; for pipes, raw; and for programs, as JSON."""

from __future__ import annotations

import base64
from typing import Any

from dkv.client.blocking import Reply

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quoted(data: bytes) -> str:
    """``data`` in double quotes with Redis's escapes: a line that an inline command reads back as the same bytes."""
    return '"' + "".join(_ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data) + '"'


def word(data: bytes) -> str:
    """``data`` as one word of a line: bare if that is safe, else quoted."""
    bare = data and all(32 < byte < 127 and byte not in b"\"'\\" for byte in data)
    return data.decode() if bare else quoted(data)


def printed(reply: Reply, indent: int = 0) -> str:
    """``reply`` with its type to be seen: ``"text"``, ``(integer) 5``, ``(nil)``, ``OK``, arrays numbered."""
    if reply is None:
        return "(nil)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, bytes):
        return quoted(reply)
    if isinstance(reply, str):
        return "".join(each if each.isprintable() else "?" for each in reply)
    if not reply:
        return "(empty array)"
    digits = len(str(len(reply)))
    lines = []
    for number, item in enumerate(reply, 1):
        lead = " " * indent if number > 1 else ""
        lines.append(f"{lead}{number:>{digits}}) {printed(item, indent + digits + 2)}")
    return "\n".join(lines)


def raw(reply: Reply) -> bytes:
    """``reply`` byte for byte, nil as nothing, an array's items one a line."""
    if reply is None:
        return b""
    if isinstance(reply, bytes):
        return reply
    if isinstance(reply, list):
        return b"\n".join(map(raw, reply))
    return str(reply).encode("utf-8", "replace")


def as_json(reply: Reply) -> Any:
    """``reply`` for ``json.dumps``: bytes as text if they are UTF-8, else as ``{"base64": ...}``."""
    if isinstance(reply, bytes):
        try:
            return reply.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(reply).decode()}
    return [as_json(item) for item in reply] if isinstance(reply, list) else reply
