"""Nobody waits for ever, and a refusal says what the client may conclude."""

from __future__ import annotations

from operator import itemgetter

from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import ClientGone, ReadResults
from dkv.messages import Barrier
from dkv.replies import OK, Local, Simple
from tests.gateway.one_gateway import IDENTITY, NODE_2, NODE_3, OneGateway, get, key, put, requests

BOOT = IDENTITY.boot
PONG = Local(Simple("PONG"))
TIMEOUT, TICK = 5.0, 0.3
"""The request timeout, and how late after it an answer may come."""


class TimeoutTests(SynchronousTestCase):
    """Requests that are not decided in time."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def wait_out(self, *expected: tuple[int, list[str]]) -> None:
        """Nothing is answered before the timeout; these soon after, in this order on each connection."""
        self.node.wait(TIMEOUT - TICK)
        self.assertEqual(self.node.words(), [])
        self.node.wait(2 * TICK)
        self.assertEqual(sorted(self.node.words(), key=itemgetter(0)), sorted(expected, key=itemgetter(0)))

    def test_waiting_for_a_leader(self) -> None:
        """Not numbered: refused with certainty, and never proposed afterwards."""
        self.node.leader(0)
        self.node.give(requests(1, put("a"), get("a")), requests(2, get("b")), requests(3, put("c"), PONG))
        self.wait_out((1, ["TRYAGAIN"] * 2), (3, ["TRYAGAIN", ""]), (2, ["TRYAGAIN"]))
        self.node.leader(3)
        self.assertEqual((self.node.batches(), self.node.barriers()), ([], []))

    def test_what_is_measured(self) -> None:
        """An operator sees how long requests waited, the oldest of each group: for a number, and for their reads."""
        self.node.leader(0)
        self.node.give(requests(1, put("a")), requests(2, get("b")))
        self.node.wait(0.5)
        self.node.give(requests(3, put("c")))
        self.node.wait(0.25)
        self.node.leader(3)
        self.node.give(Barrier(BOOT, 1, 0), ReadResults(1, [b"v"]))
        seconds = {event: fields["seconds"] for event, fields in self.node.turn.measures if "seconds" in fields}
        self.assertEqual(seconds, {"batch_numbered": 0.75, "reads_evaluated": 0.75})

    def test_to_the_moment(self) -> None:
        """``request_seconds`` are what a client waits, wherever its request is by then, and not one look longer."""
        self.node.give(requests(1, put("numbered")))
        self.node.give(requests(2, get("asked")))
        self.node.leader(0)
        self.node.give(requests(3, put("waiting")), requests(4, get("waiting")))
        self.node.wait(TIMEOUT)
        self.assertEqual(
            sorted(self.node.words()),
            [(1, ["UNCERTAIN"]), (2, ["TRYAGAIN"]), (3, ["TRYAGAIN"]), (4, ["TRYAGAIN"])],
        )

    def test_no_quorum(self) -> None:
        """The word says so when no majority is heard."""
        self.node.leader(0)
        self.node.quorum(False)
        self.node.give(requests(1, put("a")), requests(2, get("b")))
        self.wait_out((1, ["CLUSTERDOWN"]), (2, ["CLUSTERDOWN"]))
        self.node.quorum(True)
        self.node.leader(3)
        self.assertEqual((self.node.batches(), self.node.barriers()), ([], []))

    def test_numbered(self) -> None:
        """Proposed: it may or may not take effect; the reads in the batch have an answer all the same."""
        self.node.give(requests(1, put("a"), PONG, get("a")), requests(2, put("b")))
        self.wait_out((1, ["UNCERTAIN", "", "TRYAGAIN"]), (2, ["UNCERTAIN"]))
        self.node.applied(1, OK, b"v", OK)
        self.assertEqual(self.node.answers(), [])

    def test_numbered_without_a_quorum(self) -> None:
        """Losing the leader and the majority makes no proposed write certain again."""
        self.node.give(requests(1, put("a"), get("a")))
        self.node.leader(0)
        self.node.quorum(False)
        self.wait_out((1, ["UNCERTAIN", "CLUSTERDOWN"]))

    def test_reads_are_never_uncertain(self) -> None:
        """In every state in which a read can wait: asked, at the learner, in a batch of its own."""
        self.node.give(requests(1, get("a")))
        self.node.give(requests(2, get("b")))
        self.node.give(Barrier(BOOT, 1, 99), sender=NODE_2)
        self.node.give(requests(3, put("c")))
        self.node.give(requests(3, get("c")))
        self.wait_out((3, ["UNCERTAIN"]), (3, ["TRYAGAIN"]), (1, ["TRYAGAIN"]), (2, ["TRYAGAIN"]))
        self.node.give(ReadResults(self.node.reads[0].number, [b"late"]))
        self.node.give(Barrier(BOOT, 2, 99), sender=NODE_2)
        self.node.applied(1, OK)
        self.node.applied(2, b"late")
        self.assertEqual(self.node.answers(), [])

    def test_a_late_result_answers_nobody(self) -> None:
        """What comes after a refusal must not be taken for the answer to the connection's next request."""
        self.node.give(requests(1, get("a")), requests(2, put("b")))
        self.node.give(Barrier(BOOT, 1, 9), sender=NODE_2)
        self.node.wait(3.0)
        self.node.give(requests(1, get("a")), requests(2, put("b")))
        self.node.wait(2.0 + TICK)
        self.assertEqual(self.node.words(), [(2, ["UNCERTAIN"]), (1, ["TRYAGAIN"])])
        self.node.give(ReadResults(self.node.reads[0].number, [b"late"]))
        self.node.applied(1, "late")
        self.assertEqual(self.node.answers(), [])
        self.node.give(Barrier(BOOT, 2, 9), ReadResults(2, [b"in time"]))
        self.node.applied(2, "in time")
        self.assertEqual(self.node.answers(), [(1, [b"in time"]), (2, ["in time"])])

    def test_behind_full_batches(self) -> None:
        """A leader that decides nothing: what has a number is uncertain, what waits behind is not applied."""
        for index in range(6):
            self.node.give(requests(index, put("k")))
        self.wait_out(
            *((index, ["UNCERTAIN"]) for index in range(4)), *((index, ["TRYAGAIN"]) for index in (4, 5))
        )  # fmt: skip

    def test_held_behind_reads(self) -> None:
        """A write held back behind reads is refused with them, whoever else has begun to wait meanwhile."""
        self.node.leader(0)
        self.node.give(requests(1, get("a")))
        self.node.give(requests(1, put("a")))
        self.node.wait(TIMEOUT - 2 * TICK)
        self.node.give(requests(2, put("b")))
        self.node.wait(4 * TICK)
        self.assertEqual(self.node.words(), [(1, ["TRYAGAIN"]), (1, ["TRYAGAIN"])])
        self.node.leader(2)
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("b")])])

    def test_each_message_of_a_mixed_pipeline(self) -> None:
        """Reads and writes by turns, each in a message of its own, wait behind each other: each is still answered
        within its own time, and in order, whatever it is that never comes. The held writes join the log's queue
        only when the reads before them are refused."""
        for leader, classic in ((0, False), (2, False), (IDENTITY.node, True)):
            self.node = OneGateway(classic=classic)
            self.node.leader(leader)
            self.node.give(requests(2, put("b")))  # the gateway looks at the time from here on
            arrivals, answered = [], []
            for step in range(1_000):
                self.node.wait(0.01)
                if step < 100:
                    request = put("a") if step % 2 else get("a")
                    self.node.give(requests(1, request, Local(Simple(str(step)))))
                    arrivals.append(self.node.turn.now)
                answers = [replies for connection, replies in self.node.answers() if connection == 1]
                answered += [(self.node.turn.now, replies[1]) for replies in answers]
            self.assertEqual([echo for _, echo in answered], [Local(Simple(str(step))) for step in range(100)])
            latest = max(at - arrived for arrived, (at, _) in zip(arrivals, answered, strict=True))
            self.assertLessEqual(latest, TIMEOUT + TICK)

    def test_each_in_its_time(self) -> None:
        """A request that came later has its own time."""
        self.node.leader(0)
        self.node.give(requests(1, put("a")))
        self.node.wait(3.0)
        self.node.give(requests(2, put("b")))
        self.node.wait(2.0 + TICK)
        self.assertEqual(self.node.words(), [(1, ["TRYAGAIN"])])
        self.node.leader(3)
        self.assertEqual(self.node.batches(), [(NODE_3, 1, [put("b")])])

    def test_reads_that_nobody_asked_for_yet(self) -> None:
        """Reads behind barriers that timed out are asked for as soon as there is room, not at the next request."""
        for connection in range(4):
            self.node.give(requests(connection, get("k")))
        self.node.wait(3.0)
        self.node.give(requests(9, get("k")))
        self.node.wait(2.0 + TICK)
        self.assertEqual(self.node.words(), [(connection, ["TRYAGAIN"]) for connection in range(4)])
        numbers = {number for _, number in self.node.barriers()}
        self.assertIn(5, numbers)
        self.node.give(Barrier(BOOT, 5, 1), sender=NODE_2)
        self.assertEqual([read.entries for read in self.node.reads], [[get("k")]])

    def test_b32_a_late_barrier_serves_no_newer_read(self) -> None:
        """What a leader that stood still says at last, or a retry brings twice, is too old for later reads."""
        self.node.give(requests(1, get("a")))
        self.node.leader(3)
        self.node.give(requests(2, get("b")))
        self.assertEqual(self.node.barriers(), [(NODE_2, 1), (NODE_3, 1), (NODE_3, 2)])
        for _ in range(2):
            self.node.give(Barrier(BOOT, 1, 5), sender=NODE_2)
        self.assertEqual([(read.through, read.entries) for read in self.node.reads], [(5, [get("a")])])
        self.node.give(ReadResults(1, [b"old"]), Barrier(BOOT, 2, 9), sender=NODE_3)
        self.assertEqual([(read.through, read.entries) for read in self.node.reads][-1], (9, [get("b")]))

    def test_the_next_request_after_a_refusal(self) -> None:
        """A connection goes on as before: its next read waits for a barrier, its next write has the next number."""
        self.node.give(requests(1, put("a")))
        self.node.wait(TIMEOUT + TICK)
        self.assertEqual(self.node.words(), [(1, ["UNCERTAIN"])])
        self.node.batches()
        self.node.give(requests(1, get("a")))
        self.node.give(requests(1, put("a", "2")))
        self.assertEqual((self.node.barriers(), self.node.batches()), ([(NODE_2, 1)], []))
        self.node.give(Barrier(BOOT, 1, 4), ReadResults(1, [b"?"]))
        self.assertEqual(self.node.batches(), [(NODE_2, 2, [put("a", "2")])])

    def test_counted(self) -> None:
        """Operators see how many requests were refused, by the word that clients were told."""
        self.node.give(requests(1, put("a"), get("a")), requests(2, get("b")))
        self.node.wait(TIMEOUT + TICK)
        self.node.leader(0)
        self.node.give(requests(3, put("c")))
        self.node.wait(TIMEOUT + TICK)
        notes = [fields for event, fields in self.node.turn.measures if event == "refused"]
        refused = [(fields["reason"], fields["count"]) for fields in notes]
        self.assertEqual(refused, [("UNCERTAIN", 2), ("TRYAGAIN", 1), ("TRYAGAIN", 1)])

    def test_looked_at_often_enough(self) -> None:
        """What has waited too long is found within a twentieth of the timeout, and again and again."""
        self.node.give(requests(1, put("a")))
        looks = []
        for _ in range(3):
            looks.append(self.node.turn.timers["deadline"] - self.node.turn.now)
            self.node.wait(looks[-1])
        self.assertEqual([round(seconds, 6) for seconds in looks], [TIMEOUT / 20] * 3)

    def test_no_timer_when_idle(self) -> None:
        """A gateway with nothing to do sets no timers."""
        self.node.give(requests(1, put("a")), requests(2, get("a")))
        self.node.give(Barrier(BOOT, 1, 1), ReadResults(1, [b"v"]))
        self.node.applied(1, OK)
        self.node.wait(10.0)
        self.assertEqual(self.node.turn.timers, {})


class AtOnceTests(SynchronousTestCase):
    """Refusals that need no waiting."""

    def setUp(self) -> None:
        self.node = OneGateway()
        self.node.leader(0)

    def test_an_election_is_a_pause(self) -> None:
        """No leader, but a majority is heard: requests wait, however long that lasts already."""
        self.node.wait(60.0)
        self.node.give(requests(1, put("a")))
        self.assertEqual(self.node.words(), [])

    def test_quorum_just_lost(self) -> None:
        """Within the first timeout after losing the majority requests still wait: it may be back in a moment."""
        self.node.quorum(False)
        self.node.wait(TIMEOUT - 0.1)
        self.node.give(requests(1, put("a")))
        self.assertEqual(self.node.words(), [])
        self.node.quorum(True)
        self.node.leader(3)
        self.assertEqual(self.node.batches(), [(NODE_3, 1, [put("a")])])

    def test_quorum_long_lost(self) -> None:
        """After a whole timeout without one they are refused at once, local replies in their places."""
        self.node.quorum(False)
        self.node.wait(TIMEOUT + 0.1)
        self.node.give(requests(1, put("a"), PONG, get("a")))
        self.assertEqual(self.node.words(), [(1, ["CLUSTERDOWN", "", "CLUSTERDOWN"])])
        self.node.quorum(True)
        self.node.give(requests(1, put("a")))
        self.assertEqual(self.node.words(), [])

    def test_quorum_long_lost_beside_a_leader(self) -> None:
        """A follower that hears the leader and nobody else serves through it, and must not send its clients away."""
        self.node.quorum(False)
        self.node.wait(TIMEOUT + 0.1)
        self.node.leader(3)
        self.node.give(requests(1, put("a")))
        self.assertEqual(self.node.words(), [])
        self.node.leader(0)
        self.node.give(requests(2, put("b")))
        self.assertEqual(self.node.words(), [(2, ["CLUSTERDOWN"])])

    def test_not_behind_what_waits(self) -> None:
        """A connection that has something unanswered is not answered out of turn."""
        self.node.quorum(False)
        self.node.wait(TIMEOUT - 1.0)
        self.node.give(requests(1, put("a")))
        self.node.wait(2.0)
        self.node.give(requests(1, put("b")))
        self.node.give(requests(2, put("c")))
        self.assertEqual(self.node.words(), [(2, ["CLUSTERDOWN"])])
        self.node.wait(TIMEOUT)
        self.assertEqual(self.node.words()[0], (1, ["CLUSTERDOWN"]))


class GoneTests(SynchronousTestCase):
    """Connections that are closed before their answer."""

    def setUp(self) -> None:
        self.node = OneGateway()

    def test_in_every_state(self) -> None:
        """Nobody is answered in place of one who left, and its neighbours in a batch or a barrier are."""
        self.node.give(requests(1, put("a")), requests(2, put("b")), requests(3, get("c")), requests(4, get("d")))
        self.node.give(requests(5, get("e")))
        self.node.give(requests(5, put("e")))
        self.node.give(ClientGone(1), ClientGone(3), ClientGone(5), ClientGone(99))
        self.node.applied(1, "a", "b")
        self.node.give(Barrier(BOOT, 2, 1), sender=NODE_2)
        for read in self.node.reads:
            self.node.give(ReadResults(read.number, [key(entry) for entry in read.entries]))
        self.assertEqual(self.node.answers(), [(2, ["b"]), (4, [b"d"])])
        self.assertEqual([seq for _, seq, _ in self.node.batches()], [1])

    def test_at_the_learner(self) -> None:
        """One that leaves while its read is being evaluated is not answered."""
        self.node.give(requests(1, get("a")), requests(2, get("b")))
        self.node.give(Barrier(BOOT, 1, 1), sender=NODE_2)
        self.node.give(ClientGone(1))
        self.node.give(ReadResults(self.node.reads[0].number, [b"a", b"b"]))
        self.assertEqual(self.node.answers(), [(2, [b"b"])])

    def test_after_its_refusal(self) -> None:
        """One that leaves after it was told UNCERTAIN disturbs nothing."""
        self.node.give(requests(1, put("a")), requests(2, put("b")))
        self.node.wait(TIMEOUT + TICK)
        self.node.words()
        self.node.give(ClientGone(1))
        self.node.applied(1, OK, OK)
        self.assertEqual(self.node.answers(), [])

    def test_not_proposed_an_hour_later(self) -> None:
        """A write that never got a number is not proposed long after its timeout because its client has left:
        nothing but a number may outlive the request timeout."""
        self.node.leader(0)
        self.node.give(requests(1, put("a")))
        self.node.give(ClientGone(1))
        self.node.wait(3600.0)
        self.node.leader(3)
        self.assertEqual(self.node.batches(), [])

    def test_what_is_left_is_let_go(self) -> None:
        """Clients that connect, send and leave do not fill the memory of a node that has no leader: what was not
        proposed goes with them, for the client port no longer counts its bytes."""
        self.node.leader(0)
        for connection in range(50):
            self.node.give(requests(connection, get("a")))
            self.node.give(requests(connection, put("a")))
            self.node.give(ClientGone(connection))
            self.node.give(requests(100 + connection, put("b")), ClientGone(100 + connection))
        self.node.leader(3)
        self.assertEqual((self.node.batches(), self.node.barriers(), self.node.answers()), ([], [], []))
