"""Publish/subscribe byte by byte as by real servers: all that a connection reads, replies and messages in their order.

Redis 7.0 writes what a client publishes to itself before the reply, Valkey and later Redis behind it. dkv does the
latter, so those dialogues are compared with Valkey alone.
"""

from __future__ import annotations

import re
import time
from typing import cast

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dkv.wire.inline import split_line
from tests.net.client_port import encoded
from tests.oracle.memory_node import MemoryNode
from tests.oracle.reference import RealReference
from tests.oracle.servers import references

OVER = "1 RESET | 1 ECHO over | 2 RESET | 2 ECHO over"
"""Ends each dialogue: a client has read all that it was to read when this is answered."""

SILENCE_SECONDS = 0.3
"""A server that has counted nothing by then has heard a request that it does not count."""

OF_ALL = (
    "SUBSCRIBE a b a | GET x | PING | PING hi | PING a b | UNSUBSCRIBE a | UNSUBSCRIBE b | PING",
    "UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE q r | PUNSUBSCRIBE q",
    """SUBSCRIBE a | UNSUBSCRIBE z | PSUBSCRIBE n* | SSUBSCRIBE s | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE a a
    | UNSUBSCRIBE""",
    """SUBSCRIBE a | HELLO 3 | MULTI | FOO | FOO x y | GET | GET x | CONFIG GET save | CLIENT LIST | CLIENT FOO
    | SUBSCRIBE | PUBLISH a b | PUBSUB NUMPAT | RESET x | SELECT 1 | EXEC | DISCARD | WATCH a""",
    "CLIENT REPLY OFF | SUBSCRIBE a | PING | UNSUBSCRIBE | PING | CLIENT REPLY ON | PING",
    "CLIENT REPLY SKIP | SUBSCRIBE a b | PING",
    "MULTI | SUBSCRIBE a b | PING | UNSUBSCRIBE b | PSUBSCRIBE x | EXEC | GET x | PING",
    "MULTI | SUBSCRIBE | EXEC | GET x | MULTI | UNSUBSCRIBE | EXEC | MULTI | PUBLISH a m | DISCARD | PUBLISH a m",
    """PUBSUB CHANNELS | PUBSUB NUMSUB | PUBSUB NUMSUB a b | PUBSUB NUMPAT | PUBSUB SHARDCHANNELS | PUBSUB
    | PUBSUB SHARDNUMSUB a | PUBSUB FOO | PUBSUB NUMPAT x | PUBSUB CHANNELS a b | PUBLISH a | PUBLISH a b c
    | SPUBLISH | SSUBSCRIBE | PSUBSCRIBE | PUBLISH a m | SPUBLISH a m""",
    "SUBSCRIBE '' | UNSUBSCRIBE '' | PSUBSCRIBE '' | PUNSUBSCRIBE",
    "MULTI | SUBSCRIBE a | RESET | PING | GET x",
)
"""What one client asks."""

OF_TWO = (
    """1 SUBSCRIBE a b | 1 PSUBSCRIBE a* x* | 2 PUBLISH a m | 2 PUBLISH b n | 2 PUBLISH c o | 1 UNSUBSCRIBE a
    | 2 PUBLISH a p | 1 PUNSUBSCRIBE x* | 2 PUBLISH a q | 2 PUBSUB NUMSUB a b c | 2 PUBSUB NUMPAT
    | 2 PUBSUB CHANNELS c*""",
    """1 HELLO 3 | 1 SUBSCRIBE a | 1 SSUBSCRIBE a | 2 PUBLISH a m | 2 SPUBLISH a n | 1 GET x | 1 PING | 1 PING x
    | 2 MULTI | 2 SET k v | 2 PUBLISH a o | 2 EXEC | 1 GET k | 1 HELLO 2 | 1 GET k | 2 PUBLISH a p | 1 SUNSUBSCRIBE
    | 1 UNSUBSCRIBE | 1 GET k""",
    "1 CLIENT REPLY OFF | 1 SUBSCRIBE a | 2 PUBLISH a m | 1 CLIENT REPLY ON | 2 PUBLISH a n",
    "1 SUBSCRIBE a | 2 WATCH k | 1 PING | 2 SET k 1 | 2 MULTI | 2 PUBLISH a m | 2 EXEC | 2 PUBLISH a n",
    """1 SUBSCRIBE a | 2 PUBLISH a m | 1 RESET | 2 PUBLISH a n | 1 GET x | 1 PSUBSCRIBE [ab] | 2 PUBLISH b ''
    | 2 PUBLISH '' x""",
    "1 PSUBSCRIBE * | 2 PUBLISH '' x | 2 PUBLISH x ''",
)
"""What two clients ask, one request after the other."""

HELLO_REPLY = re.compile(
    rb"[%*]\d+\r\n\$6\r\nserver\r\n.*?\$7\r\nmodules\r\n(?:\*0\r\n|\*1\r\n.*?\$4\r\nargs\r\n\*0\r\n)", re.DOTALL
)
"""A real server may have one module."""

TO_ITSELF = (
    "HELLO 3 | SUBSCRIBE a b | PUBLISH a m | GET x | PING | UNSUBSCRIBE a | PUBLISH a n | UNSUBSCRIBE",
    "HELLO 3 | SUBSCRIBE a | PUBLISH a m | RESET | PING",
    "HELLO 3 | SSUBSCRIBE s | SPUBLISH s m | PUBLISH s m | PUBSUB SHARDNUMSUB s | PUBSUB SHARDCHANNELS",
    "HELLO 3 | CLIENT REPLY OFF | SUBSCRIBE a | PUBLISH a m | PING | CLIENT REPLY ON",
)
"""What one client asks that publishes to itself."""


def requests(dialogue: str) -> list[tuple[int, list[bytes]]]:
    """The client and the words of each request; client 1 where none is named."""
    found = []
    for line in f"{dialogue} | {OVER}".split("|"):
        words = split_line(line.strip().encode())
        assert words
        client = int(words.pop(0)) if words[0] in (b"1", b"2") else 1
        found.append((client, words))
    return found


def of_dkv(dialogue: str) -> dict[int, bytes]:
    """All that each client reads of dkv."""
    node = MemoryNode(1_700_000_000_000)
    pairs = {client: node._port.connect() for client in (1, 2)}
    read = {1: b"", 2: b""}
    for asking, words in requests(dialogue):
        pairs[asking][0].dataReceived(encoded(*words))
        node.serve()
        node._port.clients.collect()
        for client, (_, transport) in pairs.items():
            data = transport.value()
            read[client] += data
            transport.clear()
    return read


class Counted:
    """Tells when a real server has executed or refused what others have asked, however busy the machine is."""

    def __init__(self, reference: RealReference) -> None:
        self._control = reference.connect()
        self._asked = 0
        self._seen = self._counts()

    def wait(self) -> None:
        """Until it has counted another request, or for ``SILENCE_SECONDS``: some are not counted."""
        deadline = time.monotonic() + SILENCE_SECONDS
        while (counts := self._counts()) == self._seen and time.monotonic() < deadline:
            pass
        self._seen = counts

    def close(self) -> None:
        """Hang up."""
        self._control.close()

    def _counts(self) -> tuple[int, int]:
        """How many requests of others were executed, and how many were answered with an error."""
        stats = self._control.ask([b"INFO", b"stats"]).bulk
        executed, errors = (
            int(stats.partition(b"\n%b:" % field)[2].split(b"\r")[0])
            for field in (b"total_commands_processed", b"total_error_replies")
        )
        self._asked += 1
        return executed - self._asked, errors


def of_server(reference: RealReference, dialogue: str) -> dict[int, bytes]:
    """All that each client reads of a real server, which each has been heard before the next one asks."""
    counted = Counted(reference)
    sockets = {client: reference.connect()._socket for client in (1, 2)}
    read = {1: b"", 2: b""}
    try:
        for client, words in requests(dialogue):
            sockets[client].sendall(encoded(*words))
            counted.wait()
        for client, each in sockets.items():
            each.settimeout(10.0)
            while not read[client].endswith(b"$4\r\nover\r\n"):
                read[client] += each.recv(1 << 20)
    finally:
        for each in sockets.values():
            each.close()
        counted.close()
    return read


class StreamTests(SynchronousTestCase):
    """Whoever changes to dkv must find his subscriber's library at work."""

    def check(self, name: str, *dialogues: str) -> None:
        """dkv says the same to the byte."""
        start = references().get(name)
        if start is None:
            raise SkipTest(f"{name}-server is not installed")
        reference = cast(RealReference, start())
        self.addCleanup(reference.stop)
        for dialogue in dialogues:
            theirs, ours = of_server(reference, dialogue), of_dkv(dialogue)
            for client in (1, 2):
                self.assertEqual(without_hello(ours[client]), without_hello(theirs[client]), dialogue)

    def test_as_redis(self) -> None:
        """One client, and two."""
        self.check("redis", *OF_ALL, *OF_TWO[1:])

    def test_as_valkey(self) -> None:
        """The same, and a client that publishes to itself."""
        self.check("valkey", *OF_ALL, *OF_TWO, *TO_ITSELF)


def without_hello(replies: bytes) -> bytes:
    """What a client has read, without the replies to HELLO: they tell of the server."""
    return HELLO_REPLY.sub(b"", replies)
