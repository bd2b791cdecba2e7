"""Requests as clients send them: RESP arrays of bulk strings, and inline commands, on the same stream.

The stream is parsed lazily: bytes that are not taken yet are only kept. There are three ways through a piece of it.
Small requests, the common case, are *regular*: the piece is split on CRLF once, and each request is a slice whose
lengths are compared at C speed. If several requests in a row have the same number of arguments, as in pipelines, they
are compared all at once, argument by argument. Everything else is taken *carefully*, one header or bulk at a time:
inline commands, long values, a CRLF inside a value, a request of which the piece holds only the beginning. The parser
keeps what it has found, so bytes that arrive one by one cost no more than in one piece.

Telnet's commands are understood and taken out where a line may stand (``wire/telnet.py``). The bytes of a bulk string
are the client's, and nothing is taken out of them.
"""

from __future__ import annotations

from dkv.wire import telnet
from dkv.wire.http import is_http
from dkv.wire.inline import split_line
from dkv.wire.regular import LENGTHS, regular_headers
from dkv.wire.request_limits import RequestLimits, limit_text

HEADER_BYTES_MAX = 32
"""The longest header line that is taken, with its CRLF: the number behind ``*`` or ``$`` has 19 digits at most."""

_ALIKE_PARTS_MIN = 48  # for fewer requests it takes longer than one by one


class RequestParser:
    """Cuts a client's bytes into requests: lists of at least one argument, each with its size on the wire.

    It holds at most one unfinished request of ``request_bytes_max``, and what was fed after it and not taken. When the
    stream makes no sense or exceeds a limit, ``error`` becomes the text of the error reply, which follows the replies
    to the requests before it; then nothing more is taken. Telnet's TIMING-MARK comes out as a request of its own.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_counts",
        "_headers",
        "_index",
        "_length",
        "_limits",
        "_line_wanted",
        "_missing",
        "_needed",
        "_offset",
        "_parts",
        "_pending",
        "_regular",
        "_scanned",
        "_size",
        "_telnet",
        "error",
    )

    def __init__(self, limits: RequestLimits) -> None:
        self.error: str | None = None
        self.limit(limits)
        self._telnet = False  # whether the client has shown that it is telnet
        # Received, and not looked at before it has _needed bytes, and the end of a line if one is wanted.
        self._pending = bytearray()
        self._needed = 1
        self._line_wanted = False
        self._scanned = 0  # _pending has no line's end and nothing of telnet before this
        # The piece that is parsed, the place reached in it, whether it may be regular, and its parts if it was split.
        self._buffer = b""
        self._offset = 0
        self._regular = True
        self._parts: list[bytes] = []
        self._index = 0
        # The array that was begun: its arguments, the number missing, the length of the next (-1: unknown), its bytes.
        self._arguments: list[bytes] = []
        self._missing = 0
        self._length = -1
        self._size = 0

    def limit(self, limits: RequestLimits) -> None:
        """These are the limits of what was not taken yet."""
        self._limits = limits
        self._counts, self._headers = regular_headers(limits.request_arguments_max)

    @property
    def held(self) -> int:
        """The number of bytes that were fed and not taken, with those of the unfinished request."""
        return len(self._pending) + len(self._buffer) - self._offset + self._size

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        if self.error is not None:
            return
        if self._buffer or self._pending or self._needed > 1:
            self._pending += data
        else:  # the common case: no request is unfinished
            self._buffer, self._offset, self._regular = data, 0, True

    def take(self, count_max: int) -> list[tuple[list[bytes], int]]:
        """The next complete requests, at most ``count_max``: (arguments, bytes on the wire) each."""
        taken: list[tuple[list[bytes], int]] = []
        while len(taken) < count_max and self.error is None:
            if not self._buffer and (not self._pending or not self._fill()):
                break
            if self._regular and not self._missing:
                self._take_regular(taken, count_max)
            else:
                self._take_carefully(taken, count_max)
            if self._offset == len(self._buffer):
                self._buffer, self._offset, self._parts = b"", 0, []
        return taken

    # --- pieces ---

    def _fill(self) -> bool:
        """Begin a piece with the pending bytes, if there are enough of them to get any further."""
        pending = self._pending
        if len(pending) < self._needed:
            return False
        may_wait = self._line_wanted and len(pending) < self._limits.inline_bytes_max
        if may_wait and telnet.NEWS.search(pending, self._scanned) is None:
            self._scanned = len(pending)
            return False
        self._buffer, self._offset, self._regular = bytes(pending), 0, True
        pending.clear()
        self._needed, self._line_wanted, self._scanned = 1, False, 0
        return True

    def _wait(self, needed: int, line: bool = False) -> None:
        """Put the rest of the piece back until it has ``needed`` bytes from here on, or a whole ``line``."""
        rest = self._buffer[self._offset :]
        self._pending[:0] = rest
        self._needed, self._line_wanted, self._scanned = needed, line, len(rest)
        self._buffer, self._offset = b"", 0

    def _refuse(self, text: str) -> None:
        self._end(f"ERR Protocol error: {text}")

    def _end(self, error: str) -> None:
        self.error = error
        self._pending.clear()
        self._buffer, self._offset, self._parts, self._arguments, self._size = b"", 0, [], [], 0

    # --- regular ---

    def _take_regular(self, taken: list[tuple[list[bytes], int]], count_max: int) -> None:
        """Take whole requests off a piece that is split on CRLF, up to the first one that is not regular."""
        if not self._parts:
            if self._buffer[self._offset] != 42:  # b"*"
                self._regular = False
                return
            self._parts, self._index = self._buffer[self._offset :].split(b"\r\n"), 0
            if self._take_only(taken):
                return
        if len(self._parts) - self._index > _ALIKE_PARTS_MIN:
            self._take_alike(taken, count_max)
        parts, index, offset = self._parts, self._index, self._offset
        last = len(parts) - 1  # the part behind the last CRLF
        bytes_max, count_of, length_of = self._limits.request_bytes_max, self._counts.get, LENGTHS.get
        while len(taken) < count_max:
            count = count_of(parts[index], last)  # any other header counts as more parts than there are
            stop = index + 1 + 2 * count
            if stop > last:
                break
            arguments = parts[index + 2 : stop : 2]
            if [*map(length_of, parts[index + 1 : stop : 2])] != [*map(len, arguments)]:
                break
            size = sum(map(len, parts[index:stop])) + 2 * (stop - index)
            if size > bytes_max:
                break
            taken.append((arguments, size))
            index, offset = stop, offset + size
        else:
            self._index, self._offset = index, offset
            return
        self._offset, self._parts, self._regular = offset, [], False

    def _take_only(self, taken: list[tuple[list[bytes], int]]) -> bool:
        """Take the rest of a piece if it is one whole request, and return whether it was.

        It is for every client that has one request under way at a time.
        """
        parts, size = self._parts, len(self._buffer) - self._offset
        stop = len(parts) - 1
        if parts[stop] or parts[0] != self._headers.get(stop) or size > self._limits.request_bytes_max:
            return False
        arguments = parts[2:stop:2]
        if [*map(LENGTHS.get, parts[1:stop:2])] != [*map(len, arguments)]:
            return False
        taken.append((arguments, size))
        self._offset = len(self._buffer)
        return True

    def _take_alike(self, taken: list[tuple[list[bytes], int]], count_max: int) -> None:
        """Take all whole requests left in a piece, if they are regular and have the same number of arguments."""
        parts, index = self._parts, self._index
        header = parts[index]
        step = 1 + 2 * self._counts.get(header, len(parts))
        number = min((len(parts) - 1 - index) // step, count_max - len(taken))
        stop = index + step * number
        if parts[index:stop:step] != [header] * number:
            return
        columns, lengths = [], []
        for column in range(index + 2, index + step, 2):
            headers, words = parts[column - 1 : stop : step], parts[column:stop:step]
            length = [*map(len, words)]
            if [*map(LENGTHS.get, headers)] != length:
                return
            columns.append(words)
            lengths += [map(len, headers), length]
        around = len(header) + 2 * step
        sizes = [around + size for size in map(sum, zip(*lengths, strict=True))]
        if sizes and max(sizes) <= self._limits.request_bytes_max:
            taken.extend(zip(map(list, zip(*columns, strict=True)), sizes, strict=True))
            self._index, self._offset = stop, self._offset + sum(sizes)

    # --- carefully ---

    def _take_carefully(self, taken: list[tuple[list[bytes], int]], count_max: int) -> None:
        """Take one request, or as much of it as the piece has."""
        if not self._missing:
            if self._buffer[self._offset] != 42:  # b"*"
                self._take_line(taken, count_max)
                return
            count = self._take_header(b"*", "multibulk")
            if count is None:
                return
            if count > self._limits.request_arguments_max:
                self._refuse(
                    f"invalid multibulk length: {count} arguments, " + limit_text(self._limits, "request_arguments_max")
                )
                return
            self._missing = max(count, 0)
            if not self._missing:
                self._size = 0
                return
        while self._missing:
            if not self._take_argument():
                return
        taken.append((self._arguments, self._size))
        self._arguments, self._size = [], 0

    def _take_argument(self) -> bool:
        """Take the next argument of the array; False if it is not all there, or refused."""
        if self._length < 0:
            length = self._take_header(b"$", "bulk")
            if length is None:
                return False
            if length < 0:
                self._refuse("invalid bulk length")
                return False
            if self._size + length + 2 > self._limits.request_bytes_max:
                self._refuse(
                    f"invalid bulk length: {length} bytes more would make a request of"
                    f" {self._size + length + 2} bytes, " + limit_text(self._limits, "request_bytes_max")
                )
                return False
            self._length = length
        end = self._offset + self._length
        if end + 2 > len(self._buffer):
            self._wait(self._length + 2)
            return False
        if self._buffer[end : end + 2] != b"\r\n":
            self._refuse(f"expected CRLF after a bulk of {self._length} bytes")
            return False
        self._arguments.append(self._buffer[self._offset : end])
        self._size += self._length + 2
        self._offset, self._length = end + 2, -1
        self._missing -= 1
        return True

    def _take_header(self, kind: bytes, name: str) -> int | None:
        """Take a header line and return its number; None if the line is not all there, or refused."""
        start = self._offset
        end = self._buffer.find(b"\r\n", start, start + HEADER_BYTES_MAX)
        if start < len(self._buffer) and self._buffer[start : start + 1] != kind:
            got = chr(self._buffer[start])
            self._refuse(f"expected '{kind.decode()}', got {got!a}")
            return None
        if end < 0:
            if len(self._buffer) - start >= HEADER_BYTES_MAX:
                self._refuse(f"too big {name} count string")
            else:
                self._wait(len(self._buffer) - start + 1)
            return None
        digits = self._buffer[start + 1 : end]
        if not digits.removeprefix(b"-").isdigit() or b"%d" % int(digits) != digits:
            self._refuse(f"invalid {name} length")
            return None
        self._offset = end + 2
        self._size += end + 2 - start
        return int(digits)

    # --- lines ---

    def _take_line(self, taken: list[tuple[list[bytes], int]], count_max: int) -> None:
        """Take an inline command. It ends with LF, CRLF or, from telnet, CR NUL."""
        start, bytes_max = self._offset, self._limits.inline_bytes_max
        end = self._buffer.find(b"\n", start, start + bytes_max)
        line = self._buffer[start : start + bytes_max if end < 0 else end]
        if b"\xff" in line or b"\r\0" in line:
            self._take_typed(taken, count_max)
        elif end >= 0:
            self._offset = end + 1
            self._take_words(taken, line, end + 1 - start)
        elif len(line) >= bytes_max:
            self._refuse_line()
        else:
            self._wait(len(line) + 1, line=True)

    def _take_typed(self, taken: list[tuple[list[bytes], int]], count_max: int) -> None:
        """Take telnet's input: marks that want an answer, and perhaps a line."""
        buffer, start = self._buffer, self._offset
        typed = telnet.read_line(buffer, start, self._limits.inline_bytes_max, count_max - len(taken))
        self._telnet = self._telnet or typed.shown
        taken.extend([(telnet.TIMING_MARK, len(telnet.TIMING_MARK[0]))] * typed.marks)
        if typed.too_long:
            self._refuse_line()
        elif typed.size:
            self._offset = typed.stop
            line = telnet.unescaped(typed.text) if self._telnet else typed.text
            self._take_words(taken, line, typed.size)
        else:
            # The commands are taken out: what is left is the line typed so far, and what follows it.
            self._buffer, self._offset, self._parts = typed.text + buffer[typed.stop :], 0, []
            if len(taken) < count_max and self._buffer and not self._buffer.startswith(b"*"):
                self._wait(len(self._buffer) + 1, line=True)
                self._scanned = len(typed.text)

    def _take_words(self, taken: list[tuple[list[bytes], int]], line: bytes, size: int) -> None:
        """Take the words of a line that has ``size`` bytes on the wire. A line without words is passed over."""
        if is_http(line):
            self._end("ERR this is not an HTTP server")
            return
        words = split_line(line)
        if words is None:
            self._refuse("unbalanced quotes in request")
        elif len(words) > self._limits.request_arguments_max:
            self._refuse(
                f"an inline request of {len(words)} words, " + limit_text(self._limits, "request_arguments_max")
            )
        elif words:
            taken.append((words, size))

    def _refuse_line(self) -> None:
        self._refuse("too big inline request, " + limit_text(self._limits, "inline_bytes_max"))
