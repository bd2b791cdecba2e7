"""redis-py's MultiDBClient: several addresses, and health checks that choose another one when one dies."""

from __future__ import annotations

from redis.multidb.client import MultiDBClient
from redis.multidb.config import DatabaseConfig, MultiDbConfig

from tests.clients.programs.ride import ADDRESSES, ride

weights = [1.0 - index / 10 for index in range(len(ADDRESSES))]
config = MultiDbConfig(
    databases_config=[
        DatabaseConfig(weight=weight, client_kwargs={"host": host, "port": port, "socket_timeout": 2.0})
        for weight, (host, port) in zip(weights, ADDRESSES, strict=True)
    ],
    health_check_interval=0.5,
    health_check_probes=1,
    failover_delay=0.2,
    min_num_failures=1,
    failures_detection_window=1,
)
client = MultiDBClient(config)
assert client.set("multidb", "kept") is True
assert client.get("multidb") == b"kept"
ride(lambda n: client.set(f"ride:multidb:{n}", n), lambda n: client.get(f"ride:multidb:{n}") == b"%d" % n)
client.close()
print("all well")
