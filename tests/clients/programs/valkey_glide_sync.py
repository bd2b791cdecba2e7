"""valkey-glide's blocking client, with all addresses, made anew as the other one."""

from __future__ import annotations

import glide_sync
from glide_sync import ExpirySet, ExpiryType, GlideClient, GlideClientConfiguration, NodeAddress, NodeDiscoveryMode

from tests.clients.programs.ride import ADDRESSES, ride


def connect() -> GlideClient:
    """A client of any node that answers."""
    addresses = [NodeAddress(host, port) for host, port in ADDRESSES]
    static = NodeDiscoveryMode.STATIC
    return GlideClient.create(GlideClientConfiguration(addresses, node_discovery_mode=static, request_timeout=6000))


client = connect()
while f"laddr={ADDRESSES[0][0]}:{ADDRESSES[0][1]} ".encode() not in client.custom_command(["CLIENT", "INFO"]):
    client.close()
    client = connect()  # until it is one of the node that will die
client.delete(["glide:sync"])
assert client.incrby("glide:sync", 5) == 5
assert client.set("glide:sync:a", "b", expiry=ExpirySet(ExpiryType.SEC, 100)) == "OK"
assert client.mget(["glide:sync:a", "absent"]) == [b"b", None]


def write(number: int) -> None:
    """Set a value; make the client anew when it has lost its node."""
    global client
    try:
        client.set(f"ride:glide-sync:{number}", str(number))
    except (glide_sync.ConnectionError, glide_sync.TimeoutError):
        client.close()
        client = connect()
        raise


ride(write, lambda number: client.get(f"ride:glide-sync:{number}") == b"%d" % number)
client.close()
print("all well")
