"""One call of a program and its attempts: the token that they share, and what follows when one of them fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import random
from typing import Any

from redis.exceptions import ResponseError

from dkv.client.redis.endings import (
    MaybeApplied,
    NotApplied,
    is_forgotten,
    is_of_one_node,
    is_refusal,
    is_silence,
    is_turned_away,
)
from dkv.client.redis.pending_ops import PendingOps, Token
from dkv.client.redis.request_kinds import Kind

DEADLINE_SECONDS = 15.0
"""How long a call goes on with other attempts. An election, and a node that is started anew, take less."""

QUICK_ATTEMPTS = 2
"""How many attempts follow the first one without a pause: at other nodes, while one is gone."""

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.02, 0.5


class TokenCall:
    """A request and its token, if it is a write. Every attempt at it sends ``words``."""

    def __init__(self, arguments: Sequence[Any], kind: Kind, pending: PendingOps) -> None:
        self.arguments = tuple(arguments)
        self.kind = kind
        self.may_be_done = False
        """Whether an attempt may have been executed, or may still be."""
        self._pending = pending
        self._token: Token | None = None

    @property
    def token(self) -> Token:
        """The producer and the op of a write, drawn when they are needed first."""
        assert self.kind is Kind.WRITE, "only a write has a token"
        if self._token is None:
            self._token = self._pending.take()
        return self._token

    @property
    def words(self) -> tuple[Any, ...]:
        """What is sent."""
        return ("IDMP", *self.token, *self.arguments) if self.kind is Kind.WRITE else self.arguments

    def close(self) -> None:
        """Nobody waits for it any more."""
        if self._token is not None:
            self._pending.done(self._token)

    def judge(self, error: Exception) -> None:
        """Take note of how an attempt ended. Raises what the call ends with, if it is not to be sent again."""
        if is_refusal(error):
            return
        if is_silence(error):
            if self.kind is Kind.OTHER:
                raise error
            self.may_be_done |= self.kind is Kind.WRITE
        elif is_forgotten(error):
            self._renew(error)
        elif is_turned_away(error):
            raise self.conclusion(error) if self.may_be_done else error
        elif not self.may_be_done or (isinstance(error, ResponseError) and not is_of_one_node(error)):
            raise error

    def conclusion(self, error: Exception) -> Exception:
        """What a call ends with whose last attempt ended with ``error``, and that is not sent again."""
        if self.kind is not Kind.WRITE:
            return error
        if self.may_be_done:
            return MaybeApplied(f"the write may have been executed, and no answer tells: {error}", self.token)
        return NotApplied(f"the write was not executed: {error}")

    def _renew(self, error: Exception) -> None:
        """The token is forgotten. If no attempt may have been executed before, the write goes on with another one."""
        if self._token is None or self.may_be_done:
            raise self.conclusion(error) from error
        self.close()
        self._token = None


class CallPatience:
    """How long a call is tried, and how long to wait before each attempt."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = clock() + seconds
        self._failures = 0

    def pause(self) -> float | None:
        """An attempt has failed: the seconds before the next one, or None if there is none any more."""
        self._failures += 1
        if self._clock() >= self._until:
            return None
        if self._failures <= QUICK_ATTEMPTS:
            return 0.0
        longest: float = min(PAUSE_SECONDS_MIN * 2 ** (self._failures - QUICK_ATTEMPTS), PAUSE_SECONDS_MAX)
        return longest * (0.5 + random() / 2)

    def after(self, call: TokenCall, error: Exception) -> float:
        """An attempt at ``call`` ended with ``error``: the seconds before the next one. Raises if there is none."""
        call.judge(error)
        pause = self.pause()
        if pause is None:
            raise call.conclusion(error) from error
        return pause
