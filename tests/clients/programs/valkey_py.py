"""valkey-py, blocking and for asyncio, with its Lock."""

from __future__ import annotations

import asyncio

import valkey
import valkey.asyncio

from tests.clients.programs.ride import HOST, PORT, ride


async def try_out_asyncio() -> None:
    """Many requests at a time."""
    async with valkey.asyncio.Valkey(host=HOST, port=PORT) as client:
        assert await asyncio.gather(*[client.set(f"valkey:{n}", n, ex=100) for n in range(50)]) == [True] * 50
        async with client.lock("valkey:lock", timeout=60) as lock:
            assert await lock.extend(60) is True


with valkey.Valkey(HOST, PORT) as client:
    client.delete("valkey:n", "valkey:lock")
    assert client.set("valkey:a", "b", px=100_000) is True
    assert client.set("valkey:a", "c", xx=True, keepttl=True) is True
    assert 0 < client.pttl("valkey:a") <= 100_000
    assert client.incrby("valkey:n", 3) == 3
    with client.pipeline() as pipe:
        assert pipe.get("valkey:a").decr("valkey:n").execute() == [b"c", 2]
    with client.pubsub() as listener:
        listener.subscribe("valkey:news")
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        assert client.publish("valkey:news", "hello") == 1
        assert listener.get_message(timeout=5)["data"] == b"hello"
    with client.lock("valkey:lock", timeout=60) as lock:
        assert lock.owned() and lock.reacquire()
    asyncio.run(try_out_asyncio())
    ride(lambda n: client.set(f"ride:valkey:{n}", n), lambda n: client.get(f"ride:valkey:{n}") == b"%d" % n)
print("all well")
