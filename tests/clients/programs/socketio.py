"""python-socketio: two servers behind one address hear each other's emits through Redis, and those of a program."""

from __future__ import annotations

import asyncio
import threading

import socketio
import uvicorn

from tests.clients.programs.ride import ADDRESSES, URL, ride_async


class Site:
    """A server with its own connection to Redis, in a thread as it would be in a process of its own."""

    def __init__(self, url: str) -> None:
        self.io = socketio.AsyncServer(async_mode="asgi", client_manager=socketio.AsyncRedisManager(url))
        self.io.on("say", self.say)
        self.server = uvicorn.Server(uvicorn.Config(socketio.ASGIApp(self.io), port=0, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    async def say(self, _: str, text: str) -> None:
        """Tell everybody, whichever server they are connected to."""
        await self.io.emit("said", text)

    async def address(self) -> str:
        """Where it is, as soon as it serves."""
        while not self.server.started:
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"


async def main() -> None:
    """Ann is at one server, and Bob at the other; the servers have different nodes where there are several."""
    host, port = ADDRESSES[:2][-1]
    sites = [Site(URL), Site(f"redis://{host}:{port}")]
    ann, bob = socketio.AsyncClient(), socketio.AsyncClient()
    heard: list[str] = []
    came: dict[str, asyncio.Event] = {}

    def on_said(text: str) -> None:
        heard.append(text)
        came.setdefault(text, asyncio.Event()).set()

    bob.on("said", on_said)
    for client, site in zip((ann, bob), sites, strict=True):
        await client.connect(await site.address())

    async def say(text: str, seconds: float) -> None:
        event = came.setdefault(text, asyncio.Event())
        await ann.emit("say", text)
        await asyncio.wait_for(event.wait(), seconds)

    for _ in range(100):  # until both servers listen
        try:
            await say("hello", 0.1)
        except TimeoutError:
            continue
        break
    assert "hello" in heard, "no server hears the other one"
    socketio.RedisManager(URL, write_only=True).emit("said", "from outside")
    await asyncio.wait_for(came.setdefault("from outside", asyncio.Event()).wait(), 5)

    async def write(number: int) -> None:
        await say(str(number), 5.0)

    await ride_async(write, lambda number: heard.count(str(number)) == 1)
    for client in (ann, bob):
        await client.disconnect()
    for site in sites:
        site.server.should_exit = True
        site.thread.join(10)


asyncio.run(main())
print("all well")
