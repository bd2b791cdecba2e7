"""redis-py's asyncio client, many requests at a time, and a subscriber in a task of its own."""

from __future__ import annotations

import asyncio

import redis.asyncio as redis

from tests.clients.programs.ride import HOST, PORT, ride_async


async def listen(client: redis.Redis) -> None:
    """What a reader of a channel gets until it is told to stop."""
    heard = []
    ready = asyncio.Event()

    async def reader() -> None:
        async with client.pubsub() as listener:
            await listener.subscribe("aio:news")
            async for message in listener.listen():
                if message["type"] == "subscribe":
                    ready.set()
                elif message["data"] == b"stop":
                    return
                else:
                    heard.append(message["data"])

    task = asyncio.create_task(reader())
    await ready.wait()
    for word in ("one", "two", "stop"):
        assert await client.publish("aio:news", word) == 1
    await task
    assert heard == [b"one", b"two"]


async def main() -> None:
    """Try it out, then ride."""
    async with redis.Redis(host=HOST, port=PORT, decode_responses=False) as client:
        await client.delete("aio:n")
        assert await asyncio.gather(*[client.set(f"aio:{n}", n, ex=100) for n in range(50)]) == [True] * 50
        assert sorted(await asyncio.gather(*[client.incr("aio:n") for _ in range(50)])) == list(range(1, 51))
        async with client.pipeline(transaction=True) as pipe:
            assert await pipe.get("aio:1").incr("aio:n").execute() == [b"1", 51]
        assert len([key async for key in client.scan_iter("aio:*")]) == 51
        await listen(client)

        async def write(number: int) -> None:
            await client.set(f"ride:aio:{number}", number)

        async def holds(number: int) -> bool:
            return await client.get(f"ride:aio:{number}") == b"%d" % number

        await ride_async(write, holds)


asyncio.run(main())
print("all well")
