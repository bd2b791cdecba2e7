"""One request of a simulated client, and the conclusions from its reply."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dkv.kv.commands import interpret
from dkv.kv.description import describe
from dkv.kv.registry import Context
from dkv.records import Entry, UncheckedEntry
from dkv.replies import OK, Error, Local, LogRequest, Nested
from dkv.settings import Limits
from dkv.sim.keyring import Keyring

NOT_APPLIED = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MISCONF", "ERR", "IDMPOLD", "IDMPMISMATCH")
WRITES = (b"put", b"append", b"delete")
GROWING = (b"put", b"append")
REQUEST_BYTES, WORD_BYTES = 6, 8
"""The most bytes that a request adds to its words on the wire, and that each word adds."""
TOO_LONG = re.compile(r"ERR the value would have (\d+) bytes")
"""The answer to an APPEND that reached the limit of a value; it tells how long the value is."""


@dataclass(slots=True, eq=False)
class Request:
    """One request of a client, and its fate. If it is unanswered, or answered UNCERTAIN, its outcome is unknown.

    ``called`` is the time when it was first sent, ``sent`` when it was last sent, in simulated seconds.
    """

    client: int
    node: int
    words: list[bytes]
    called: float
    sent: float
    ring: Keyring | None = None
    """The ring that its keys are from; None if they are from none."""
    token: tuple[bytes, int] | None = None
    repeats: Request | None = None
    """The answered request that this one repeats: then it is no operation of its own."""
    unsure: bool = False
    """Whether it was sent before, and may have been executed then."""
    first_place: int = 0
    """Its place among all that its client sent, from its first sending; ``last_place`` is from its last."""
    last_place: int = 0
    returned: float | None = None
    reply: Nested = None

    @property
    def keys(self) -> list[bytes]:
        """The keys that it names."""
        return self.words[1:] if self.words[0] == b"delete" else self.words[1:2]

    @property
    def writes(self) -> bool:
        """Whether it is a write."""
        return self.words[0] in WRITES

    @property
    def was_sent(self) -> bool:
        """Whether it was sent: the run may have ended before."""
        return self.last_place > 0

    @property
    def is_operation(self) -> bool:
        """Whether it belongs into the history."""
        return self.was_sent and self.repeats is None and (self.writes or self.words[0] == b"get")

    @property
    def in_own_order(self) -> bool:
        """Whether only its client uses its keys: they show whether requests took effect in the order of sending."""
        return self.ring is not None and self.ring.own

    @property
    def failed(self) -> bool:
        """Whether it was refused as not applied, and so was every earlier try."""
        if not isinstance(self.reply, Error):
            return False
        # An ERR for a write with a token answers every try: it is stored, or comes before the write is proposed.
        same_for_all = self.token is not None and self.reply.text.startswith("ERR")
        return self.reply.text.startswith(NOT_APPLIED) and (same_for_all or not self.unsure)

    @property
    def known(self) -> bool:
        """Whether its outcome is known and it took effect."""
        return self.returned is not None and not isinstance(self.reply, Error)

    @property
    def is_forgotten(self) -> bool:
        """Whether it was refused because of its token: an earlier try may have been executed."""
        return isinstance(self.reply, Error) and self.reply.text.startswith(("IDMPOLD", "IDMPMISMATCH"))

    @property
    def length_told(self) -> int | None:
        """The length in bytes that the value would have had, if an APPEND was refused for it."""
        match = TOO_LONG.match(self.reply.text) if isinstance(self.reply, Error) else None
        return None if match is None else int(match[1])

    @property
    def length_seen(self) -> int | None:
        """The length of the value in bytes, if the refusal of an APPEND told it."""
        told = self.length_told
        return None if told is None or not self.failed else told - len(self.words[2])

    def on_the_wire(self) -> list[bytes]:
        """The words that are sent."""
        return self.words if self.token is None else [b"idmp", self.token[0], b"%d" % self.token[1], *self.words]

    def asks_for(self, entry: UncheckedEntry) -> bool:
        """Whether ``entry`` of the log is what the request asks for, without its token."""
        return describe(entry) == [self.words[0].upper(), *self.words[1:]]

    @property
    def wire_bytes(self) -> int:
        """Its size on the wire, in bytes."""
        return REQUEST_BYTES + sum(WORD_BYTES + len(word) for word in self.on_the_wire())

    def item(self, limits: Limits) -> Entry | Local:
        """An entry, or a reply that needs none, as ``dkv.console.client_session`` makes it of such a request."""
        if self.words[0] == b"echo":
            return Local(self.words[1])
        entry = interpret(self.on_the_wire(), Context(limits))
        assert entry is not None, f"{self.words[0]!r} is no command of the log"
        if isinstance(entry, LogRequest):
            return entry.entry
        return Local(entry) if isinstance(entry, Error) else entry

    def is_fitting(self, limits: Limits) -> bool:
        """Whether its reply is of a kind that fits it, and keeps the limits."""
        word, reply = self.words[0], self.reply
        if word == b"echo":
            return bool(reply == self.words[1])
        if isinstance(reply, Error):
            return self._may_be_refused(reply, limits)
        if word == b"idmp":
            return isinstance(reply, bytes)
        if self._is_too_long(limits):
            return False
        if word == b"get":
            return reply is None or (isinstance(reply, bytes) and len(reply) <= limits.value_bytes_max)
        if word == b"put":
            return bool(reply == OK)
        most = limits.value_bytes_max if word == b"append" else len(set(self.keys))
        return isinstance(reply, int) and 0 <= reply <= most

    def _may_be_refused(self, reply: Error, limits: Limits) -> bool:
        if reply.text.startswith("UNCERTAIN"):
            return self.words[0] != b"get"
        if reply.text.startswith("ERR"):
            return self._is_too_long(limits) or (self.length_told or 0) > limits.value_bytes_max
        if reply.text.startswith("MISCONF") and self.words[0] not in GROWING:
            return False
        return reply.text.startswith(NOT_APPLIED) and not self._is_too_long(limits)

    def _is_too_long(self, limits: Limits) -> bool:
        values = self.words[2:] if self.words[0] in (b"put", b"append") else []
        lengths = ((self.keys, limits.key_bytes_max), (values, limits.value_bytes_max))
        return any(len(word) > bytes_max for words, bytes_max in lengths for word in words)
