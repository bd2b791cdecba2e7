"""A node's certificate must name the node that a program means, whatever redis-py's version thinks of that."""

from __future__ import annotations

import ssl
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis import ConnectionPool, Redis
from dkv.client.redis.asyncio import ConnectionPool as AsyncPool
from dkv.client.redis.asyncio import Redis as AsyncRedis
from dkv.client.redis.connections import checking_names

URL = "rediss://a:1,b:1/0"


class HostNameTests(SynchronousTestCase):
    def test_options(self) -> None:
        """Whoever wants no check says so, or wants no certificate at all."""
        for options, checks in (
            ({}, True),
            ({"ssl_cert_reqs": "required"}, True),
            ({"ssl_check_hostname": False}, False),
            ({"ssl_cert_reqs": None}, False),
            ({"ssl_cert_reqs": "none"}, False),
            ({"ssl_cert_reqs": ssl.CERT_NONE}, False),
        ):
            self.assertEqual(checking_names(options), {"ssl_check_hostname": checks, **options})

    def test_connections(self) -> None:
        """However the client is made."""
        pools: list[Any] = [
            *(kind(nodes=["a:1"], ssl=True).connection_pool for kind in (Redis, AsyncRedis)),
            *(kind.from_url(URL).connection_pool for kind in (Redis, AsyncRedis)),
            *(kind.from_url(URL) for kind in (ConnectionPool, AsyncPool)),
        ]
        for pool in pools:
            self.assertTrue(pool.make_connection().check_hostname)
        unchecked: Any = Redis(nodes=["a:1"], ssl=True, ssl_check_hostname=False).connection_pool
        self.assertFalse(unchecked.make_connection().check_hostname)
        self.assertFalse(Redis(nodes=["a:1"]).connection_pool.connection_kwargs.get("ssl"))
