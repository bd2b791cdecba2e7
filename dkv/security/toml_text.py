"""Reading TOML that somebody has written by hand: whatever is wrong with it is one line, and quotes nothing of it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_LONG_KEY = re.compile(r"""(?<![\w.-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){1000}""")
"""A key of so many parts takes memory by their square while it is read. No name or pattern is as long."""


class NotToml(ValueError):
    """A text is no TOML, or none that may be read. The error says where or why, and goes behind "is not TOML"."""


def parsed(text: str) -> dict[str, Any]:
    """What the text says; ``NotToml`` if that cannot be told."""
    if text.startswith("\ufeff"):
        raise NotToml(": it begins with a byte order mark; save it as UTF-8 without one")
    if _LONG_KEY.search(text):
        raise NotToml(": it is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml(": it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        _, found, place = str(error).rpartition("(at ")  # the rest may quote a password
        raise NotToml(f" ({place}" if found else "") from None
    except ValueError:
        raise NotToml(": a number in it has too many digits") from None
