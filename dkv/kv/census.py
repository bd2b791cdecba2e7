"""A count of the pairs of a whole state, each of which is looked at: for backups, and for those who check a node."""

from __future__ import annotations

import struct

from dkv.configurations import Configurations, unpack_configurations
from dkv.keys import (
    APPLIED_KEYS,
    APPLIED_THROUGH,
    BATCH_MARK,
    CONFIGURATIONS,
    DATABASE,
    DIGEST,
    DIGEST_BYTES,
    STATE,
    TOKEN,
    unpack_number,
)
from dkv.kv.sessions import producer_counts, unpack_answer_of
from dkv.kv.stored import HEADER_BYTES, is_string, revision_of

_ORIGIN = struct.Struct(">IQ")
_MARK = struct.Struct(">QQ")


class StateDamaged(ValueError):
    """A pair of the state is not what the state machine would have written; the text names the key."""


class Census:
    """Takes all pairs of a state in the order of their keys, one after another.

    ``keys`` are the users' keys, ``key_bytes`` and ``value_bytes`` their bytes and those of their values, without
    headers. ``answers`` are the answers that are kept for ``producers``, ``origins`` those that batches came from.
    ``configurations`` are the sets of members, None if these never changed. ``latest_change`` is the last slot that
    changed a key or the members.
    """

    def __init__(self) -> None:
        self.applied_through = 0
        self.digest: bytes | None = None
        self.configurations: Configurations | None = None
        self.keys = self.key_bytes = self.value_bytes = 0
        self.producers = self.answers = self.origins = 0
        self.latest_change = 0
        self._answers_counted = 0
        self._last = b""

    def add(self, key: bytes, value: bytes) -> None:
        """Count the next pair; ``StateDamaged`` if it is none of the state's, or comes out of its order."""
        if key <= self._last:
            raise StateDamaged(f"key {key!r:.80} comes behind key {self._last!r:.80}")
        self._last = key
        kind = key[:1]
        try:
            if kind == STATE:
                self._add_value(key, value)
            elif kind == TOKEN:
                self._add_token(key, value)
            elif kind == BATCH_MARK:
                _ORIGIN.unpack(key[1:])
                _MARK.unpack(value)
                self.origins += 1
            elif key == CONFIGURATIONS:
                self.configurations = unpack_configurations(value)
                self.latest_change = max(self.latest_change, self.configurations.newest.slot)
            elif key == APPLIED_THROUGH:
                self.applied_through = unpack_number(value)
            elif key == DIGEST and len(value) == DIGEST_BYTES:
                self.digest = value
            else:
                raise StateDamaged(f"key {key!r:.80} is none of a state")
        except (struct.error, ValueError) as error:
            if isinstance(error, StateDamaged):
                raise
            raise StateDamaged(f"the value of key {key!r:.80} has another form") from None

    def finish(self) -> None:
        """All pairs were counted: ``StateDamaged`` if they do not go together."""
        if self.latest_change > self.applied_through:
            raise StateDamaged(
                f"slot {self.latest_change} has changed something, and the state ends at slot {self.applied_through}"
            )
        if self.answers != self._answers_counted:
            raise StateDamaged(f"producers count {self._answers_counted} answers, and there are {self.answers}")

    def _add_value(self, key: bytes, value: bytes) -> None:
        if key[1:2] != DATABASE or not is_string(value):
            raise ValueError
        self.keys += 1
        self.key_bytes += len(key) - 2
        self.value_bytes += len(value) - HEADER_BYTES
        self.latest_change = max(self.latest_change, revision_of(value)[0])

    def _add_token(self, key: bytes, value: bytes) -> None:
        counted = producer_counts(key, value)
        if counted is None:
            unpack_answer_of(value)
            self.answers += 1
        else:
            self.producers += 1
            self._answers_counted += counted


_COUNTED = {APPLIED_THROUGH, BATCH_MARK, CONFIGURATIONS, DIGEST, STATE, TOKEN}
assert _COUNTED == APPLIED_KEYS, "every kind of key of the state is counted"
