"""Poison in the log: commands that no node understands are errors for whoever sent them, and stop nobody.

They get there by a newer version's gateway, a bug, or a damaged memory; from then on every node applies them, at
every replay. One that could not would end every node of the cluster, for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, PROPOSER, Address
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import APPEND, DELETE, GET, PUT
from dkv.kv.machine import UNREADABLE
from dkv.messages import Submit
from dkv.records import Batch, Entry
from dkv.replies import OK
from dkv.wire.codec import encode_entries
from tests.memory_cluster import MemoryCluster

ENTRIES: dict[str, list[Any]] = {
    "an operation of the future": [99, b"key", b"value"],
    "an operation that is no number": [b"PUT", b"key", b"value"],
    "nothing": [],
    "a number for a key": [PUT, 1, b"value"],
    "text for a value": [PUT, b"key", "value"],
    "a value too few": [PUT, b"key"],
    "a value too many": [PUT, b"key", b"value", b"more"],
    "bytes for a limit": [APPEND, b"key", b"suffix", b"9"],
    "a key that is a list": [DELETE, b"key", [b"key"]],
    "no keys": [DELETE],
    "a read of nothing": [GET],
}

BLOBS = {
    "not CBOR": b"\xff\xff\xff",
    "nothing at all": b"",
    "cut short": encode_entries([[PUT, b"key", b"value"]])[:-1],
    "more behind the end": encode_entries([[PUT, b"key", b"value"]]) + b"\0",
    "not a list": b"\xa1\x01\x02",
    "nested without end": b"\x81" * 10_000,
    "a tag": b"\xd8\x23\x61a",
    "a length beyond all memory": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
}


class PoisonTest(SynchronousTestCase):
    """All nodes of a user's cluster end, at every start again, if one of these fails."""

    def setUp(self) -> None:
        self.cluster = MemoryCluster()
        self.leader = self.cluster.wait_for_leader()
        self.asked = next(node for node in self.cluster.nodes.values() if node is not self.leader)
        self.assertEqual(self.cluster.call(self.asked, PUT, b"key", b"untouched"), OK)

    def submit(self, incarnation: int, *blobs: bytes) -> None:
        """Let batches of a made-up origin reach the leader as those of a gateway do, and wait for the last one."""
        node = self.asked.number
        for seq, blob in enumerate(blobs, 1):
            batch = Batch(node, incarnation, 1, seq, blob)
            self.leader.host.deliver(PROPOSER, Address(node, GATEWAY), Submit((batch,)))
        self.cluster.run(0.5)

    def check_alive(self, value: bytes, restarted: bool = False) -> None:
        """Every node runs, holds the same, and takes writes; so too after a replay of its whole log."""
        for node in self.cluster.nodes.values():
            self.assertIsNone(node.failure, f"node {node.number} ended")
            self.assertEqual(self.cluster.call(node, GET, b"key"), value)
            self.assertEqual(self.cluster.call(node, APPEND, b"later", b"%d" % node.number, 100), node.number)
            self.assertEqual(self.cluster.call(node, DELETE, b"nothing"), 0)
        self.assertEqual(self.cluster.call(self.asked, DELETE, b"later"), 1)
        self.cluster.run(2.0)
        states = [node.state() for node in self.cluster.nodes.values()]
        self.assertEqual(states, [states[0]] * len(states))
        if not restarted:
            self.restart()
            self.check_alive(value, restarted=True)

    def restart(self) -> None:
        for node in self.cluster.nodes.values():
            node.crash()
        for node in self.cluster.nodes.values():
            node.start()
        self.cluster.wait_for_leader()
        self.cluster.run(2.0)

    def test_entries(self) -> None:
        """Each kind of wrong entry among good ones: the good ones count, the others change nothing."""
        good: list[Entry] = [[APPEND, b"key", b"+", 100]]
        self.submit(7, *(encode_entries([*good, entry, *good]) for entry in ENTRIES.values()))
        self.check_alive(b"untouched" + b"++" * len(ENTRIES))

    def test_entries_that_are_no_lists(self) -> None:
        """A batch is a list of lists or it is nothing: none of it counts."""
        bad: list[Any] = [5, None]
        self.submit(7, *(encode_entries([[PUT, b"key", b"v"], each]) for each in bad))
        self.check_alive(b"untouched")

    def test_blobs(self) -> None:
        """Bytes that are no batch at all are one result, and the batches behind them are applied."""
        self.submit(7, *BLOBS.values(), encode_entries([[PUT, b"key", b"behind"]]))
        self.check_alive(b"behind")

    def test_numbers_out_of_order(self) -> None:
        """An origin that skips or repeats numbers is asked for the right one; nothing of it is applied."""
        batches = [Batch(self.asked.number, 9, 1, seq, encode_entries([[PUT, b"key", b"v"]])) for seq in (2, 5)]
        self.leader.host.deliver(PROPOSER, Address(self.asked.number, GATEWAY), Submit(tuple(batches)))
        self.cluster.run(0.5)
        self.check_alive(b"untouched")

    def spoil(self, encode: Callable[[list[Any]], bytes]) -> None:
        """Let the gateway of the node that is asked put something else than the request into its batches."""
        gateway: Any = self.asked.host._actors[GATEWAY][0]
        self.patch(gateway._batches, "_encode", encode)

    def test_the_client_that_sent_it_is_told(self) -> None:
        """It gets the error on the node it asked; and once the gateway is well again, answers as before."""
        for name, entry in ENTRIES.items():
            self.spoil(lambda _, entry=entry: encode_entries([entry]))  # type: ignore[misc]
            self.assertEqual(self.cluster.call(self.asked, PUT, b"key", b"v"), UNKNOWN, name)
        for name, blob in BLOBS.items():
            self.spoil(lambda _, blob=blob: blob)  # type: ignore[misc]
            self.assertEqual(self.cluster.call(self.asked, PUT, b"key", b"v"), UNREADABLE, name)
        self.spoil(encode_entries)
        self.check_alive(b"untouched")

    def test_a_neighbour_in_the_batch_is_answered(self) -> None:
        """Two clients whose requests travel together: only the one whose entry is spoilt gets the error."""
        self.spoil(lambda entries: encode_entries([[99] if entry[2] == b"bad" else entry for entry in entries]))
        bad = self.asked.put(b"key", b"bad")
        good = self.asked.put(b"key", b"good")
        self.cluster.until(lambda: bad.answered and good.answered)
        self.assertEqual((bad.reply, good.reply), (UNKNOWN, OK))
        self.spoil(encode_entries)
        self.check_alive(b"good")
