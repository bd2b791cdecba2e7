"""fastapi-cache2: answers of routes are kept, and cleared by their namespace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import redis.asyncio as redis
from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache

from tests.clients.programs.ride import HOST, PORT, ride_async


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The cache begins and ends with the application."""
    client = redis.Redis(host=HOST, port=PORT)
    FastAPICache.init(RedisBackend(client), prefix="fastapi")
    yield
    await client.aclose()


app = FastAPI(lifespan=lifespan)
calls: list[int] = []


@app.get("/square/{number}")
@cache(namespace="squares", expire=100)
async def square(number: int) -> dict[str, int]:
    """A page that takes long to make."""
    calls.append(number)
    return {"square": number * number}


async def main() -> None:
    """Try it out, then ride."""
    async with lifespan(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site") as client:
        await FastAPICache.clear(namespace="squares")
        for _ in range(2):
            assert (await client.get("/square/3")).json() == {"square": 9}
        assert (await client.get("/square/4")).headers["X-FastAPI-Cache"] == "MISS"
        assert (await client.get("/square/4")).headers["X-FastAPI-Cache"] == "HIT"
        assert calls == [3, 4], calls
        await FastAPICache.clear(namespace="squares")
        assert (await client.get("/square/4")).headers["X-FastAPI-Cache"] == "MISS"

        async def write(number: int) -> None:
            assert (await client.get(f"/square/{number + 10}")).status_code == 200

        async def holds(number: int) -> bool:
            return (await client.get(f"/square/{number + 10}")).headers["X-FastAPI-Cache"] == "HIT"

        await ride_async(write, holds)


asyncio.run(main())
print("all well")
