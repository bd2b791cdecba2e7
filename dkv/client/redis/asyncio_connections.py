"""redis-py's asyncio connections and pool, made for several nodes: each connection goes to the first that takes it."""

from __future__ import annotations

from typing import Any, Self

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from dkv.client.redis.connections import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    LISTENING_PAUSES,
    LISTENING_RETRIES,
    Nodes,
    OnNodes,
    checking_names,
    give_nodes,
    listening_options,
)
from dkv.client.redis.endings import NotConnected, leaves_the_node
from dkv.client.redis.node_order import NodeOrder, split_url


class AsyncNodeConnection(OnNodes, redis.Connection):
    """A connection to the first of several nodes that takes it."""

    def __init__(self, *, nodes: NodeOrder, **options: Any) -> None:
        self.begin(nodes)
        super().__init__(**options)

    async def connect(self) -> None:
        """Connect, unless it is connected to a node that serves. ``NotConnected`` if no node takes it."""
        if self.marker is not None and not self.is_left:
            return
        await self.disconnect()  # also what redis-py may have connected by itself meanwhile
        reasons = []
        for endpoint in self.nodes:
            self.aim(endpoint)
            try:
                await super().connect()
                self.marker = object()
                return
            except RedisError as error:
                if not leaves_the_node(error):
                    raise
                self.nodes.failed(endpoint)
                reasons.append(f"{endpoint}: {error}")
        raise NotConnected("; ".join(reasons))

    async def disconnect(self, *arguments: Any, **options: Any) -> None:
        """Hang up."""
        self.marker = None
        await super().disconnect(*arguments, **options)


class AsyncNodeSSLConnection(AsyncNodeConnection, redis.SSLConnection):
    """The same with TLS."""

    def __init__(self, *, nodes: NodeOrder, **options: Any) -> None:
        super().__init__(nodes=nodes, **checking_names(options))


_CLASSES = {redis.Connection: AsyncNodeConnection, redis.SSLConnection: AsyncNodeSSLConnection}


class ConnectionPool(redis.ConnectionPool):
    """redis-py's pool, whose connections go to ``nodes``: all to the same one, and to the next one when that fails."""

    def __init__(self, *arguments: Any, nodes: Nodes = (), **options: Any) -> None:
        options.setdefault("socket_timeout", ANSWER_SECONDS)
        options.setdefault("socket_connect_timeout", CONNECT_SECONDS)
        super().__init__(*arguments, **options)
        adopt(self, nodes)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """From a URL with one or several nodes: ``redis://host1:5001,host2:5002/0``."""
        first, nodes = split_url(url)
        return super().from_url(first, **{"nodes": nodes, **options})


def adopt(pool: redis.ConnectionPool, nodes: Nodes) -> None:
    """As ``give_nodes``."""
    give_nodes(pool, nodes, _CLASSES, Retry(NoBackoff(), 0))


def listening_pool(pool: redis.ConnectionPool) -> redis.ConnectionPool:
    """A pool for subscribers, whose connections are made anew when they are lost."""
    if not issubclass(pool.connection_class, OnNodes):
        return pool
    retry = Retry(ExponentialBackoff(**LISTENING_PAUSES), LISTENING_RETRIES)
    options = {**listening_options(pool), "retry": retry, "retry_on_error": [ConnectionError, TimeoutError]}
    return redis.ConnectionPool(connection_class=pool.connection_class, **options)
