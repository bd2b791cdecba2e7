"""Each connection's requests take effect in its order, though reads and writes go different ways."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.gateway.lanes import Lanes
from dkv.gateway.reads import Reads
from dkv.gateway.runs import Run
from dkv.replies import OK, Local, Simple
from tests.gateway.one_gateway import get, put, requests

PONG = Local(Simple("PONG"))


def run(connection: int, *items: Any) -> Run:
    """What a connection asked at once."""
    return Run(requests(connection, *items).requests[0], 0.0)


class LanesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reads = Reads()
        self.lanes = Lanes(self.reads)

    def take_in(self, *runs: Run) -> list[bool]:
        """Let runs come in; which of them went their way."""
        return [self.lanes.take_in(each) for each in runs]

    def ways(self) -> tuple[list[Run], list[Run]]:
        """What waits for a number, and what for a barrier."""
        return list(self.lanes.to_log), list(self.reads.waiting)

    def replied(self) -> list[tuple[int, list[Any]]]:
        """What was replied, by connection."""
        taken, self.lanes.replies = self.lanes.replies, []
        return [(replies.connection, list(replies.replies)) for replies in taken]

    def test_two_ways(self) -> None:
        """Reads of one connection need not wait for another's writes to reach the disks."""
        write, read = run(1, put("k")), run(2, get("k"))
        self.assertEqual(self.take_in(write, read), [True, True])
        self.assertEqual(self.ways(), ([write], [read]))

    def test_a_read_behind_a_write(self) -> None:
        """It sees what its connection has just written: it goes by the log, behind the write."""
        write, read = run(1, put("k")), run(1, get("k"))
        self.assertEqual(self.take_in(write, read), [True, True])
        self.assertEqual(self.ways(), ([write, read], []))
        self.lanes.answer(write, [OK])
        self.lanes.answer(read, [b"v"])
        later = run(1, get("k"))
        self.take_in(later)
        self.assertEqual(self.ways()[1], [later])

    def test_a_write_behind_reads(self) -> None:
        """They must not see it: it stalls until they are answered, and all that follows stalls behind it."""
        first, second, write, last = run(1, get("a")), run(1, get("b")), run(1, put("k")), run(1, get("k"))
        self.assertEqual(self.take_in(first, second, write, last), [True, True, False, False])
        self.assertEqual(self.ways(), ([], [first, second]))
        self.assertFalse(self.lanes.answer(first, [b"1"]))
        self.assertEqual(self.ways()[0], [])
        self.assertTrue(self.lanes.answer(second, [b"2"]))
        self.assertEqual(self.ways()[0], [write, last])

    def test_local_replies(self) -> None:
        """PONG comes behind the replies to what was asked before it; at once, if nothing was."""
        self.assertEqual(self.take_in(run(1, PONG)), [False])
        self.assertEqual(self.replied(), [(1, [PONG])])
        write = run(1, put("k"))
        self.take_in(write, run(1, PONG))
        self.assertEqual(self.replied(), [])
        self.lanes.answer(write, [OK])
        self.assertEqual(self.replied(), [(1, [OK, PONG])])

    def test_a_local_reply_behind_an_answered_run(self) -> None:
        """The newest run is answered while an older one is not: it takes nothing in any more."""
        first, second = run(1, put("a")), run(1, put("b"))
        self.take_in(first, second)
        self.lanes.answer(second, [OK])
        self.take_in(run(1, PONG))
        self.assertEqual(self.replied(), [(1, [OK]), (1, [PONG])])

    def test_answered_once(self) -> None:
        """A client that was told UNCERTAIN is not told OK afterwards: it would take that for its next reply."""
        first, second = run(1, put("a")), run(1, put("b"))
        self.take_in(first, second)
        self.lanes.answer(first, [OK])
        self.assertTrue(self.lanes.is_settled(first))
        self.lanes.answer(first, [b"again"])
        self.assertEqual(self.replied(), [(1, [OK])])
        self.assertFalse(self.lanes.is_settled(second))

    def test_shared_out(self) -> None:
        """Each run of a batch gets the results of its own entries."""
        runs = [run(1, put("a"), put("b")), run(2, PONG, put("c")), run(3, put("d"))]
        self.take_in(*runs)
        self.assertFalse(self.lanes.share_out(runs, [1, 2, 3, 4]))
        self.assertEqual(self.replied(), [(1, [1, 2]), (2, [PONG, 3]), (3, [4])])

    def test_shared_out_lets_others_go(self) -> None:
        """What stalled behind any of them goes, whichever it was: else it waits for somebody else's requests."""
        reads = [run(connection, get("k")) for connection in (1, 2)]
        write = run(1, put("k"))
        self.take_in(*reads, write)
        self.assertTrue(self.lanes.share_out(reads, [b"", b""]))
        self.assertEqual(self.ways()[0], [write])

    def test_closed(self) -> None:
        """Nothing that a client asked is proposed after it has gone, if that can still be helped."""
        gone, stays = [run(1, put("a"))], [run(2, put("b")), run(3, get("c"))]
        self.take_in(*gone, *stays, run(4, get("d")))
        for connection in (1, 4, 5):
            self.lanes.close(connection)
        self.assertEqual(self.ways(), ([stays[0]], [stays[1]]))
        self.assertEqual(([1 in self.lanes, 2 in self.lanes], bool(self.lanes)), ([False, True], True))
        self.assertTrue(self.lanes.is_settled(gone[0]))
        self.assertFalse(self.lanes.answer(gone[0], [OK]))
        self.assertEqual(self.replied(), [])

    @given(st.data())
    def test_any_order_of_answers(self, data: st.DataObject) -> None:
        """Whatever comes in and is answered when: all is answered, a write never goes while an earlier read of its
        connection is unanswered, nor a read by a barrier while an earlier write is."""
        self.setUp()
        asked: list[Run] = []
        while data.draw(st.booleans()) or len(asked) < 3:
            entries = data.draw(st.lists(st.sampled_from([put("k"), get("k")]), min_size=1, max_size=2))
            asked.append(run(data.draw(st.integers(1, 2)), *entries))
            self.lanes.take_in(asked[-1])
            under_way = [*self.lanes.to_log, *self.reads.waiting]
            for one in under_way:
                before = [each for each in asked[: asked.index(one)] if each.connection == one.connection]
                for each in before:
                    if not each.answered:
                        self.assertIn(each, under_way)
                        self.assertEqual(each.in_log, one.in_log)
            if data.draw(st.booleans()) and under_way:
                self.answer(data.draw(st.sampled_from(under_way)))
        while self.lanes:
            self.answer([*self.lanes.to_log, *self.reads.waiting][0])
        self.assertTrue(all(each.answered for each in asked))

    def answer(self, one: Run) -> None:
        """Answer a run that went its way, and take it off that."""
        (self.lanes.to_log if one.in_log else self.reads.waiting).remove(one)
        self.lanes.answer(one, [OK] * one.entries)
