"""redis-py's Lock, blocking and for asyncio: taken, extended, taken again, given back, and never another one's."""

from __future__ import annotations

import asyncio

import redis
import redis.asyncio
from redis.exceptions import LockNotOwnedError

from tests.clients.programs.ride import HOST, PORT, ride


def try_out(client: redis.Redis) -> None:
    """One program has it at a time."""
    client.delete("lock", "lock:seat")
    ann, bob = client.lock("lock", timeout=60), client.lock("lock", timeout=60)
    assert ann.acquire() is True
    assert bob.acquire(blocking_timeout=0.05) is False
    assert ann.locked() and ann.owned() and not bob.owned()
    assert ann.extend(60) is True
    assert 60 < client.ttl("lock") <= 120
    assert ann.extend(10, replace_ttl=True) is True
    assert client.ttl("lock") <= 10
    assert ann.reacquire() is True
    assert client.ttl("lock") > 50
    bob.local.token = b"not the token"
    for wrong in (bob.reacquire, bob.release):
        try:
            wrong()
        except LockNotOwnedError:
            continue
        raise AssertionError("bob has ann's lock")
    ann.release()
    assert bob.acquire(blocking=False) is True
    bob.release()


async def try_out_asyncio() -> None:
    """The same for coroutines."""
    async with redis.asyncio.Redis(host=HOST, port=PORT) as client:
        lock = client.lock("lock:aio", timeout=60)
        assert await lock.acquire() is True
        assert await lock.extend(60) is True
        assert await lock.reacquire() is True
        assert await client.lock("lock:aio", timeout=60).acquire(blocking_timeout=0.05) is False
        await lock.release()
        assert await lock.locked() is False


with redis.Redis(HOST, PORT) as client:
    try_out(client)
    asyncio.run(try_out_asyncio())

    def sell(number: int) -> None:
        """Write under the lock."""
        with client.lock("lock:seat", timeout=20, sleep=0.01):
            client.set(f"ride:seat:{number}", number)

    ride(sell, lambda number: client.get(f"ride:seat:{number}") == b"%d" % number)
    assert client.exists("lock:seat") == 0
print("all well")
