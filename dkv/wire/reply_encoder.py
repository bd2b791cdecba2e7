"""Replies for clients: the results of ``dkv.replies`` in RESP 2, or in RESP 3 after ``HELLO 3``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dkv.replies import OK, Aborted, Error, Local, Nested, Raw, Result, Simple, Watched

_OK = b"+OK\r\n"
_NIL = {2: b"$-1\r\n", 3: b"_\r\n"}
_NIL_ARRAY = {2: b"*-1\r\n", 3: b"_\r\n"}
_LINE_ENDS = str.maketrans("\r\n", "  ")


class ReplyEncoder:
    """Encodes the replies of one connection, in their order; it begins with RESP 2.

    ``closed`` says that the last reply of the connection was encoded: nothing behind it is.
    """

    __slots__ = ("closed", "protocol")

    def __init__(self) -> None:
        self.protocol = 2
        self.closed = False

    def encode(self, replies: Sequence[Result | Local]) -> bytes:
        """The bytes of ``replies``: results, or ``Local`` replies, which may switch the protocol or be the last."""
        if len(replies) == 1 and replies[0] is OK:  # the answer to most writes
            return _OK
        pieces: list[bytes] = []
        add = pieces.append
        for reply in replies:
            if type(reply) is bytes:
                add(b"$%d\r\n%b\r\n" % (len(reply), reply))
            elif reply is OK:
                add(_OK)
            elif type(reply) is Local:
                self.protocol = reply.protocol or self.protocol
                _add_result(add, reply.reply, self.protocol)
                if reply.close:
                    self.closed = True
                    break
            else:
                _add_result(add, reply, self.protocol)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _add_result(add: Callable[[bytes], None], result: Nested, protocol: int) -> None:
    if result is None:
        add(_NIL[protocol])
        return
    match result:
        case bytes():
            add(b"$%d\r\n%b\r\n" % (len(result), result))
        case int():
            add(b":%d\r\n" % result)
        case Simple(text):
            add(b"+%b\r\n" % _line(text))
        case Error(text):
            add(b"-%b\r\n" % _line(text))
        case Aborted():
            add(_NIL_ARRAY[protocol])
        case Watched():
            add(_OK)
        case Raw(data):
            add(data)
        case list() | tuple():
            add(b"*%d\r\n" % len(result))
            for item in result:
                _add_result(add, item, protocol)
        case dict():
            add(b"*%d\r\n" % (2 * len(result)) if protocol == 2 else b"%%%d\r\n" % len(result))
            for key, value in result.items():
                _add_result(add, key, protocol)
                _add_result(add, value, protocol)
        case _:
            raise AssertionError(f"no reply is a {type(result).__name__}")  # a str, say, which is a Sequence for mypy


def _line(text: str) -> bytes:
    """``text`` without line ends: one would end the reply, and the client would take the rest for the next reply."""
    return text.translate(_LINE_ENDS).encode("utf-8", "backslashreplace")
