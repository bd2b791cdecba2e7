"""aiocache: a cache for coroutines, its decorator, its compare-and-set, and its lock against a stampede."""

from __future__ import annotations

import asyncio

from aiocache import RedisCache, cached
from aiocache.lock import OptimisticLock, RedLock
from aiocache.serializers import JsonSerializer

from tests.clients.programs.ride import HOST, PORT, ride_async


async def main() -> None:
    """Try it out, then ride."""
    async with RedisCache(endpoint=HOST, port=PORT, namespace="aiocache:", serializer=JsonSerializer()) as cache:
        await cache.clear()
        assert await cache.set("a", {"n": 1}, ttl=100) is True
        assert await cache.get("a") == {"n": 1}
        assert await cache.add("b", 2) is True
        assert await cache.multi_set([("c", 3), ("d", "four")], ttl=100) is True
        assert await cache.multi_get(["a", "c", "absent"]) == [{"n": 1}, 3, None]
        assert await cache.exists("c") is True
        assert await cache.expire("c", 50) is True
        assert await cache.increment("n", 5) == 5
        assert await cache.delete("a") == 1
        async with RedLock(cache, "b", lease=20):
            assert await cache.get("b") == 2
        async with OptimisticLock(cache, "b") as lock:
            await lock.cas("changed")
        assert await cache.get("b") == "changed"
        calls = []

        @cached(cache=RedisCache, endpoint=HOST, port=PORT, ttl=100, key_builder=lambda _, number: f"square-{number}")
        async def square(number: int) -> int:
            calls.append(number)
            return number * number

        assert [await square(3), await square(3), await square(4)] == [9, 9, 16]
        assert calls == [3, 4]
        assert await cache.clear() is True
        assert await cache.get("c") is None

        async def write(number: int) -> None:
            await cache.set(f"ride-{number}", number)

        async def holds(number: int) -> bool:
            return await cache.get(f"ride-{number}") == number

        await ride_async(write, holds)


asyncio.run(main())
print("all well")
