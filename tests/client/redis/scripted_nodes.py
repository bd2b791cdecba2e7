"""Nodes that keep what they are asked, and answer as a test says, over real connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

from dkv.client.answers import Answers
from dkv.client.blocking import Endpoint

HOST = "127.0.0.1"
Words = tuple[bytes, ...]

CUT = b""
"""An answer that ends the connection instead."""

OK = b"+OK\r\n"
QUEUED = b"+QUEUED\r\n"

OWN = {b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"CLIENT": b"-ERR unknown subcommand\r\n", b"SELECT": OK}
"""What redis-py says on a new connection, and the answers."""

Respond = Callable[[Words], bytes]


class ScriptedNode:
    """Answers each request with what ``respond`` gives; what redis-py says on a new connection is not kept."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.own = OWN
        self.asked: list[Words] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0))
        self.endpoint = Endpoint(HOST, int(self._listener.getsockname()[1]))
        self._spawn(self._accept)

    def close(self) -> None:
        """End it."""
        for each in (self._listener, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for thread in self._threads:
            thread.join()

    def _spawn(self, job: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=job, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        def more() -> bytes:
            data = connection.recv(65536)
            if not data:
                raise EOFError
            return data

        answers = Answers(more)
        try:
            while True:
                request = answers.read()
                assert isinstance(request, list)
                words = tuple(each for each in request if isinstance(each, bytes))
                if words[0] in self.own:
                    connection.sendall(self.own[words[0]])
                    continue
                self.asked.append(words)
                answer = self.respond(words)
                if answer == CUT:
                    break
                connection.sendall(answer)
        except (EOFError, OSError):
            pass
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()


def in_turn(answers: Sequence[bytes]) -> Respond:
    """These answers, one after the other, whatever is asked."""
    left = list(answers)

    def respond(words: Words) -> bytes:
        return left.pop(0)

    return respond


def closed_endpoint() -> Endpoint:
    """Where nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        return Endpoint(HOST, int(listener.getsockname()[1]))
