"""coredis, an asyncio client with types: pipelines, deadlines, scans, publish and subscribe."""

from __future__ import annotations

import asyncio

from coredis import PureToken, Redis

from tests.clients.programs.ride import HOST, PORT, ride_async


async def main() -> None:
    """Try it out, then ride."""
    async with Redis(host=HOST, port=PORT, decode_responses=True) as client:
        await client.delete(["core:a", "core:n"])
        assert await client.set("core:a", "b", ex=100) is True
        assert await client.set("core:a", "c", condition=PureToken.NX) is False
        assert await client.incrby("core:n", 5) == 5
        async with client.pipeline(transaction=True) as pipe:
            replies = pipe.get("core:a"), pipe.incr("core:n")
        assert [await reply for reply in replies] == ["b", 6]
        assert {key async for key in client.scan_iter("core:*")} == {"core:a", "core:n"}
        async with client.pubsub(channels=["core:news"]) as listener:
            assert await client.publish("core:news", "hello") == 1
            async for message in listener:
                if message["type"] == "message":
                    assert message["data"] == "hello"
                    break

        async def write(number: int) -> None:
            await client.set(f"ride:core:{number}", number)

        async def holds(number: int) -> bool:
            return await client.get(f"ride:core:{number}") == str(number)

        await ride_async(write, holds)


asyncio.run(main())
print("all well")
