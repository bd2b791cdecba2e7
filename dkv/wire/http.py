"""HTTP, which dkv does not speak, told apart from the inline commands that people type.

A web page can make its reader's browser send a request to any port, with words of the page's choice in the target,
the headers and the body; and ``curl -X PUT`` looks like a PUT. So a line that may be the first of an HTTP request ends
the connection before anything of it is executed.
"""

from __future__ import annotations

import re

_BEGINNING = re.compile(
    rb"\s*(?:"
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:"  # a header: no command has a colon in its name
    rb"|(?:CONNECT|HEAD|OPTIONS|PATCH|POST|TRACE)(?!\S)"  # methods that are no commands, with or without a version
    rb"|HTTP/[0-9]"  # a response
    rb")",
    re.IGNORECASE,
)
_VERSION = re.compile(rb"\sHTTP/[0-9]+(?:\.[0-9]+)?\s*\Z", re.IGNORECASE)


def is_http(line: bytes) -> bool:
    """Whether ``line`` looks like a header, a response, or ``METHOD target HTTP/x.y`` with any method.

    If there are more words, as from sloppy clients, one of those in between must look like a target. Quotes tell a
    value from a version: ``PUT k "HTTP/1.1"`` is a command, ``PUT k HTTP/1.1`` is not.
    """
    if _BEGINNING.match(line):
        return True
    version = _VERSION.search(line) if b"/" in line else None
    if version is None:
        return False
    targets = line[: version.start()].split()[1:]
    return len(targets) == 1 or any(word.startswith((b"/", b"*")) or b"://" in word for word in targets)
