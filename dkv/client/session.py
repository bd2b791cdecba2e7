"""A connection to whichever of several nodes serves, made again elsewhere when it is lost."""

from __future__ import annotations

from collections.abc import Sequence

from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, Reply, connect
from dkv.client.failover import CONNECT_SECONDS_MAX, Unreachable

READS = frozenset(
    b"GET MGET EXISTS STRLEN PING ECHO HELP INFO COMMAND CONFIG SELECT TIME DKV.STATUS DKV.METRICS DKV.LOG".split()
)
"""Requests that change nothing: one that got no answer may be sent again."""

TOKEN_WORDS_MIN = 4
"""``IDMP producer op write``; what is shorter, such as ``IDMP NEW``, carries no token."""


def repeatable(words: Sequence[bytes]) -> bool:
    """Whether a request may be sent twice: it only reads, or carries a token by which the nodes know it again."""
    name = words[0].upper()
    return name in READS or (name == b"IDMP" and len(words) >= TOKEN_WORDS_MIN and words[1].upper() != b"NEW")


class Session:
    """Requests one after another, over one connection for as long as it lasts."""

    def __init__(self, endpoints: Sequence[Endpoint], answer_seconds: float) -> None:
        self._endpoints = list(endpoints)
        self._answer_seconds = answer_seconds
        self._connection: Connection | None = None
        self._next = 0

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the session is connected to; None if it is not."""
        return self._connection.endpoint if self._connection else None

    def close(self) -> None:
        """Hang up. The next call connects to the next endpoint."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connect(self) -> None:
        """Connect to the first endpoint, from the next one on, that lets it; ``Unreachable`` if none does."""
        reasons: list[str] = []
        self._connect(reasons, len(self._endpoints))
        if self._connection is None:
            raise Unreachable("; ".join(reasons))

    def call(self, *words: bytes) -> Reply:
        """The answer to one request, from any node.

        A request that did not leave is sent to the next endpoint, and so is one that may be repeated and got no
        answer. Each endpoint is tried once, and that where the connection was lost once more. ``NoAnswer``: it left,
        and whether it was executed is not known. ``Unreachable``: nobody executed it, or it changes nothing.
        ``ServerError`` is an answer.
        """
        reasons: list[str] = []
        if self._connection is not None and self._connection.lost():
            self.close()  # before the request is on its way, while nothing is uncertain
        attempts = len(self._endpoints) + (self._connection is not None)
        while attempts > 0:
            if self._connection is None:
                attempts -= self._connect(reasons, attempts)
            else:
                attempts -= 1
            if self._connection is None:
                break
            try:
                return self._connection.call(*words)
            except NotSent as error:
                reasons.append(str(error))
            except NoAnswer as error:
                if not repeatable(words):
                    self.close()
                    raise
                reasons.append(str(error))
            except BaseException as error:
                if not isinstance(error, Exception):  # a Ctrl-C: the answer may come yet, and would be the next one's
                    self.close()
                raise
            self.close()
        raise Unreachable("; ".join(reasons))

    def _connect(self, reasons: list[str], attempts: int) -> int:
        """Try up to ``attempts`` endpoints; how many were tried."""
        for tried in range(1, attempts + 1):
            endpoint = self._endpoints[self._next % len(self._endpoints)]
            self._next += 1
            try:
                seconds = min(CONNECT_SECONDS_MAX, self._answer_seconds)
                self._connection = connect(endpoint, seconds, self._answer_seconds)
                return tried
            except NotSent as error:
                reasons.append(str(error))
        return attempts
