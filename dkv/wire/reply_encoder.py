"""Replies for clients: the results of ``dkv.replies`` in RESP 2, or in RESP 3 after ``HELLO 3``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dkv.pubsub_messages import CHANNEL, PATTERN, SHARD
from dkv.replies import (
    OK,
    Aborted,
    EncodedList,
    Error,
    InPlace,
    Local,
    Nested,
    Notice,
    Push,
    Raw,
    Replying,
    Result,
    Series,
    SetOf,
    Simple,
    Verbatim,
    Watched,
)

_OK = b"+OK\r\n"
_NIL = {2: b"$-1\r\n", 3: b"_\r\n"}
_NIL_ARRAY = {2: b"*-1\r\n", 3: b"_\r\n"}
_PUSH = {2: b"*", 3: b">"}
_NOTICES = {CHANNEL: b"message", PATTERN: b"pmessage", SHARD: b"smessage"}
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

    def encode_notices(self, notices: Sequence[Notice]) -> bytes:
        """The bytes of messages for a subscriber, whatever it wants of replies."""
        protocol = self.protocol
        if len(notices) == 1:
            return encode_notice(notices[0], protocol)
        return b"".join([encode_notice(notice, protocol) for notice in notices])

    def _encode_silently(self, replies: Sequence[Result | Local]) -> bytes:
        """What a client gets that wants no replies: only pushes, until it wants replies again.

        What replies do takes effect all the same.
        """
        pushed: list[bytes] = []
        for place, reply in enumerate(replies):
            if type(reply) is Local:
                if reply.replying is _ON:
                    self._replying = _ON
                    return b"".join(pushed) + self.encode(replies[place:])
                self._push_only(pushed.append, reply)
                if reply.close:
                    self.closed = True
                    break
                if reply.replying is not None:
                    if self._replying is not Replying.OFF:  # SKIP behind OFF changes nothing
                        self._replying = reply.replying
                    continue
            if self._replying is Replying.SKIP:
                self._replying = _ON
                return b"".join(pushed) + self.encode(replies[place + 1 :])
        return b"".join(pushed)

    def _push_only(self, add: Callable[[bytes], None], reply: Nested) -> None:
        """Make a reply that nobody wants, and add the pushes in it."""
        match reply:
            case InPlace(make):
                self._push_only(add, make())
            case Push() | Notice():
                self._add(add, reply)
            case Local(inner, protocol):
                self.protocol = protocol or self.protocol
                self._push_only(add, inner)
            case list() | Series():
                for each in reply.replies if type(reply) is Series else reply:
                    self._push_only(add, each)

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
            case Push(items):
                self._add_all(add, _PUSH[self.protocol], items)
            case Series(replies):
                for each in replies:
                    self._add(add, each)
            case InPlace(make):
                self._add(add, make())
            case Notice():
                add(encode_notice(result, self.protocol))
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


def encode_notice(notice: Notice, protocol: int) -> bytes:
    """The bytes of a message for a subscriber: made once for all of them that speak the same version of RESP."""
    encoded = notice.encoded.get(protocol)
    if encoded is None:
        words = [_NOTICES[notice.kind], notice.channel, notice.text]
        if notice.pattern is not None:
            words.insert(1, notice.pattern)
        encoded = notice.encoded[protocol] = b"%b%d\r\n" % (_PUSH[protocol], len(words)) + encode_items(words)
    return encoded


def _verbatim(data: bytes) -> bytes:
    return b"=%d\r\ntxt:%b\r\n" % (len(data) + 4, data)


def _line(text: str) -> bytes:
    """``text`` without line ends: one would end the reply, and the client would take the rest for the next reply."""
    return text.translate(_LINE_ENDS).encode("utf-8", "backslashreplace")
