"""A TCP proxy in front of a node that can cut a connection when the node has answered and the client does not know."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from dkv.client.blocking import Endpoint

HOST = "127.0.0.1"
Judge = Callable[[bytes, bytes], int | None]
"""Given what the client has sent since the last reply and what the node has answered: how many bytes of the answer the
client gets before both connections end; None if all goes on."""


class CuttingProxy:
    """Listens on a port of its own, and passes on what it gets, but for the answers that ``judge`` picks."""

    def __init__(self, target: Endpoint, judge: Judge) -> None:
        self.judge = judge
        self.target = target
        self.cut = 0
        """How many answers a client did not get."""
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0))
        self.endpoint = Endpoint(HOST, int(self._listener.getsockname()[1]))
        self._spawn(self._accept)

    def close(self) -> None:
        """End all connections and threads."""
        with self._lock:
            self._closed = True
            open_ones = [self._listener, *self._sockets]
        for each in open_ones:
            _end(each)
        for thread in self._threads:
            thread.join()

    def _spawn(self, job: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=job, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                node = socket.create_connection((self.target.host, self.target.port), 5.0)
            except OSError:
                _end(client)
                continue
            for each in (client, node):
                each.settimeout(None)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, node}
                closed = self._closed
            if closed:
                _end(client)
                _end(node)
                return
            asked = bytearray()
            self._spawn(self._ask, client, node, asked)
            self._spawn(self._answer, client, node, asked)

    def _ask(self, client: socket.socket, node: socket.socket, asked: bytearray) -> None:
        try:
            while data := client.recv(65536):
                asked += data
                node.sendall(data)
        except OSError:
            pass
        self._part(client, node)

    def _answer(self, client: socket.socket, node: socket.socket, asked: bytearray) -> None:
        try:
            while data := node.recv(65536):
                with self._lock:
                    kept = self.judge(bytes(asked), data)
                    self.cut += kept is not None
                asked.clear()
                if kept is not None:
                    client.sendall(data[:kept])
                    break
                client.sendall(data)
        except OSError:
            pass
        self._part(client, node)

    def _part(self, client: socket.socket, node: socket.socket) -> None:
        for each in (client, node):
            _end(each)
        with self._lock:
            self._sockets -= {client, node}


def _end(each: socket.socket) -> None:
    """Close a socket, and wake a thread that reads from it or accepts on it."""
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()
