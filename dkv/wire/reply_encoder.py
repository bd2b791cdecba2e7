"""Replies for clients: the results of ``dkv.replies`` in RESP 2, or in RESP 3 after ``HELLO 3``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dkv.replies import (
    OK,
    Aborted,
    EncodedList,
    Error,
    Local,
    Nested,
    Raw,
    Replying,
    Result,
    SetOf,
    Simple,
    Verbatim,
    Watched,
)

_OK = b"+OK\r\n"
_NIL = {2: b"$-1\r\n", 3: b"_\r\n"}
_NIL_ARRAY = {2: b"*-1\r\n", 3: b"_\r\n"}
_LINE_ENDS = str.maketrans("\r\n", "  ")
_ON = Replying.ON


class ReplyEncoder:
    """Encodes the replies of one connection, in their order; it begins with RESP 2.

    ``closed`` says that the last reply of the connection was encoded: nothing behind it is.
    """

    __slots__ = ("_replying", "closed", "protocol")

    def __init__(self) -> None:
        self.protocol = 2
        self.closed = False
        self._replying = _ON

    def encode(self, replies: Sequence[Result | Local]) -> bytes:
        """The bytes of ``replies``: results, or ``Local`` replies, which may switch the protocol or be the last."""
        if self._replying is not _ON:
            return self._encode_silently(replies)
        if len(replies) == 1 and replies[0] is OK:  # the answer to most writes
            return _OK
        pieces: list[bytes] = []
        add = pieces.append
        coming = iter(replies)
        for reply in coming:
            if type(reply) is bytes:
                add(b"$%d\r\n%b\r\n" % (len(reply), reply))
            elif reply is OK:
                add(_OK)
            elif type(reply) is Local and reply.replying not in (None, _ON):
                add(self._encode_silently([reply, *coming]))
                break
            else:
                self._add(add, reply)
                if self.closed:
                    break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _encode_silently(self, replies: Sequence[Result | Local]) -> bytes:
        """What a client gets that wants no replies: nothing, until it wants them again."""
        for place, reply in enumerate(replies):
            if type(reply) is Local:
                self.protocol = reply.protocol or self.protocol
                if reply.close:
                    self.closed = True
                    break
                if reply.replying is _ON:
                    self._replying = _ON
                    return self.encode(replies[place:])
                if reply.replying is not None:
                    if self._replying is not Replying.OFF:  # SKIP behind OFF changes nothing
                        self._replying = reply.replying
                    continue
            if self._replying is Replying.SKIP:
                self._replying = _ON
                return self.encode(replies[place + 1 :])
        return b""

    def _add(self, add: Callable[[bytes], None], result: Nested) -> None:
        match result:
            case None:
                add(_NIL[self.protocol])
            case bytes():
                add(b"$%d\r\n%b\r\n" % (len(result), result))
            case int():
                add(b":%d\r\n" % result)
            case Simple(text):
                add(b"+%b\r\n" % _line(text))
            case Error(text):
                add(b"-%b\r\n" % _line(text))
            case Local(reply, protocol, close):
                self.protocol = protocol or self.protocol
                self.closed |= close
                self._add(add, reply)
            case Aborted():
                add(_NIL_ARRAY[self.protocol])
            case Watched():
                add(_OK)
            case Raw(data):
                add(data)
            case EncodedList(count, parts):
                add(b"*%d\r\n" % count)
                for part in parts:
                    add(part)
            case Verbatim(data):
                add(b"$%d\r\n%b\r\n" % (len(data), data) if self.protocol == 2 else _verbatim(data))
            case list() | tuple():
                self._add_all(add, b"*", result)
            case SetOf(members):
                self._add_all(add, b"*" if self.protocol == 2 else b"~", members)
            case dict():
                add(b"*%d\r\n" % (2 * len(result)) if self.protocol == 2 else b"%%%d\r\n" % len(result))
                for key, value in result.items():
                    self._add(add, key)
                    self._add(add, value)
            case _:
                # A str, say, which is a Sequence for mypy.
                raise AssertionError(f"no reply is a {type(result).__name__}")

    def _add_all(self, add: Callable[[bytes], None], kind: bytes, members: Sequence[Nested]) -> None:
        add(b"%b%d\r\n" % (kind, len(members)))
        for member in members:
            if type(member) is bytes:  # nearly all, where there are many
                add(b"$%d\r\n%b\r\n" % (len(member), member))
            else:
                self._add(add, member)


def encode_items(items: list[bytes]) -> bytes:
    """The bytes of a piece of an ``EncodedList``."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(item), item) for item in items])


def _verbatim(data: bytes) -> bytes:
    return b"=%d\r\ntxt:%b\r\n" % (len(data) + 4, data)


def _line(text: str) -> bytes:
    """``text`` without line ends: one would end the reply, and the client would take the rest for the next reply."""
    return text.translate(_LINE_ENDS).encode("utf-8", "backslashreplace")
