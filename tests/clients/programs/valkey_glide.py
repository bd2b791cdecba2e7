"""valkey-glide with all addresses. Its client for one server never changes to another node: it is made anew then."""

from __future__ import annotations

import asyncio

import glide
from glide import ExpirySet, ExpiryType, GlideClient, GlideClientConfiguration, NodeAddress, NodeDiscoveryMode

from tests.clients.programs.ride import ADDRESSES, ride_async


async def connect() -> GlideClient:
    """A client of any node that answers."""
    addresses = [NodeAddress(host, port) for host, port in ADDRESSES]
    static = NodeDiscoveryMode.STATIC
    return await GlideClient.create(
        GlideClientConfiguration(addresses, node_discovery_mode=static, request_timeout=6000)
    )


async def main() -> None:
    """Try it out, then ride."""
    client = await connect()
    while f"laddr={ADDRESSES[0][0]}:{ADDRESSES[0][1]} ".encode() not in await client.custom_command(["CLIENT", "INFO"]):
        await client.close()
        client = await connect()  # until it is one of the node that will die
    await client.delete(["glide:a", "glide:n"])
    assert await client.set("glide:a", "b", expiry=ExpirySet(ExpiryType.SEC, 100)) == "OK"
    assert await client.set("glide:a", "c", conditional_set=glide.ConditionalChange.ONLY_IF_DOES_NOT_EXIST) is None
    assert await client.get("glide:a") == b"b"
    assert await client.incrby("glide:n", 5) == 5
    batch = glide.Batch(is_atomic=True)
    batch.incr("glide:n")
    batch.get("glide:a")
    assert await client.exec(batch, raise_on_error=True) == [6, b"b"]

    async def write(number: int) -> None:
        nonlocal client
        try:
            await client.set(f"ride:glide:{number}", str(number))
        except (glide.ConnectionError, glide.TimeoutError):
            old, client = client, await connect()
            await old.close()
            raise

    async def holds(number: int) -> bool:
        return await client.get(f"ride:glide:{number}") == b"%d" % number

    await ride_async(write, holds)
    await client.close()


asyncio.run(main())
print("all well")
