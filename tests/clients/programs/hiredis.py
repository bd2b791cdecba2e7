"""hiredis alone: its packer and its parser over a socket, in RESP 2 and RESP 3."""

from __future__ import annotations

import socket
from typing import Any

import hiredis

from tests.clients.programs.ride import HOST, PORT, ride


class Client:
    """The few lines that it takes."""

    def __init__(self, protocol: int) -> None:
        self.socket = socket.create_connection((HOST, PORT), 10)
        self.reader = hiredis.Reader()
        self.call("HELLO", protocol)

    def call(self, *words: Any) -> Any:
        """One request and its reply."""
        self.socket.sendall(hiredis.pack_command(words))
        return self.read()

    def read(self) -> Any:
        """The next reply; an error is raised."""
        while (reply := self.reader.gets()) is False:
            self.reader.feed(self.socket.recv(65_536))
        if isinstance(reply, hiredis.HiredisError):
            raise reply
        return reply


for protocol in (2, 3):
    client = Client(protocol)
    client.call("DEL", "hi:a", "hi:n")
    assert client.call("SET", "hi:a", b"\x00\r\n") == b"OK"
    assert client.call("INCRBYFLOAT", "hi:n", "1.5") == b"1.5"
    assert client.call("MGET", "hi:a", "hi:n", "absent") == [b"\x00\r\n", b"1.5", None]
    assert client.call("MULTI") == b"OK"
    assert client.call("SET", "hi:a", "x" * 100_000) == client.call("STRLEN", "hi:a") == b"QUEUED"
    assert client.call("EXEC") == [b"OK", 100_000]
    assert isinstance(client.call("CONFIG", "GET", "databases"), list if protocol == 2 else dict)
    try:
        client.call("INCR", "hi:a")
    except hiredis.ReplyError as error:
        assert "not an integer" in str(error), error
    else:
        raise AssertionError("a text was counted up")
ride(lambda n: client.call("SET", f"ride:hi:{n}", n), lambda n: client.call("GET", f"ride:hi:{n}") == b"%d" % n)
print("all well")
