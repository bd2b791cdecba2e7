"""cashews: a cache for coroutines with patterns of keys, locks, counters and rate limits."""

from __future__ import annotations

import asyncio

from cashews import Cache, RateLimitError

from tests.clients.programs.ride import URL, ride_async

cache = Cache()
calls = []


@cache(ttl="100s", key="square:{number}")
async def square(number: int) -> int:
    """Remembered for each number."""
    calls.append(number)
    return number * number


@cache.locked(key="alone", wait=True, ttl="20s")
async def alone() -> None:
    """One at a time."""
    calls.append(len(calls))


@cache.rate_limit(limit=2, period="100s", key="visits")
async def visit() -> None:
    """Twice is enough."""


async def main() -> None:
    """Try it out, then ride."""
    cache.setup(f"{URL}/4", client_side=False)
    await cache.clear()
    assert await cache.set("a", {"n": 1}, expire=100) is True
    assert await cache.get("a") == {"n": 1}
    assert await cache.set("a", 2, exist=False) is False
    assert 0 < await cache.get_expire("a") <= 100
    assert await cache.incr("n") == 1
    assert await cache.incr("n", 4) == 5
    await cache.set_many({"b": 1, "c": 2}, expire=100)
    assert await cache.get_many("b", "c", "absent") == (1, 2, None)
    assert [key async for key in cache.scan("b*")] == ["b"]
    assert await cache.exists("b") is True
    assert await cache.delete("b") is True
    await cache.delete_match("c*")
    assert await cache.get("c") is None
    assert [await square(3), await square(3), await square(4)] == [9, 9, 16] and calls == [3, 4]
    async with cache.lock("seat", expire=20):
        assert await cache.is_locked("seat")
    assert not await cache.is_locked("seat")
    await asyncio.gather(*[alone() for _ in range(5)])
    assert len(calls) == 7
    await visit()
    await visit()
    try:
        await visit()
    except RateLimitError:
        pass
    else:
        raise AssertionError("a third visit")

    async def write(number: int) -> None:
        assert await cache.set(f"ride:{number}", number)

    async def holds(number: int) -> bool:
        return await cache.get(f"ride:{number}") == number

    await ride_async(write, holds)
    await cache.close()


asyncio.run(main())
print("all well")
