"""Faults on order do what was ordered, to that peer, for that long, and nothing afterwards."""

from __future__ import annotations

from random import Random
from typing import Any
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net import fault_orders
from dkv.net.fault_orders import FaultOrders


class Link:
    """A connection to ``node`` that shows what was written."""

    def __init__(self, node: int | None) -> None:
        self.node = node
        self.is_closing = False
        self.written: list[bytes] = []
        self.transport = Mock(write=self.written.append)


class FaultsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = Mock()
        self.faults = FaultOrders(self.clock, (2, 3), self.log, Random(1))
        self.two, self.three = Link(2), Link(3)

    def write(self, link: Link, *frames: bytes) -> None:
        for each in frames:
            self.faults.write(link, each)

    def events(self) -> list[str]:
        """What was logged."""
        return [call.args[0] for call in (*self.log.warning.mock_calls, *self.log.info.mock_calls)]


class DropTests(FaultsTestCase):
    def test_all_to_one_peer(self) -> None:
        """A peer that is cut off hears nothing, and the other one everything."""
        self.faults.drop(2, 1.0, 60)
        self.write(self.two, b"a", b"b")
        self.write(self.three, b"c")
        self.write(Link(None), b"d")
        self.assertEqual((self.two.written, self.three.written), ([], [b"c"]))
        self.assertEqual(self.faults.dropped, {2: 2})

    def test_a_share(self) -> None:
        """A lossy link loses about as much as was ordered."""
        self.faults.drop(2, 0.3, 60)
        self.write(self.two, *[b"x"] * 2_000)
        self.assertTrue(1_200 < len(self.two.written) < 1_600, len(self.two.written))
        self.assertEqual(self.faults.dropped[2] + len(self.two.written), 2_000)

    def test_its_time(self) -> None:
        """An order that nobody takes back ends by itself: a forgotten one would be an outage."""
        self.faults.drop(2, 1.0, 5)
        self.assertTrue(self.faults)
        self.clock.advance(4.9)
        self.assertEqual([fault["seconds_left"] for fault in self.faults.status()], [0.1])
        self.clock.advance(0.2)
        self.assertFalse(self.faults)
        self.assertEqual(self.faults.status(), [])
        self.assertEqual(self.events(), ["fault_set", "fault_ended"])

    def test_cleared(self) -> None:
        """One order is taken back, or all."""
        self.faults.drop(2, 1.0, 60)
        self.faults.drop(3, 1.0, 60)
        self.faults.clear(2)
        self.assertEqual([fault["node"] for fault in self.faults.status()], [3])
        self.faults.clear(None)
        self.assertFalse(self.faults)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ordered_again(self) -> None:
        """The newest order counts; rate 0 ends it."""
        self.faults.drop(2, 1.0, 5)
        self.faults.drop(2, 1.0, 50)
        self.clock.advance(20)
        self.assertTrue(self.faults)
        self.faults.drop(2, 0.0, 50)
        self.assertFalse(self.faults)


class DelayTests(FaultsTestCase):
    def test_held_back(self) -> None:
        """All that is delayed comes later, and it is counted."""
        self.faults.delay(2, 0.5, 60)
        self.write(self.two, b"a")
        self.clock.advance(0.3)
        self.write(self.two, b"b")
        self.clock.advance(0.2)
        self.assertEqual(self.two.written, [b"a"])
        self.clock.advance(0.3)
        self.assertEqual(self.two.written, [b"a", b"b"])
        self.assertEqual(self.faults.delayed, {2: 2})

    def test_behind_what_is_held(self) -> None:
        """When the order ends, what is written then does not overtake what was held back."""
        self.faults.delay(2, 2.0, 1)
        self.write(self.two, b"a")
        self.clock.advance(1.5)
        self.assertTrue(self.faults)
        self.write(self.two, b"b")
        self.assertEqual(self.two.written, [])
        self.clock.advance(0.6)
        self.assertEqual(self.two.written, [b"a", b"b"])
        self.assertFalse(self.faults)

    def test_a_connection_that_ends(self) -> None:
        """Bytes that are held for a link that has ended are forgotten."""
        self.faults.delay(2, 0.5, 60)
        self.write(self.two, b"a")
        self.two.is_closing = True
        self.clock.advance(1)
        self.assertEqual(self.two.written, [])

    def test_bounded(self) -> None:
        """Ten seconds of a busy peer's messages do not fill the memory."""
        self.patch(fault_orders, "DELAYED_BYTES_MAX", 10)
        self.faults.delay(2, 1.0, 60)
        self.write(self.two, b"12345678", b"123", b"12")
        self.clock.advance(1.1)
        self.assertEqual(self.two.written, [b"12345678", b"12"])
        self.assertEqual(self.faults.dropped, {2: 1})
        self.write(self.two, b"1234567890")
        self.clock.advance(1.1)
        self.assertEqual(len(self.two.written), 3)

    @given(st.lists(st.tuples(st.sampled_from(["write", "delay", "clear", "wait"]), st.floats(0, 3)), max_size=40))
    def test_order(self, steps: list[tuple[str, float]]) -> None:
        """Whatever is ordered in between, a peer gets what was written in the order in which it was."""
        clock, link = Clock(), Link(2)
        order = FaultOrders(clock, (2,), Mock(), Random(1))
        written = 0
        actions: dict[str, Any] = {
            "delay": lambda seconds: order.delay(2, seconds, seconds + 0.1),
            "clear": lambda seconds: order.clear(None),
            "wait": clock.advance,
        }
        for action, seconds in steps:
            if action == "write":
                order.write(link, b"%d" % written)
                written += 1
            else:
                actions[action](seconds)
        order.clear(None)
        clock.pump([1.0] * 5)
        self.assertEqual(link.written, [b"%d" % number for number in range(written)])
        self.assertFalse(order)
