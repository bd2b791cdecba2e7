"""A network that can be cut: every connection between nodes passes a forwarder, one for each node and each peer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from tests.integration.processes import HOST, RealCluster, free_ports

CHUNK_BYTES = 64 * 1024


class Cable:
    """Forwards connections of one node to the peer port of another.

    While it is cut nothing passes and nobody is told, as when packets are dropped: connections stay open, new ones
    are taken and stay silent. What was sent meanwhile arrives when it is mended.
    """

    def __init__(self, port: int, to_port: int) -> None:
        self.port = port
        self._to_port = to_port
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._carry, HOST, self.port)

    async def close(self) -> None:
        """End every connection and listen no more."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def set_whole(self, whole: bool) -> None:
        """Mend it, or cut it."""
        if whole:
            self._whole.set()
        else:
            self._whole.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            await self._whole.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self._to_port)
            writers.append(far_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, far_writer)),
                asyncio.create_task(self._pump(far_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the far node is down, and the near one sees its connection end
        finally:
            self._tasks.discard(task)
            for each in writers:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
        await self._whole.wait()


class Network:
    """The cables between all nodes of ``cluster``, each of which gets a config of its own that leads through them.

    Made before the nodes start; use ``addCleanup(network.close)``.
    """

    def __init__(self, cluster: RealCluster) -> None:
        numbers = [node.number for node in cluster.nodes]
        pairs = [(one, other) for one in numbers for other in numbers if one != other]
        ports = free_ports(len(pairs))
        self._cables = {
            pair: Cable(port, cluster.nodes[pair[1] - 1].peer_port) for pair, port in zip(pairs, ports, strict=True)
        }
        for node in cluster.nodes:
            config = cluster.config_path.read_text()
            for other in cluster.nodes:
                if other is not node:
                    address = f'"{HOST}:{other.peer_port}"'
                    advertised = f'"{HOST}:{self._cables[node.number, other.number].port}"'
                    config = config.replace(
                        f"peer = {address}", f"peer = {{ bind = {address}, advertise = {advertised} }}"
                    )
            node.config_path = cluster.directory / f"node{node.number}.toml"
            node.config_path.write_text(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        for cable in self._cables.values():
            self._run(cable.open())

    def isolate(self, number: int) -> None:
        """Cut one node off from all others."""
        for pair, cable in self._cables.items():
            if number in pair:
                self._run(cable.set_whole(False))

    def heal(self) -> None:
        """Let everything pass again."""
        for cable in self._cables.values():
            self._run(cable.set_whole(True))

    def close(self) -> None:
        """End all connections, and the thread."""
        for cable in self._cables.values():
            self._run(cable.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)
