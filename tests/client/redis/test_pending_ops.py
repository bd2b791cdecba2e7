"""Tokens: none is used twice, and none is forgotten by the cluster while its write waits for an answer."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.pending_ops import OPS_AHEAD_MAX, PendingOps, Token
from dkv.kv.sessions import BOUNDS


class PendingOpsTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(1, 700), st.lists(st.integers(0, 5_000), max_size=3)), max_size=12))
    def test_no_write_falls_behind(self, rounds: list[tuple[int, list[int]]]) -> None:
        """However many writes are answered before it, the token of one that waits is among those remembered."""
        pending = PendingOps()
        waiting: list[Token] = []
        executed: defaultdict[bytes, int] = defaultdict(int)
        drawn: set[Token] = set()
        for count, stuck in rounds:
            for number in range(count):
                token = pending.take()
                self.assertNotIn(token, drawn)
                drawn.add(token)
                executed[token[0]] = token[1]
                if number in stuck:
                    waiting.append(token)
                else:
                    pending.done(token)
            for producer, op in waiting:
                self.assertLess(executed[producer] - op, BOUNDS.answers)
            if waiting and len(stuck) == 2:
                pending.done(waiting.pop(0))

    def test_the_bound_is_the_clusters(self) -> None:
        """The cluster's memory is a constant of the stored format; what is counted on must be less."""
        self.assertLess(OPS_AHEAD_MAX, BOUNDS.answers)

    def test_one_producer_while_nothing_waits(self) -> None:
        """The cluster remembers 100,000 producers, so a client must not use them up."""
        pending = PendingOps()
        producers = set()
        for _ in range(5_000):
            token = pending.take()
            producers.add(token[0])
            pending.done(token)
        self.assertEqual(len(producers), 1)

    def test_a_forked_process(self) -> None:
        """With its parent's producer, the writes of both would be taken for repeats of each other."""
        pending = PendingOps()
        first = pending.take()
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other tests may have left a thread; the child does not need it
            child = os.fork()
        if child == 0:
            try:
                token = pending.take()
                pending.done(first)
                os.write(write, token[0])
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        producer = os.read(read, 100)
        os.close(read)
        self.assertTrue(producer)
        self.assertNotEqual(producer, first[0])
