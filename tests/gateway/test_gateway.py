"""A client is answered once, in order and in time, and only with what is true."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ClientGone, ReadResults, Replayed, RepliesUnread
from dkv.gateway import runs
from dkv.kv.machine import UNREADABLE
from dkv.messages import Barrier, Want
from dkv.replies import OK, Local, Result, Simple
from dkv.settings import Limits
from tests.gateway.one_gateway import (
    IDENTITY,
    NODE_2,
    NODE_3,
    OneGateway,
    append,
    get,
    here,
    put,
    requests,
)

BOOT = IDENTITY.boot
PONG = Local(Simple("PONG"))


class WriteTests(SynchronousTestCase):
    """Batches on their way to the leader."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def write(self, connection: int, key: str) -> None:
        """One write of a connection, in a turn of its own."""
        self.node.give(requests(connection, put(key)))

    def test_a_write(self) -> None:
        """It travels to the leader in batch 1 of this boot, and is answered when the own learner applied it."""
        self.write(1, "k")
        ((to, batch),) = self.node.submits
        self.assertEqual(
            (to, batch.node, batch.incarnation, batch.boot, batch.seq), (NODE_2, 1, IDENTITY.incarnation, BOOT, 1)
        )
        self.assertEqual(self.node.answers(), [])
        self.node.applied(1, OK)
        self.assertEqual(self.node.answers(), [(1, [OK])])

    def test_what_comes_together_shares_a_batch(self) -> None:
        """All requests that are in the mailbox make one batch: throughput rests on that."""
        self.node.give(requests(1, put("a"), put("b")), requests(2, put("c")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("a"), put("b"), put("c")])])
        self.node.applied(1, 11, 12, 13)
        self.assertEqual(self.node.answers(), [(1, [11, 12]), (2, [13])])

    def test_no_number_without_a_leader(self) -> None:
        """Until a leader is known nothing is numbered: what was never proposed can be refused with certainty."""
        self.node.leader(0)
        self.write(1, "a")
        self.write(2, "b")
        self.node.wait(1.0)
        self.assertEqual(self.node.batches(), [])
        self.node.leader(3)
        self.assertEqual(self.node.batches(), [(NODE_3, 1, [put("a"), put("b")])])
        self.node.applied(1, OK, OK)
        self.assertEqual(self.node.answers(), [(1, [OK]), (2, [OK])])

    def test_outstanding_at_most(self) -> None:
        """At most ``batches_outstanding_max`` have a number and no answer; the rest waits, and then goes together."""
        for index in range(7):
            self.write(index, f"k{index}")
        self.assertEqual([seq for _, seq, _ in self.node.batches()], [1, 2, 3, 4])
        self.node.applied(1, OK)
        self.assertEqual(self.node.batches(), [(NODE_2, 5, [put("k4"), put("k5"), put("k6")])])
        self.assertEqual(self.node.answers(), [(0, [OK])])

    def test_batch_bytes_at_most(self) -> None:
        """What waits is split where it would exceed ``batch_bytes_max``; a single large run still goes."""
        limits = Limits(request_bytes_max=2**18, key_bytes_max=1, value_bytes_max=1, batch_bytes_max=2**19)
        self.patch(runs, "JOINED_BYTES_MAX", 2**19)
        self.node = OneGateway(limits)
        self.node.leader(0)
        for connection in range(3):
            self.node.give(requests(connection, *[put("k")] * 2_000))
        self.node.leader(2)
        self.assertEqual([len(entries) for _, _, entries in self.node.batches()], [4_000, 2_000])

    def test_resends_the_same_bytes(self) -> None:
        """On a new leader, on a wish, on a reconnect of the leader and by the clock: the same numbers, in order."""
        for key in ("a", "b", "c"):
            self.write(1, key)
        originals = [batch for _, batch in self.node.submits]
        self.node.submits.clear()
        occasions = [
            ("the leader is lost", lambda: self.node.leader(0), []),
            ("a new leader", lambda: self.node.leader(3), originals),
            ("a wish", lambda: self.node.give(Want(BOOT, 2), sender=NODE_3), originals[1:]),
            ("a wish for what is not there", lambda: self.node.give(Want(BOOT, 4), sender=NODE_3), []),
            ("a wish of another boot", lambda: self.node.give(Want(BOOT - 1, 1), sender=NODE_3), []),
            ("another node is back", lambda: self.node.peer_up(2), []),
            ("the leader is back", lambda: self.node.peer_up(3), originals),
            ("too early", lambda: self.node.wait(0.6), []),
            ("the clock", lambda: self.node.wait(0.7), originals),
            ("leads itself", lambda: self.node.leader(1), originals),
        ]
        for occasion, act, expected in occasions:
            act()
            self.assertEqual([batch for _, batch in self.node.submits], expected, occasion)
            self.node.submits.clear()
        self.node.applied(1, OK)
        self.node.peer_up(1)
        self.assertEqual([batch for _, batch in self.node.submits], originals[1:])

    def test_b28_never_given_up(self) -> None:
        """B28: a batch whose clients were told UNCERTAIN is sent on, as it was, and later ones follow it: a number
        given up, or used for other bytes, would make all later writes of this node impossible or lost."""
        self.write(1, "a")
        ((_, original),) = self.node.submits
        self.node.wait(6.0)
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"])])
        self.write(1, "b")
        self.node.submits.clear()
        self.node.leader(3)
        self.assertEqual(self.node.submits[0], (NODE_3, original))
        self.assertEqual([seq for _, seq, _ in self.node.batches()], [1, 2])
        self.node.applied(1, OK)
        self.assertEqual(self.node.answers(), [])
        self.node.applied(2, "second")
        self.assertEqual(self.node.answers(), [(1, ["second"])])

    def test_b28_resent_when_no_client_is_left(self) -> None:
        """B28: nor does it matter that no connection is open: the clock goes on resending until it is applied."""
        self.write(1, "a")
        ((_, original),) = self.node.submits
        self.node.give(ClientGone(1))
        for _ in range(3):
            self.node.submits.clear()
            self.node.wait(30.0)
            self.assertEqual({batch for _, batch in self.node.submits}, {original})
        self.node.applied(1, OK)
        self.node.submits.clear()
        self.node.wait(30.0)
        self.assertEqual((self.node.submits, self.node.answers(), self.node.turn.timers), ([], [], {}))

    def test_b16_own_batches_only(self) -> None:
        """B16: an answer goes to those whose requests the number names, not to whoever waits longest."""
        self.write(1, "a")
        self.write(2, "b")
        with self.assertRaises(AssertionError):
            self.node.applied(2, OK)
        self.assertEqual(self.node.answers(), [])

    def test_unreadable_batch(self) -> None:
        """A batch that cannot be decoded at apply answers an error to each of its requests, and no other."""
        self.node.give(requests(1, put("a"), put("b")), requests(2, put("c")))
        self.write(3, "d")
        self.node.applied(1, UNREADABLE)
        self.assertEqual(self.node.answers(), [(1, [UNREADABLE] * 2), (2, [UNREADABLE])])
        self.node.applied(2, OK)
        self.assertEqual(self.node.answers(), [(3, [OK])])

    def test_a_batch_that_was_read_as_more(self) -> None:
        """Results that do not match the entries belong to nobody: none is given to a client as its own."""
        self.node.give(requests(1, put("a"), put("b")))
        self.node.applied(1, OK, OK, OK)
        self.assertEqual(self.node.answers(), [(1, [UNREADABLE] * 2)])


class ReadTests(SynchronousTestCase):
    """Reads and their barriers."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def barrier(self, number: int, through: int, boot: int = BOOT) -> None:
        """The leader answers a barrier request."""
        self.node.give(Barrier(boot, number, through), sender=NODE_2)

    def results(self, number: int, *results: Result) -> None:
        """The learner has evaluated the reads."""
        self.node.give(ReadResults(number, list(results)))

    def test_a_read(self) -> None:
        """It asks the leader for a barrier and its own learner for the value: no batch, no slot."""
        self.node.give(requests(1, get("k")))
        ((to, request),) = self.node.barrier_requests
        self.assertEqual((to, request.boot, request.number), (NODE_2, BOOT, 1))
        self.assertEqual(self.node.reads, [])
        self.barrier(1, 17)
        ((read),) = self.node.reads
        self.assertEqual((read.through, read.entries), (17, [get("k")]))
        self.assertEqual(self.node.answers(), [])
        self.results(read.number, b"v")
        self.assertEqual(self.node.answers(), [(1, [b"v"])])
        self.assertEqual(self.node.batches(), [])

    def test_one_barrier_for_all(self) -> None:
        """Reads that came together share a barrier; those that come later get a later one, never an earlier."""
        self.node.give(requests(1, get("a"), get("b")), requests(2, get("c")))
        self.node.give(requests(3, get("d")))
        self.assertEqual(self.node.barriers(), [(NODE_2, 1), (NODE_2, 2)])
        self.barrier(1, 5)
        self.assertEqual([read.entries for read in self.node.reads], [[get("a"), get("b"), get("c")]])
        self.results(self.node.reads[0].number, 1, 2, 3)
        self.assertEqual(self.node.answers(), [(1, [1, 2]), (2, [3])])

    def test_a_later_barrier_serves_earlier_reads(self) -> None:
        """A barrier that was asked for later is good for earlier reads too, so one lost answer costs no wait."""
        for connection in (1, 2, 3):
            self.node.give(requests(connection, get(f"k{connection}")))
        self.barrier(2, 9)
        self.assertEqual([(read.through, read.entries) for read in self.node.reads], [(9, [get("k1"), get("k2")])])
        self.barrier(1, 4)
        self.assertEqual(len(self.node.reads), 1)
        self.results(1, 1, 2)
        self.barrier(3, 9)
        self.assertEqual(len(self.node.reads), 2)

    def test_barrier_of_an_earlier_boot(self) -> None:
        """An answer to a request of an earlier life began before this read arrived: it would be stale."""
        self.node.give(requests(1, get("k")))
        self.barrier(1, 3, boot=BOOT - 1)
        self.assertEqual(self.node.reads, [])

    def test_many_barriers(self) -> None:
        """Only a few are asked for at a time; what comes meanwhile shares the next."""
        for connection in range(8):
            self.node.give(requests(connection, get("k")))
        self.assertEqual([number for _, number in self.node.barriers()], [1, 2, 3, 4])
        self.barrier(4, 1)
        self.assertEqual([number for _, number in self.node.barriers()], [5])
        self.barrier(5, 1)
        self.results(1, 1, 2, 3, 4)
        self.assertEqual([len(read.entries) for read in self.node.reads], [4, 4])

    def test_a_few_reads_at_a_time(self) -> None:
        """Thousands of reads of large values would fill the memory with what they bring, all at once."""
        for connection in range(3):
            self.node.give(requests(connection, *[get("k")] * 40))
        self.barrier(3, 1)
        self.assertEqual([len(read.entries) for read in self.node.reads], [40])
        self.results(1, *range(40))
        self.assertEqual([len(read.entries) for read in self.node.reads], [40, 40])
        self.results(2, *range(40))
        self.results(3, *range(40))
        self.assertEqual([connection for connection, _ in self.node.answers()], [0, 1, 2])

    def test_nobody_reads_the_replies(self) -> None:
        """Clients that ask and do not listen would fill the memory with replies: reads wait until they listen."""
        self.node.give(RepliesUnread(True))
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, put("b", "1"), get("b")), requests(3, put("c", "1")))
        self.barrier(1, 1)
        self.assertEqual(self.node.reads, [])
        self.assertEqual(self.node.submits, [])
        self.node.give(RepliesUnread(False))
        self.assertEqual([read.entries for read in self.node.reads], [[get("a")]])
        self.assertEqual(len(self.node.submits), 1)

    def test_asks_again(self) -> None:
        """A new leader, a reconnected one, and one whose answer got lost are asked for the newest barrier again."""
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, get("b")))
        self.node.barriers()
        self.node.leader(0)
        self.assertEqual(self.node.barriers(), [])
        self.node.leader(3)
        self.assertEqual(self.node.barriers(), [(NODE_3, 2)])
        self.node.peer_up(2)
        self.assertEqual(self.node.barriers(), [])
        self.node.peer_up(3)
        self.assertEqual(self.node.barriers(), [(NODE_3, 2)])
        self.node.wait(1.0)
        self.assertEqual(set(self.node.barriers()), {(NODE_3, 2)})

    def test_without_a_leader(self) -> None:
        """Reads wait for a leader as writes do."""
        self.node.leader(0)
        self.node.give(requests(1, get("k")))
        self.assertEqual(self.node.barriers(), [])
        self.node.leader(3)
        self.assertEqual(self.node.barriers(), [(NODE_3, 1)])

    def test_a_read_behind_a_write_rides(self) -> None:
        """While a write of its connection has no answer a read goes with the log: it must see that write."""
        self.node.give(requests(1, append("k", "x")))
        self.node.give(requests(1, get("k")))
        self.node.give(requests(2, get("k")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [append("k", "x")]), (NODE_2, 2, [get("k")])])
        self.assertEqual(self.node.barriers(), [(NODE_2, 1)])
        self.node.applied(1, 1)
        self.node.give(requests(1, get("k")))
        self.assertEqual(self.node.batches(), [(NODE_2, 3, [get("k")])])
        self.node.applied(2, b"x")
        self.node.applied(3, b"x")
        self.node.give(requests(1, get("k")))
        self.assertEqual(self.node.batches(), [])
        self.assertEqual(self.node.answers(), [(1, [1]), (1, [b"x"]), (1, [b"x"])])

    def test_a_read_before_a_write_rides(self) -> None:
        """A pipeline of read, write, read takes effect as one sequence."""
        pipeline = [get("k"), put("k", "2"), get("k")]
        self.node.give(requests(1, *pipeline))
        self.assertEqual((self.node.batches(), self.node.barriers()), ([(NODE_2, 1, pipeline)], []))
        self.node.applied(1, b"1", OK, b"2")
        self.assertEqual(self.node.answers(), [(1, [b"1", OK, b"2"])])

    def test_a_write_waits_for_reads(self) -> None:
        """A write that came after reads not answered yet is held back, and all that follows it: no read may see it."""
        self.node.give(requests(1, get("a")))
        self.node.give(requests(1, put("a")))
        self.node.give(requests(1, get("b")))
        self.node.give(requests(1, PONG))
        self.node.give(requests(1, put("b")))
        self.node.give(requests(2, put("c")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("c")])])
        self.barrier(1, 1)
        self.assertEqual(self.node.batches(), [])
        self.results(self.node.reads[0].number, b"old")
        self.assertEqual(self.node.batches(), [(NODE_2, 2, [put("a"), get("b"), put("b")])])
        self.node.applied(1, OK)
        self.node.applied(2, OK, b"b", OK)
        self.assertEqual(
            self.node.answers(), [(1, [b"old"]), (2, [OK]), (1, [OK]), (1, [b"b", PONG]), (1, [OK])]
        )  # fmt: skip


class LocalTests(SynchronousTestCase):
    """Replies that need no log."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def test_alone(self) -> None:
        """They are answered at once, leader or none."""
        self.node.leader(0)
        self.node.give(requests(1, PONG, PONG))
        self.assertEqual(self.node.answers(), [(1, [PONG, PONG])])
        self.assertEqual(self.node.turn.timers, {})

    def test_keep_their_place(self) -> None:
        """Between entries, before and after them: redis clients would be out of step for good."""
        first, second, third = (Local(Simple(text)) for text in ("first", "second", "third"))
        self.node.give(requests(1, first, put("a"), second, get("b"), third))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("a"), get("b")])])
        self.node.applied(1, OK, b"v")
        self.assertEqual(self.node.answers(), [(1, [first, OK, second, b"v", third])])

    def test_behind_what_waits(self) -> None:
        """One that comes later waits for what came before it, a read or a write."""
        self.node.give(requests(1, put("a")))
        self.node.give(requests(1, PONG))
        self.node.give(requests(1, PONG, PONG))
        self.node.give(requests(2, get("a")))
        self.node.give(requests(2, PONG))
        self.assertEqual(self.node.answers(), [])
        self.node.applied(1, OK)
        self.node.give(Barrier(BOOT, 1, 1), ReadResults(1, [b"v"]))
        self.assertEqual(self.node.answers(), [(1, [OK, PONG, PONG, PONG]), (2, [b"v", PONG])])

    def test_behind_a_refusal(self) -> None:
        """It keeps its place when what it waits for is refused."""
        self.node.leader(0)
        self.node.give(requests(1, put("a")))
        self.node.give(requests(1, PONG))
        self.node.wait(6.0)
        self.assertEqual(self.node.words(), [(1, ["TRYAGAIN", ""])])

    def test_alone_behind_nothing(self) -> None:
        """After everything was answered one is answered at once again."""
        self.node.give(requests(1, put("a")))
        self.node.applied(1, OK)
        self.node.give(requests(1, PONG))
        self.assertEqual(self.node.answers(), [(1, [OK]), (1, [PONG])])


class LoadingTests(SynchronousTestCase):
    """Before the log is replayed."""

    def test_loading(self) -> None:
        """A node that has not replayed its log refuses what needs state, in its place, and serves the rest."""
        node = OneGateway(ready=False)
        node.leader(2)
        node.give(requests(1, PONG, get("k"), put("k")))
        self.assertEqual(node.words(), [(1, ["", "LOADING", "LOADING"])])
        node.give(Replayed(9), sender=here("learner"))
        node.give(requests(1, put("k")))
        self.assertEqual(node.words(), [])
        self.assertEqual(node.batches(), [(NODE_2, 1, [put("k")])])
