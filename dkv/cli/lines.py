"""One line of ``dkv repl``, piped in or typed: its words, and the reply to them."""

from __future__ import annotations

from dkv.cli.waiting import for_answer
from dkv.client.blocking import Reply, ServerError
from dkv.client.session import Session
from dkv.wire.inline import split_line

ENDS = (b"QUIT", b"EXIT")
UNKNOWN = "outcome unknown"
RESP2_ONLY = "ERR this client speaks RESP 2 only: HELLO 2"
NOT_FOR_LINES = "ERR this client reads one answer to each line: CLIENT REPLY is not for it"


def execute(session: Session, words: list[bytes]) -> Reply:
    """The reply to one line. Refusals by this client are ``ServerError``, too."""
    name, second = words[0].upper(), words[1].upper() if len(words) > 1 else b""
    if name == b"HELLO" and second not in (b"", b"2"):
        raise ServerError(RESP2_ONLY)
    if (name, second) == (b"CLIENT", b"REPLY"):
        raise ServerError(NOT_FOR_LINES)
    with for_answer(session.endpoints):
        return session.call(*words)


def parse(line: bytes) -> list[bytes]:
    """The words of a line; ``ServerError``, as a node would answer, if its quotes are not balanced."""
    words = split_line(line)
    if words is None:
        raise ServerError("ERR Protocol error: unbalanced quotes in request")
    return words


def ends(words: list[bytes]) -> bool:
    """Whether this line ends the session."""
    return words[0].upper() in ENDS
