"""One siege: strangers at a port of a node, users at all nodes, and a judgement of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from dkv.cli.benchmarks.processes import held_bytes
from dkv.settings import KIB, MIB
from tests.integration.processes import RealNode, child_environment
from tests.siege.beginnings import BEGINNINGS
from tests.siege.flood import Seen, StrangersOrders
from tests.siege.served import Connect, Service, Users

LATE_SECONDS = 2.5
"""How much later than it says a node may close a connection: it looks now and then, on a machine that is busy."""
LATENCY_P99_MAX = 1.0
LATENCY_MAX = 4.0
"""Less than ``request_seconds``: nobody is given up, and nobody would try again."""
HELD_PER_STRANGER_MAX = 160 * KIB
"""What a stranger that is there may cost, in bytes of memory."""
HELD_FOR_GOOD_MAX = 96 * MIB
"""What memory may have grown by when all strangers are gone: Python and OpenSSL keep some for the next."""
KEPT_PER_STRANGER_MAX = 48 * KIB
"""And so much more for each one that was there at once: what many took together is not given back whole."""
DESCRIPTORS_MORE_MAX = 8
GONE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Assault:
    """``count`` strangers at the port of ``kind`` of ``node``, ``at_once`` of them at the same time."""

    node: RealNode
    host: str
    port: int
    kind: str
    beginning: str
    count: int
    at_once: int
    per_second: float = 0.0

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.beginning} at {self.kind}, {self.count:,} times, {self.at_once:,} at once"

    def orders(self) -> StrangersOrders:
        """For the process that carries it out."""
        patience = BEGINNINGS[self.kind][self.beginning].seconds + 2 * LATE_SECONDS
        return StrangersOrders(
            self.host, self.port, self.kind, self.beginning, self.count, self.at_once, patience, self.per_second
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of assaults that were made at the same time."""

    assaults: tuple[tuple[Assault, Seen], ...]
    service: Service
    held_more: int
    """The bytes that the node held more, at most, while strangers were there."""
    held_for_good: int
    """The same when they were gone."""
    descriptors_more: int

    def lines(self) -> Iterator[str]:
        """For people."""
        for assault, seen in self.assaults:
            ends = f"closed {seen.closed:,}, given up {seen.given_up:,}, refused {seen.refused:,}, left {seen.left:,}"
            yield f"{assault.name}: {ends}; longest {seen.longest_seconds:.1f} s; took {seen.seconds:.1f} s"
        yield f"users: {self.service}"
        yield f"memory: {self.held_more / MIB:+.1f} MiB at most, {self.held_for_good / MIB:+.1f} MiB in the end"

    def broken(self) -> Iterator[str]:
        """What must not be, a line each."""
        for assault, seen in self.assaults:
            most = BEGINNINGS[assault.kind][assault.beginning].seconds + LATE_SECONDS
            if seen.left:
                yield f"{assault.name}: {seen.left} connections were never closed"
            if seen.longest_seconds > most and seen.longest_seconds > 0:
                yield f"{assault.name}: a connection was closed after {seen.longest_seconds:.1f} s, not within {most:g}"
        yield from (f"a user failed: {failure}" for failure in self.service.failures[:5])
        if self.service.p99 > LATENCY_P99_MAX or self.service.longest > LATENCY_MAX:
            yield f"users waited: {self.service}"
        strangers = sum(assault.at_once for assault, _ in self.assaults)
        if self.held_more > HELD_FOR_GOOD_MAX + strangers * HELD_PER_STRANGER_MAX:
            yield f"memory grew by {self.held_more / MIB:.0f} MiB for {strangers} strangers at once"
        if self.held_for_good > HELD_FOR_GOOD_MAX + strangers * KEPT_PER_STRANGER_MAX:
            yield f"memory grew by {self.held_for_good / MIB:.0f} MiB for good"
        if self.descriptors_more > DESCRIPTORS_MORE_MAX:
            yield f"{self.descriptors_more} descriptors were left open"


def assail(
    assaults: Sequence[Assault], connects: Sequence[Connect], meanwhile: Callable[[], None] | None = None
) -> Outcome:
    """Make all assaults at once, all on one node, while the users are there.

    ``meanwhile`` is done once they have begun.
    """
    (node,) = {assault.node.number: assault.node for assault in assaults}.values()
    held, descriptors = held_of(node), descriptors_of(node)
    users = Users(connects)
    most = held
    with _strangers(assaults) as strangers:
        try:
            if meanwhile is not None:
                meanwhile()
            while strangers.poll() is None:
                most = max(most, held_of(node))
                time.sleep(0.1)  # between two looks
            out, _ = strangers.communicate()
        finally:
            service = users.stop()
    if strangers.returncode:
        raise RuntimeError(f"the strangers' process ended with status {strangers.returncode}")
    seen = [Seen(**each) for each in json.loads(out)]
    left = _descriptors_in_the_end(node, descriptors)
    return Outcome(tuple(zip(assaults, seen, strict=True)), service, most - held, held_of(node) - held, left)


@contextmanager
def _strangers(assaults: Sequence[Assault]) -> Iterator[subprocess.Popen[str]]:
    """Their process, which is ended in any case."""
    orders = json.dumps([asdict(assault.orders()) for assault in assaults])
    command = [sys.executable, "-m", "tests.siege.flood", orders]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def held_of(node: RealNode) -> int:
    """The bytes of memory that are the node's own."""
    assert node.process is not None
    return held_bytes(node.process.pid)


def descriptors_of(node: RealNode) -> int:
    """How many descriptors the node has open."""
    assert node.process is not None
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


def _descriptors_in_the_end(node: RealNode, before: int) -> int:
    """How many more than ``before`` are open when the last connections have had time to end."""
    deadline = time.monotonic() + GONE_SECONDS
    while (more := descriptors_of(node) - before) > DESCRIPTORS_MORE_MAX and time.monotonic() < deadline:
        time.sleep(0.1)  # between two looks
    return more
