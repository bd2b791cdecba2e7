"""redis-py's ``redis.asyncio.Redis`` with a token on every write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import redis.asyncio as redis
from redis.exceptions import RedisError, ResponseError

from dkv.client.redis.asyncio_connections import ConnectionPool, adopt, listening_pool
from dkv.client.redis.asyncio_pipeline import AsyncTokenPipeline
from dkv.client.redis.attempts import DEADLINE_SECONDS, CallPatience, TokenCall
from dkv.client.redis.connections import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    INVALID_CURSOR,
    NAME,
    REDIS_PORT,
    SCANS_ANEW,
    Nodes,
    checking_names,
    note_failure,
)
from dkv.client.redis.pending_ops import pending_ops_of
from dkv.client.redis.request_kinds import kind_of


class Redis(redis.Redis):
    """redis-py's class, for the nodes of one cluster: every write and every transaction happens once.

    ``nodes`` are texts such as "host:5001"; without them ``host`` and ``port`` name the one node. A call that has no
    answer goes on with the next node, until ``deadline_seconds`` have passed. What it ends with then is in
    ``dkv.client.redis.endings``. All else is as in redis-py, whose own retries are not used.
    """

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = REDIS_PORT,
        socket_timeout: float | None = ANSWER_SECONDS,
        socket_connect_timeout: float | None = CONNECT_SECONDS,
        nodes: Nodes = (),
        deadline_seconds: float = DEADLINE_SECONDS,
        connection_pool: redis.ConnectionPool | None = None,
        single_connection_client: bool = False,
        **options: Any,
    ) -> None:
        pool = connection_pool
        if options.get("ssl"):
            options = checking_names(options)
        if pool is None:
            plain = redis.Redis(
                host=host,
                port=port,
                socket_timeout=socket_timeout,
                socket_connect_timeout=socket_connect_timeout,
                **options,
            )
            pool = plain.connection_pool
            adopt(pool, nodes)
        elif nodes:
            raise ValueError("the pool has its nodes already: give it the nodes, or the client, and not both")
        self.deadline_seconds = deadline_seconds
        self.pending = pending_ops_of(pool)
        super().__init__(connection_pool=pool, single_connection_client=single_connection_client, **options)
        self.auto_close_connection_pool = connection_pool is None

    @classmethod
    def from_url(
        cls,
        url: str,
        single_connection_client: bool = False,
        auto_close_connection_pool: bool | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        **options: Any,
    ) -> Self:
        """From a URL with one or several nodes: ``redis://host1:5001,host2:5002/0``."""
        client = cls(
            connection_pool=ConnectionPool.from_url(url, **options),
            single_connection_client=single_connection_client,
            deadline_seconds=deadline_seconds,
        )
        client.auto_close_connection_pool = auto_close_connection_pool is not False
        return client

    def client(self) -> Self:
        """The same, with one connection of its own."""
        return self.__class__(
            connection_pool=self.connection_pool,
            single_connection_client=True,
            deadline_seconds=self.deadline_seconds,
        )

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """The reply to one request, from any node."""
        call = TokenCall(arguments, kind_of(arguments, self.get_encoder().encode), self.pending)
        patience = CallPatience(self.deadline_seconds)
        try:
            while True:
                try:
                    return await super().execute_command(*call.words, **{NAME: arguments[0]}, **options)
                except RedisError as error:
                    seconds = patience.after(call, error)
                await asyncio.sleep(seconds)
        finally:
            call.close()

    async def _send_command_parse_response(  # type: ignore[override] # redis-py declares two classes in one
        self, connection: Any, command_name: Any, *words: Any, **options: Any
    ) -> Any:
        """One attempt. A client's only connection is made anew here, while redis-py lets no other task use it."""
        if self.connection is not None:
            await connection.connect()
        return await super()._send_command_parse_response(connection, command_name, *words, **options)

    async def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """The reply to a command. A node that does not give one is asked last from now on."""
        try:
            return await super().parse_response(connection, options.pop(NAME, command_name), **options)
        except RedisError as error:
            note_failure(connection, error)
            raise

    async def scan_iter(  # type: ignore[override] # redis-py declares two classes in one, and means this one
        self, *arguments: Any, **options: Any
    ) -> AsyncIterator[Any]:
        """All keys, as redis-py's. Where the node that has given a cursor fails, the scan begins anew at another one.

        Then keys come that came before, as they may in Redis.
        """
        cursor: Any = "0"
        left = SCANS_ANEW
        while cursor != 0:
            try:
                cursor, keys = await self.scan(cursor, *arguments, **options)
            except ResponseError as error:
                if not str(error).startswith(INVALID_CURSOR) or cursor == "0" or not left:
                    raise
                cursor, keys, left = "0", [], left - 1
            for each in keys:
                yield each

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """A pipeline whose writes, or whose transaction as a whole, have tokens.

        redis-py's annotations do not say that a command of a pipeline returns the pipeline, so its type is not given.
        """
        pool = self.connection_pool
        pipeline = AsyncTokenPipeline(pool, self.response_callbacks, transaction, shard_hint)
        pipeline.pending, pipeline.deadline_seconds = self.pending, self.deadline_seconds
        return pipeline

    def pubsub(self, **options: Any) -> Any:
        """A subscriber, which goes on at the next node with its channels when a connection is lost."""
        subscriber = super().pubsub(**options)
        subscriber.connection_pool = listening_pool(self.connection_pool)
        return subscriber
