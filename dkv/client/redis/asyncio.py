"""The same for asyncio: import ``Redis`` from here in place of ``redis.asyncio``."""

from __future__ import annotations

from dkv.client.redis.asyncio_client import Redis
from dkv.client.redis.asyncio_connections import ConnectionPool
from dkv.client.redis.endings import AnswerLost, MaybeApplied, NotApplied

__all__ = ["AnswerLost", "ConnectionPool", "MaybeApplied", "NotApplied", "Redis"]
