"""KEYS over more keys than one turn may look through shows the state at one slot, between its call and its answer."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv import surveyor
from dkv.kv.appliers import iteration
from dkv.kv.codes import DELETE, KEYS, PUT
from dkv.replies import EncodedList, Local
from dkv.settings import CLASSIC, LEADER, Limits
from tests.memory_cluster import MemoryCluster, Node, Waiting

HELD = 5


class Writer:
    """A client that sets the keys 1, 2, 3 ..., each when the one before is set, and deletes all but the last ones.

    So after each slot the keys are consecutive numbers, ``HELD`` of them or one more, from the moment when ``set`` has
    come so far.
    """

    def __init__(self, node: Node) -> None:
        self.sent = self.set = 0
        self._node = node
        self._waiting = self._put()

    def _put(self) -> Waiting:
        self.sent += 1
        return self._node.request(PUT, b"%06d" % self.sent, b"v")

    def go_on(self) -> None:
        """Send the next write if the last one is answered."""
        if self._waiting.answered:
            if self.set < self.sent:
                self.set = self.sent
                self._waiting = self._node.request(DELETE, b"%06d" % (self.set - HELD))
            else:
                self._waiting = self._put()


class SurveyTests(SynchronousTestCase):
    """Three nodes; one writes, another one is asked."""

    def setUp(self) -> None:
        self.patch(iteration, "KEYS_AT_ONCE", 1)
        self.patch(surveyor, "PIECE_BYTES", 1)
        self.patch(surveyor, "REST_SECONDS", 0.003)  # writes are on disk meanwhile
        self.answered = 0

    def keys(self, reply: Any) -> list[int]:
        """What KEYS has answered by a survey."""
        assert isinstance(reply, Local) and isinstance(reply.reply, EncodedList), reply
        found = [int(key) for key in re.findall(rb"\r\n(\d{6})\r\n", b"".join(reply.reply.pieces))]
        self.assertEqual(len(found), reply.reply.count)
        return found

    def check(self, mode: str, seed: int) -> None:
        """Each answer is the state at one slot, and that is neither too old nor yet to come."""
        cluster = MemoryCluster(seed=seed, limits=Limits(write_back_bytes_max=1), mode=mode)
        cluster.run(1.0)
        writer, reader = Writer(cluster.nodes[1]), cluster.nodes[3]
        until = cluster.clock.seconds() + 1.5
        asked: list[tuple[Waiting, int]] = []
        while cluster.step(until):
            writer.go_on()
            if len(asked) < 3 and writer.set > HELD:
                asked.append((reader.request(KEYS, 0, 0, b"*"), writer.set))
            for waiting, before in [each for each in asked if each[0].answered]:
                asked.remove((waiting, before))
                found = self.keys(waiting.reply)
                self.answered += 1
                self.assertTrue(found, "stale")
                self.assertEqual(found, [*range(found[0], found[-1] + 1)], "torn")
                self.assertIn(len(found), (HELD, HELD + 1))
                self.assertGreaterEqual(found[-1], before, "stale")
                self.assertLessEqual(found[-1], writer.sent)

    def test_with_a_leader(self) -> None:
        """A list with a key that was erased before another one in it was set would show what never was."""
        for seed in range(3):
            self.check(LEADER, seed)
        self.assertGreater(self.answered, 30)

    def test_classic(self) -> None:
        """The same where nobody leads."""
        for seed in range(3):
            self.check(CLASSIC, seed)
        self.assertGreater(self.answered, 30)
