"""limits: fixed window, moving window and sliding window; blocking, and fixed and sliding for asyncio.

Started with ``strings`` it leaves out the moving window, which needs lists.
"""

from __future__ import annotations

import asyncio

from limits import RateLimitItemPerMinute, aio, strategies
from limits.storage import storage_from_string

from tests.clients.programs.ride import OPTIONS, URL, ride

storage = storage_from_string(URL)
storage.reset()
five = RateLimitItemPerMinute(5)
kinds = [strategies.FixedWindowRateLimiter, strategies.SlidingWindowCounterRateLimiter]
if "strings" not in OPTIONS:
    kinds.append(strategies.MovingWindowRateLimiter)
for kind in kinds:
    limiter = kind(storage)
    name = kind.__name__
    assert [limiter.hit(five, name) for _ in range(6)] == [True] * 5 + [False], name
    assert limiter.test(five, name) is False
    assert limiter.get_window_stats(five, name).remaining == 0
    assert limiter.hit(five, name, "somebody else", cost=3) is True
    assert limiter.get_window_stats(five, name, "somebody else").remaining == 2
    limiter.clear(five, name)
    assert limiter.hit(five, name) is True


async def try_out_asyncio() -> None:
    """The same for coroutines."""
    storage = storage_from_string(f"async+{URL}", implementation="redispy")
    for kind in (aio.strategies.FixedWindowRateLimiter, aio.strategies.SlidingWindowCounterRateLimiter):
        limiter = kind(storage)
        name = f"aio-{kind.__name__}"
        assert [await limiter.hit(five, name) for _ in range(6)] == [True] * 5 + [False], name


asyncio.run(try_out_asyncio())
limiter = strategies.SlidingWindowCounterRateLimiter(storage)


def visit(number: int) -> None:
    """Somebody new comes."""
    assert limiter.hit(five, "ride", str(number))


ride(visit, lambda number: limiter.get_window_stats(five, "ride", str(number)).remaining == 4)
print("all well")
