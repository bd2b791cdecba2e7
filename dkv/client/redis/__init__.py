"""redis-py's ``Redis`` for a cluster of dkv: every write and every transaction happens once.

``from dkv.client.redis import Redis`` in place of ``from redis import Redis``, and ``dkv.client.redis.asyncio`` in
place of ``redis.asyncio``. docs/client.md tells more; ``endings`` has the exceptions, and what to conclude from each.
"""

from __future__ import annotations

from dkv.client.redis import supported

supported.check()

from dkv.client.redis.blocking_client import Redis  # noqa: E402 (only behind the check: it imports redis-py)
from dkv.client.redis.blocking_connections import ConnectionPool  # noqa: E402
from dkv.client.redis.endings import AnswerLost, MaybeApplied, NotApplied  # noqa: E402

__all__ = ["AnswerLost", "ConnectionPool", "MaybeApplied", "NotApplied", "Redis"]
