"""A node without sockets, disks or peers: bytes in, bytes out, and its replicated time in the test's hand.

The client port, its connections, the sessions, the codec and the state machine are those of production. In place of the
gateway, each request becomes a slot of its own at once.
"""

from __future__ import annotations

from dkv.client_events import Requests
from dkv.configurations import first_configurations
from dkv.keys import DEADLINE, pack_number
from dkv.kv.codes import READS
from dkv.kv.machine import Machine
from dkv.records import Batch, Entry
from dkv.replies import Local, Result
from dkv.settings import Limits
from dkv.wire.codec import decode_entries, encode_entries
from tests.net.client_port import Port, encoded
from tests.turns import FakeTurn

NODE = 1


class MemoryNode:
    """A node that serves. ``time_ms`` is the stamp of the next slots, in milliseconds since 1970.

    ``port`` is its client port, if that is not one with these ``limits`` where everybody may do everything.
    """

    def __init__(self, time_ms: int, limits: Limits | None = None, port: Port | None = None) -> None:
        self.time_ms = time_ms
        self.reads_in_log = False
        """Whether reads ride in batches, as they do behind writes of their pipeline."""
        self._port = port or Port(limits)
        self._turn = FakeTurn()
        self._machine = Machine(decode_entries, first_configurations((NODE,)))
        self._machine.start(self._turn)
        self._slot = self._batches = 0
        self.told: list[tuple[bytes, bytes]] = []
        """The channels that were told of events of keys, each with the text."""

    def connect(self) -> MemoryClient:
        """A new connection."""
        return MemoryClient(self)

    def restart(self) -> None:
        """Lose the memory: what is not stored is gone."""
        self._machine.start(self._turn)

    def has_deadline(self, time_ms: int) -> bool:
        """Whether a key is to go at that time."""
        return any(True for _ in self._turn.scan(DEADLINE + pack_number(time_ms)))

    def serve(self) -> None:
        """Answer all that clients have asked, in order."""
        while self._port.messages:
            requests: Requests = self._port.requests()
            self._port.reply(requests, [self._answer(item) for item in requests.items])

    def _answer(self, item: Entry | Local) -> Result | Local:
        if isinstance(item, Local):
            return item
        self.begin_slot()
        if item[0] in READS and not self.reads_in_log:
            return self._machine.read(self._turn, [item])[0]
        self._batches += 1
        results = self._machine.apply(self._turn, Batch(NODE, 1, 1, self._batches, encode_entries([item])), own=True)
        assert results is not None and len(results) == 1
        self._take_events()
        return results[0]

    def begin_slot(self) -> None:
        """A slot, which may hold nothing: keys that have expired go."""
        self._slot += 1
        self._machine.begin_slot(self._turn, self._slot, self.time_ms)
        self._take_events()

    def _take_events(self) -> None:
        self.told += [message for events in self._machine.take_events() for message in events.messages()]


class MemoryClient:
    """A connection to a node in memory."""

    def __init__(self, node: MemoryNode) -> None:
        self._node = node
        self._connection, self._transport = node._port.connect()

    def ask(self, words: list[bytes]) -> bytes:
        """The bytes that answer one request."""
        self._transport.clear()
        self._connection.dataReceived(encoded(*words))
        self._node.serve()
        answer: bytes = self._transport.value()
        return answer
