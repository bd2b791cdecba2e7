"""Whether one connection may read, by each of the five reasons why it may not."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from dkv.net.flow_control import REPLY_BYTES_MIN, REQUESTS_PER_MESSAGE, FlowControl
from dkv.net.large_requests import LARGE_BYTES
from dkv.settings import KIB, MIB


class FlowControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.owner: Any = Mock(paused=False)
        self.receiver: Any = Mock()
        self.flow = FlowControl(self.owner, self.receiver, 1 * MIB)
        self.flow.wrote(100, 100)
        while self.flow.room() < REQUESTS_PER_MESSAGE:
            self.flow.wrote(1, 1)  # what is expected of a reply falls by half each time

    def test_choked(self) -> None:
        """A client that sends faster than it is answered is stopped at the limit, and goes on at half of it."""
        sizes = [400 * KIB, 400 * KIB, 400 * KIB]
        for size in sizes:
            self.assertTrue(self.flow.may_read(0))
            self.flow.passed_on(1, size)
        self.assertFalse(self.flow.may_read(0))
        self.flow.answered(1, 400 * KIB, 5)
        self.assertFalse(self.flow.may_read(0))
        self.flow.answered(1, 400 * KIB, 5)
        self.assertTrue(self.flow.may_read(0))

    def test_choked_by_replies(self) -> None:
        """A few bytes of requests whose replies turn out to be large are too much as well."""
        self.flow.passed_on(20, 20)
        self.assertTrue(self.flow.may_read(0))
        self.flow.answered(1, 1, 100 * KIB)
        self.assertFalse(self.flow.may_read(0))
        self.assertEqual(self.flow.room(), 1, "a single request may always go on, else none would")

    def test_unread(self) -> None:
        """A client that does not read is not read, and all that waits for it is counted until it has read."""
        self.flow.client_is_slow()
        self.assertFalse(self.flow.may_read(0))
        self.flow.passed_on(1, 10)
        self.flow.answered(1, 10, 300)
        self.flow.wrote(1, 30)
        self.assertEqual(self.flow.unread_bytes, 330)
        self.flow.client_has_read()
        self.assertTrue(self.flow.may_read(0))
        self.assertEqual([call.args[0] for call in self.owner.unread_replies.add.mock_calls], [300, 30, -330])

    def test_held(self) -> None:
        """A held connection stays so whatever else is over meanwhile, and goes on when nothing else says no."""
        self.flow.hold()
        self.assertFalse(self.flow.may_read(0))
        self.flow.client_is_slow()
        self.flow.client_has_read()
        self.assertFalse(self.flow.may_read(0))
        self.flow.passed_on(2, 2 * MIB)
        self.flow.answered(2, 2 * MIB, 10)
        self.assertFalse(self.flow.may_read(0))
        self.flow.let_go()
        self.assertTrue(self.flow.may_read(0))
        self.flow.hold()
        self.flow.client_is_slow()
        self.flow.let_go()
        self.assertFalse(self.flow.may_read(0))

    def test_paused(self) -> None:
        """While the node takes in nothing, no connection does."""
        self.owner.paused = True
        self.assertFalse(self.flow.may_read(0))

    def test_large(self) -> None:
        """A request that has grown large waits for its turn; once it is complete, the next one has it."""
        large = self.owner.large.may_read
        large.return_value = False
        self.assertTrue(self.flow.may_read(LARGE_BYTES))
        large.assert_not_called()
        self.assertFalse(self.flow.may_read(LARGE_BYTES + 1))
        large.return_value = True
        self.flow.may_read(0)
        self.flow.may_read(0)
        self.assertEqual(
            [call.args for call in large.mock_calls], [(self.receiver, LARGE_BYTES + 1), (self.receiver, 0)]
        )

    def test_each_by_itself(self) -> None:
        """The end of one reason is not the end of the others."""
        self.flow.passed_on(1, 2 * MIB)
        self.flow.client_is_slow()
        self.flow.client_has_read()
        self.assertFalse(self.flow.may_read(0), "choked still")
        self.flow.client_is_slow()
        self.flow.answered(1, 2 * MIB, REPLY_BYTES_MIN)
        self.assertFalse(self.flow.may_read(0), "unread still")
        self.flow.client_has_read()
        self.assertTrue(self.flow.may_read(0))

    def test_ended(self) -> None:
        """What has ended never reads again, whatever is answered or read."""
        self.flow.passed_on(1, 2 * MIB)
        self.flow.client_is_slow()
        self.flow.end()
        self.flow.answered(1, 2 * MIB, 1)
        self.flow.client_has_read()
        self.assertFalse(self.flow.may_read(0))
