"""redis-py's Sentinel, blocking and for asyncio: it asks any of the addresses for the master."""

from __future__ import annotations

import asyncio

import redis.asyncio.sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, TryAgainError
from redis.retry import Retry
from redis.sentinel import Sentinel

from tests.clients.programs.ride import ADDRESSES, NAME, ride


async def try_out_asyncio() -> None:
    """The same for coroutines."""
    sentinel = redis.asyncio.sentinel.Sentinel(ADDRESSES, socket_timeout=6.0)
    client = sentinel.master_for(NAME)
    assert await client.set("sentinel:aio", 1) is True
    assert await client.get("sentinel:aio") == b"1"
    await client.aclose()
    for each in sentinel.sentinels:
        await each.aclose()


ask_once = {"socket_timeout": 6.0, "retry": Retry(NoBackoff(), 0)}
retried = [ClusterDownError, TryAgainError]
sentinel = Sentinel(ADDRESSES, sentinel_kwargs=ask_once, socket_timeout=6.0, retry_on_error=retried)
assert sentinel.discover_master(NAME)[0] == ADDRESSES[0][0]
master = sentinel.master_for(NAME)
replica = sentinel.slave_for(NAME)
assert master.set("sentinel", "kept") is True
assert replica.get("sentinel") == b"kept"
asyncio.run(try_out_asyncio())
ride(lambda n: master.set(f"ride:sentinel:{n}", n), lambda n: replica.get(f"ride:sentinel:{n}") == b"%d" % n)
print("all well")
