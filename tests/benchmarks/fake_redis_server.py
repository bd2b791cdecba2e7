"""Stands in for redis-server: ``python fake_redis_server.py --bind HOST --port N ...`` keeps values in a dict."""

from __future__ import annotations

import socketserver
import sys
from typing import Any

from dkv.replies import OK, Error, Simple
from dkv.settings import Limits
from dkv.wire.reply_encoder import ReplyEncoder
from dkv.wire.resp import RequestParser

VALUES: dict[bytes, bytes] = {}


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer requests until the client closes the connection."""
        parser, encoder = RequestParser(Limits()), ReplyEncoder()
        while data := self.request.recv(65_536):
            parser.feed(data)
            for words, _ in parser.take(10_000):
                self.request.sendall(encoder.encode([answer(words)]))


def answer(words: list[bytes]) -> Any:
    """The result of a request, as a server with one dict gives it."""
    match words:
        case [b"PING"]:
            return Simple("PONG")
        case [b"SET", key, value]:
            VALUES[key] = value
            return OK
        case [b"GET", key]:
            return VALUES.get(key)
    return Error("ERR unknown command")


class Server(socketserver.ThreadingTCPServer):
    """Ends with the process, whoever is connected."""

    daemon_threads = True


if __name__ == "__main__":
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    Server((options["--bind"], int(options["--port"])), Handler).serve_forever()
