"""Too many replies wait: those who read go on, those who do not have to go."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.unread_replies import CUT_SECONDS, READS_ENOUGH, UNREAD_SECONDS, UnreadReplies

LIMIT = 1_000


class Client:
    """Reads when it is told to."""

    def __init__(self, replies: UnreadReplies) -> None:
        self.replies = replies
        self.unread_bytes = 0
        self.taken_bytes = 0
        self.is_cut_off = False

    def gets(self, size: int) -> None:
        self.unread_bytes += size
        self.replies.add(size)

    def reads(self, size: int) -> None:
        self.taken_bytes += size

    def has_read(self, size: int) -> None:
        self.unread_bytes -= size
        self.replies.add(-size)

    def cut_off(self) -> None:
        self.is_cut_off = True
        self.has_read(self.unread_bytes)


class UnreadRepliesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clients: list[Client] = []
        self.told: list[bool] = []
        self.replies = UnreadReplies(self.clock, LIMIT, self.told.append, lambda: self.clients)

    def client(self, size: int) -> Client:
        """One for whom so much waits."""
        client = Client(self.replies)
        self.clients.append(client)
        client.gets(size)
        return client

    def test_one_that_reads_slowly(self) -> None:
        """A client gets all of a long answer over a slow line, although there is never nothing left to send."""
        slow = self.client(8 * LIMIT)
        self.assertEqual(self.told, [True])
        while self.told == [True]:
            slow.reads(8 * LIMIT // READS_ENOUGH)
            self.clock.advance(UNREAD_SECONDS)
            self.assertFalse(slow.is_cut_off)
        self.assertLessEqual(slow.unread_bytes, LIMIT // 2)
        self.assertFalse(self.clock.getDelayedCalls(), "nobody looks any more")

    def test_one_that_reads_less_and_less(self) -> None:
        """A part of what is left is not enough: that would take for ever."""
        tired = self.client(8 * LIMIT)
        for _ in range(2):
            self.assertFalse(tired.is_cut_off)
            tired.reads(tired.unread_bytes // READS_ENOUGH)
            self.clock.advance(UNREAD_SECONDS)
        self.assertTrue(tired.is_cut_off)

    def test_beside_one_that_does_not_read(self) -> None:
        """Who reads nothing has to go, even if others have more to read."""
        reading, still = self.client(LIMIT), self.client(LIMIT // 2)
        reading.reads(LIMIT // 2)
        self.clock.advance(UNREAD_SECONDS)
        self.assertEqual((reading.is_cut_off, still.is_cut_off), (False, True))
        self.assertEqual(self.told, [True, False])

    def test_one_that_reads_next_to_nothing(self) -> None:
        """A byte now and then is not reading: all others wait meanwhile."""
        nibbling = self.client(2 * LIMIT)
        nibbling.reads(LIMIT // READS_ENOUGH)
        self.clock.advance(UNREAD_SECONDS)
        self.assertTrue(nibbling.is_cut_off)

    def test_one_that_stops(self) -> None:
        """What somebody has read earlier does not help for ever."""
        client = self.client(8 * LIMIT)
        client.reads(4 * LIMIT)
        self.clock.advance(UNREAD_SECONDS)
        self.assertFalse(client.is_cut_off)
        self.clock.advance(UNREAD_SECONDS)
        self.assertTrue(client.is_cut_off)

    def test_one_that_came_late(self) -> None:
        """It has as much time as the others, and no more."""
        first = self.client(2 * LIMIT)
        self.clock.advance(UNREAD_SECONDS - CUT_SECONDS)
        second = self.client(2 * LIMIT)
        self.clock.advance(CUT_SECONDS)
        self.assertEqual((first.is_cut_off, second.is_cut_off), (True, False))
        self.clock.advance(CUT_SECONDS)
        self.clock.advance(UNREAD_SECONDS)
        self.assertTrue(second.is_cut_off)

    def test_one_that_has_read_meanwhile(self) -> None:
        """Between two that are cut off, another may have read everything."""
        third, second, first = (self.client(size) for size in (100, 100, LIMIT))
        for more, each in enumerate((third, second, first), 1):
            each.gets(more * LIMIT)
        self.clock.advance(UNREAD_SECONDS)
        second.has_read(second.unread_bytes)
        self.clock.advance(CUT_SECONDS)
        self.assertEqual([each.is_cut_off for each in (first, second, third)], [True, False, True])
        self.replies.stop()
