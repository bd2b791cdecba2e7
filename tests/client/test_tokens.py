"""Tokens of a client object: none is ever drawn twice, by no thread and no process."""

from __future__ import annotations

import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.tokens import Tokens


def drawn_in_a_fork(source: Tokens) -> tuple[bytes, int]:
    """What a forked process draws first."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other tests may have left a thread; the child does not need it
        child = os.fork()
    if not child:
        os.write(writing, b"%b %d" % source.next())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        producer, op = pipe.read().split()
    os.waitpid(child, 0)
    return producer, int(op)


class TokensTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """Ops are counted, so the highest ones, which a cluster remembers, are the latest."""
        source = Tokens()
        producer, op = source.next()
        self.assertEqual(op, 1)
        self.assertTrue(re.fullmatch(rb"dkv-[0-9a-f]{16}", producer))
        self.assertEqual(source.next(), (producer, 2))

    def test_objects_differ(self) -> None:
        """Two objects of one process are two producers: their ops would collide."""
        self.assertNotEqual(Tokens().next()[0], Tokens().next()[0])

    def test_threads(self) -> None:
        """Two writes with one token would be taken for one write."""
        source = Tokens()
        with ThreadPoolExecutor(8) as pool:
            drawn = list(pool.map(lambda _: source.next(), range(4000)))
        self.assertEqual(len(set(drawn)), 4000)

    def test_a_forked_process_is_another_producer(self) -> None:
        """A web server forks its workers after it made the client: each worker's writes must count."""
        source = Tokens()
        producer, _ = source.next()
        child, op = drawn_in_a_fork(source)
        self.assertNotEqual(child, producer)
        self.assertEqual(op, 1)
        self.assertEqual(source.next(), (producer, 2))

    def test_a_process_id_that_comes_again(self) -> None:
        """In a container's own numbering parent and child may both be process 1."""
        source = Tokens()
        self.patch(os, "getpid", lambda: 1)
        source.next()
        child, op = drawn_in_a_fork(source)
        self.assertNotEqual(child, source.next()[0])
        self.assertEqual(op, 1)

    def test_renewed(self) -> None:
        """Whose name is used by others goes on under a new one."""
        source = Tokens()
        producer, _ = source.next()
        source.renew()
        self.assertNotEqual(source.next()[0], producer)
