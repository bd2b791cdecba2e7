"""txredisapi, the client of Twisted programs: a pool of connections, transactions, and a subscriber."""

from __future__ import annotations

from typing import Any

import txredisapi
from twisted.internet import defer, protocol, task

from tests.clients.programs.ride import HOST, PORT, ride_async


class Listener(txredisapi.SubscriberProtocol):
    """Fires its factory's Deferreds."""

    def connectionMade(self) -> None:
        """Ask for one channel."""
        self.subscribe("tx:news")
        self.factory.subscribed.callback(None)

    def messageReceived(self, pattern: Any, channel: Any, message: Any) -> None:
        """The first message is enough."""
        self.factory.heard.callback(message)


async def listen(reactor: Any, client: Any) -> None:
    """One message from a publisher to a subscriber."""
    factory = protocol.ClientFactory.forProtocol(Listener)
    factory.subscribed, factory.heard = defer.Deferred(), defer.Deferred()
    connection = reactor.connectTCP(HOST, PORT, factory)
    await factory.subscribed
    while not await client.publish("tx:news", "hello"):
        await task.deferLater(reactor, 0.01)  # it is not subscribed yet
    assert await factory.heard == "hello"
    connection.disconnect()


async def main(reactor: Any) -> None:
    """Try it out, then ride."""
    client = await txredisapi.ConnectionPool(HOST, PORT, poolsize=3)
    await client.delete("tx", "tx:n")
    assert await client.set("tx", "one", expire=100) == "OK"
    assert await client.append("tx", "two") == 6
    assert await client.get("tx") == "onetwo"
    replies = await defer.gatherResults([client.set(f"tx:{number}", number) for number in range(100)])
    assert replies == ["OK"] * 100, replies
    assert await client.mget("tx:1", "tx:99", "absent") == [1, 99, None]
    transaction = await client.multi("tx:n")
    await transaction.incr("tx:n")
    await transaction.incr("tx:n")
    assert await transaction.commit() == [1, 2]
    await listen(reactor, client)
    await ride_async(
        lambda number: client.set(f"ride:tx:{number}", number),
        lambda number: client.get(f"ride:tx:{number}").addCallback(number.__eq__),
        lambda seconds: task.deferLater(reactor, seconds),
    )
    await client.disconnect()
    print("all well")


task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
