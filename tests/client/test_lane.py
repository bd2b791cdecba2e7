"""Errands through every fault: executed once, in their order, and what is concluded of each is true."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.answers import Reply
from dkv.client.blocking import Endpoint, NoAnswer, NotSent
from dkv.client.errand import Errand
from dkv.client.failures import DkvError, NotApplied, Rejected, Unavailable, Unknown
from dkv.client.lane import WINDOW, Lane
from dkv.client.tokens import Tokens
from dkv.replies import Error
from tests.client.model_cluster import KEY, ModelCluster, ModelConnection

NODE = Endpoint("node", 1)
READ, WRITE, BARE = "read", "write", "bare"
LOST = NoAnswer("no answer from node: it closed the connection")


class Job:
    """A request of the test, and what became of it."""

    def __init__(self, number: int, kind: str, pipeline: object) -> None:
        self.number = b"%d" % number
        self.kind = kind
        self.pipeline = pipeline
        self.outcomes: list[Reply | DkvError] = []
        words = {READ: (b"GET", KEY), WRITE: (b"APPEND", KEY, self.number), BARE: (b"SADD", KEY, self.number)}[kind]
        self.errand = Errand([words], 100.0, self.outcomes.append, pipeline=pipeline)

    @property
    def outcome(self) -> Reply | DkvError:
        (outcome,) = self.outcomes
        return outcome

    @property
    def is_done(self) -> bool:
        """Whether there is a reply."""
        return not isinstance(self.outcome, DkvError)


class ModelTests(SynchronousTestCase):
    """A lane against the model of a cluster."""

    def run_through(self, kinds: list[tuple[str, int]], chance: Random) -> tuple[list[Job], ModelCluster]:
        """Let the model do as ``chance`` has it with jobs; those with the same number are a pipeline, 0 means none."""
        pipelines = [None, object(), object()]
        jobs = [Job(number, kind, pipelines[group]) for number, (kind, group) in enumerate(kinds)]
        cluster, lane = ModelCluster(), Lane(Tokens())
        draw = chance.randrange
        connections = [ModelConnection(cluster, draw)]
        waiting = list(jobs)
        lane.connected(NODE)
        for _ in range(12 * len(jobs)):
            here = connections[-1]
            if waiting and draw(3):
                lane.add(waiting.pop(0).errand)
            here.receive(lane.to_send())
            what = draw(10)
            if what == 0:
                here.cut()
                lane.lost(LOST)
            elif what == 1 and any(each.floating for each in connections):
                next(each for each in connections if each.floating).land()
            elif what < 6 and here.replies:
                lane.answered(here.replies.popleft())
            elif here.has_requests:
                here.serve()
            if lane.leaves and not lane.in_flight:
                lane.lost(NotSent("it does not serve"))
            if lane.endpoint is None:
                connections.append(ModelConnection(cluster, draw))
                lane.connected(NODE)
        for job in waiting:
            lane.add(job.errand)
        lane.end(LOST if lane.in_flight else NotSent("closed"))
        connections[-1].cut()
        for each in connections:
            while each.floating:
                each.land()
        return jobs, cluster

    @settings(max_examples=1500, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from((READ, WRITE, WRITE, BARE)), st.integers(0, 2)), max_size=7),
        st.integers(0, 2**32),
    )
    def test_whatever_happens(self, kinds: list[tuple[str, int]], seed: int) -> None:
        """A user would count twice, or be told that a write was not done which was."""
        jobs, cluster = self.run_through(kinds, Random(seed))
        self.assertEqual(len(cluster.applied), len(set(cluster.applied)), "a write was executed twice")
        for job in jobs:
            if job.kind == READ:
                self.assertFalse(isinstance(job.outcome, Unknown))
            elif job.is_done:
                assert isinstance(job.outcome, int)
                self.assertEqual(cluster.applied[job.outcome - 1], job.number)
            elif isinstance(job.outcome, NotApplied):
                self.assertNotIn(job.number, cluster.applied)
            else:
                self.assertIsInstance(job.outcome, Unknown)
        self._check_order(jobs, cluster)

    def _check_order(self, jobs: list[Job], cluster: ModelCluster) -> None:
        """In a pipeline, what comes first takes effect first, and reads see what is before them and nothing behind."""
        for place, later in enumerate(jobs):
            for earlier in jobs[:place]:
                if later.pipeline is None or earlier.pipeline is not later.pipeline:
                    continue
                if not (earlier.is_done and later.is_done):
                    continue
                if READ not in (earlier.kind, later.kind):
                    at = [cluster.applied.index(each.number) for each in (earlier, later)]
                    self.assertEqual(at, sorted(at), "a write overtook one before it")
                elif later.kind == READ and earlier.kind != READ:
                    self.assertIn(earlier.number, self._seen(later), "a read missed a write before it")
                elif earlier.kind == READ and later.kind != READ:
                    self.assertNotIn(later.number, self._seen(earlier), "a read saw a write behind it")

    def _seen(self, job: Job) -> list[bytes]:
        assert isinstance(job.outcome, bytes)
        return job.outcome.split()


class LaneTests(SynchronousTestCase):
    """One rule after the other."""

    def setUp(self) -> None:
        self.lane = Lane(Tokens())
        self.pipeline = object()

    def jobs(self, *kinds: str, alone: bool = False) -> list[Job]:
        jobs = [Job(number, kind, None if alone else self.pipeline) for number, kind in enumerate(kinds)]
        for job in jobs:
            self.lane.add(job.errand)
        return jobs

    def requests(self) -> list[list[bytes]]:
        """The requests that are sent now."""
        node = ModelConnection(ModelCluster(), lambda _: 0)
        node.receive(self.lane.to_send())
        return [*node.requests]

    def sent(self) -> list[bytes]:
        """The same, each by its last word."""
        return [words[-1] for words in self.requests()]

    def trust(self) -> None:
        """Connect to a node that has answered something."""
        self.lane.connected(NODE)
        self.lane._trusted = True

    def test_a_new_connection_gets_one(self) -> None:
        """A node that loads its log would refuse all of them, one after the other."""
        self.jobs(WRITE, WRITE, READ)
        self.lane.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.assertEqual(self.sent(), [])
        self.lane.answered(1)
        self.assertEqual(self.sent(), [b"1", KEY])

    def test_the_same_token_again(self) -> None:
        """By another token the cluster would take the write for another one."""
        self.jobs(WRITE, alone=True)
        self.lane.connected(NODE)
        first = self.lane.to_send()
        self.assertIn(b"IDMP", first)
        self.lane.lost(LOST)
        self.lane.connected(NODE)
        self.assertEqual(self.lane.to_send(), first)
        self.lane.answered(Error("UNCERTAIN no decision"))
        self.assertTrue(self.lane.leaves)
        self.lane.lost(NotSent("left"))
        self.lane.connected(NODE)
        self.assertEqual(self.lane.to_send(), first)

    def test_fences(self) -> None:
        """Of two writes without an answer the second may have been executed alone: they are not just sent again."""
        first, second, read, third = self.jobs(WRITE, WRITE, READ, WRITE)
        self.trust()
        sent = [words[1:3] for words in self.requests()]
        self.lane.lost(LOST)
        self.trust()
        fences = self.requests()
        self.assertEqual([words[1:3] for words in fences], [sent[0], sent[1], sent[3]])
        self.assertEqual({words[3] for words in fences}, {b"DEL"})
        self.lane.answered(Error("IDMPMISMATCH the first one was executed"))
        self.lane.answered(0)
        self.assertEqual(self.requests(), [])
        self.lane.answered(0)
        again = self.requests()
        self.assertEqual([words[-1] for words in again], [b"0", b"1", KEY, b"3"])
        self.assertEqual(again[0][1:3], sent[0], "its answer is asked for")
        self.assertNotIn(again[1][1:3], sent, "its token is used up")
        for reply in (1, 2, b"0 1", 3):
            self.lane.answered(reply)
        self.assertEqual([each.outcome for each in (first, second, read, third)], [1, 2, b"0 1", 3])

    def test_executed_behind_what_was_not(self) -> None:
        """The first may not be executed any more, nor may the read see what it does not show to come before it."""
        first, read, second = self.jobs(WRITE, READ, WRITE)
        self.trust()
        self.requests()
        self.lane.lost(LOST)
        self.trust()
        self.requests()
        self.lane.answered(0)
        self.lane.answered(Error("IDMPMISMATCH it was executed"))
        self.assertIsInstance(first.outcome, Unavailable)
        self.assertIsInstance(read.outcome, Unavailable)
        self.assertEqual(self.sent(), [b"2"])
        self.lane.answered(1)
        self.assertEqual(second.outcome, 1)

    def test_a_fence_without_an_answer(self) -> None:
        """It is sent again; and if time is up first, nobody knows what became of the write."""
        (job,) = self.jobs(WRITE)
        self.trust()
        for _ in range(3):
            self.assertEqual(len(self.requests()), 1)
            self.lane.lost(LOST)
            self.trust()
        self.lane.expire(100.0)
        self.assertFalse(self.lane.busy and not self.lane.in_flight)
        self.lane.end(LOST)
        self.assertIsInstance(job.outcome, Unknown)

    def test_floating_writes_of_several_callers(self) -> None:
        """They have no order, so one more round trip for each of them would be of no use."""
        self.jobs(WRITE, WRITE, WRITE, alone=True)
        self.trust()
        self.assertEqual(len(self.sent()), 3)
        self.lane.lost(LOST)
        self.trust()
        self.assertEqual(len(self.sent()), 3)

    def test_too_late(self) -> None:
        """The second was executed, so the first must not be, and nobody may believe that it was."""
        first, read, second = self.jobs(WRITE, READ, WRITE)
        self.trust()
        self.assertEqual(len(self.sent()), 3)
        self.lane.answered(Error("TRYAGAIN no leader"))
        self.lane.answered(b"7")
        self.assertEqual(read.outcomes, [])
        self.lane.answered(2)
        self.assertIsInstance(first.outcome, Unavailable)
        self.assertEqual((read.outcome, second.outcome), (b"7", 2))
        self.assertFalse(self.lane.busy)

    def test_reads_behind_a_refusal(self) -> None:
        """The read was answered without the effect of a write that comes later: it is asked again behind it."""
        write, read = self.jobs(WRITE, READ)
        self.trust()
        self.assertEqual(len(self.sent()), 2)
        self.lane.answered(Error("TRYAGAIN no leader"))
        self.lane.answered(b"")
        self.lane.lost(NotSent("left"))
        self.trust()
        self.assertEqual(self.sent(), [b"0", KEY])
        self.lane.answered(1)
        self.lane.answered(b"0")
        self.assertEqual((write.outcome, read.outcome), (1, b"0"))

    def test_not_sent_twice_without_a_token(self) -> None:
        """It may have been executed, and nobody would know it again."""
        (bare,) = self.jobs(BARE)
        self.lane.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.lane.lost(LOST)
        self.assertIsInstance(bare.outcome, Unknown)
        self.assertFalse(self.lane.busy)

    def test_refused_without_a_token(self) -> None:
        """It was certainly not executed, so it is sent again."""
        (bare,) = self.jobs(BARE)
        self.lane.connected(NODE)
        for _ in range(3):
            self.assertEqual(self.sent(), [b"0"])
            self.lane.answered(Error("LOADING soon"))
            self.lane.lost(NotSent("left"))
            self.lane.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.lane.answered(1)
        self.assertEqual(bare.outcome, 1)

    def test_rejected(self) -> None:
        """An error about the request ends it at once; the connection goes on."""
        (job,) = self.jobs(WRITE)
        self.lane.connected(NODE)
        self.sent()
        self.lane.answered(Error("ERR no"))
        assert isinstance(job.outcome, Rejected)
        self.assertEqual(job.outcome.word, "ERR")
        self.assertFalse(self.lane.leaves)

    def test_a_short_disk(self) -> None:
        """It will not pass within seconds, so the program hears of it at once; but what floats may be executed."""
        for floats, failure in ((False, Unavailable), (True, Unknown)):
            (job,) = self.jobs(WRITE)
            self.lane.connected(NODE)
            self.sent()
            if floats:
                self.lane.lost(LOST)
                self.lane.connected(NODE)
                self.sent()
            self.lane.answered(Error("MISCONF disk"))
            self.assertIsInstance(job.outcome, failure)
            self.lane.lost(NotSent("left"))

    def test_a_token_that_others_have_used(self) -> None:
        """The write was not executed, so it is sent again as another producer's."""
        (job,) = self.jobs(WRITE)
        for word in ("IDMPMISMATCH", "IDMPOLD"):
            self.lane.connected(NODE)
            before = self.lane.to_send()
            self.lane.answered(Error(f"{word} no"))
            self.lane.lost(NotSent("left"))
            self.lane.connected(NODE)
            self.assertNotEqual(before.split(b"\r\n")[4], self.lane.to_send().split(b"\r\n")[4])
            self.lane.lost(NotSent("left"))
        self.lane.connected(NODE)
        self.sent()
        self.lane.answered(1)
        self.assertEqual(job.outcome, 1)

    def test_a_token_that_was_forgotten(self) -> None:
        """The first attempt may have been executed: nobody knows any more."""
        (job,) = self.jobs(WRITE)
        self.lane.connected(NODE)
        self.sent()
        self.lane.lost(LOST)
        self.lane.connected(NODE)
        self.sent()
        self.lane.answered(Error("IDMPOLD no"))
        self.assertIsInstance(job.outcome, Unknown)

    def test_no_room(self) -> None:
        """A node that is full says so before it reads anything: not even a write without a token was executed."""
        (bare,) = self.jobs(BARE)
        self.lane.connected(NODE)
        self.sent()
        self.lane.answered(Error("ERR max number of clients reached"))
        self.assertTrue(self.lane.leaves)
        self.assertEqual(bare.outcomes, [])
        self.lane.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])

    def test_the_window(self) -> None:
        """More writes under way than a cluster remembers tokens of could not be sent again."""
        self.trust()
        self.jobs(*[WRITE] * (WINDOW + 10), alone=True)
        self.assertEqual(len(self.sent()), WINDOW)
        for number in range(WINDOW // 2):
            self.lane.answered(number)
        self.assertEqual(len(self.sent()), 10)

    def test_time_is_up(self) -> None:
        """Each ends in what is known of it."""
        unsent, floating, refused = (Job(number, WRITE, None) for number in range(3))
        for job, endings in ((floating, [LOST]), (refused, [NotSent("nobody listens")]), (unsent, [])):
            for ending in endings:
                job.errand.note(ending)
            self.lane.add(job.errand)
        self.lane.expire(99.0)
        self.assertTrue(self.lane.busy)
        self.lane.expire(100.0)
        self.assertFalse(self.lane.busy)
        self.assertIsInstance(floating.outcome, Unknown)
        self.assertEqual(str(refused.outcome), "nobody listens")
        self.assertEqual(str(unsent.outcome), "no node took the request in time")

    def test_bound_to_its_connection(self) -> None:
        """An EXEC on another connection would not know what is watched."""
        outcomes: list[Reply | DkvError] = []

        def bound() -> Errand:
            return Errand([(b"EXEC",)], 100.0, outcomes.append, bound=True)

        self.lane.add(bound())
        self.assertIsInstance(outcomes.pop(), Unavailable)
        self.lane.connected(NODE)
        self.lane.add(bound())
        self.lane.lost(NotSent("it hung up"))
        self.assertIsInstance(outcomes.pop(), Unavailable)
        self.lane.connected(NODE)
        self.lane.add(bound())
        self.lane.to_send()
        self.lane.lost(LOST)
        self.assertIsInstance(outcomes.pop(), Unknown)
        self.assertFalse(self.lane.busy)

    def test_cancelled(self) -> None:
        """Nobody waits for it: it is not sent again."""
        first, second = self.jobs(WRITE, WRITE, alone=True)
        self.lane.connected(NODE)
        self.sent()
        self.assertTrue(self.lane.remove(second.errand))
        self.assertFalse(self.lane.remove(first.errand))
        first.errand.cancelled = True
        self.lane.lost(LOST)
        self.assertFalse(self.lane.busy)


class TransactionTests(SynchronousTestCase):
    """Several requests of which the last one counts."""

    def concluded(self, *replies: Reply) -> Reply | DkvError:
        lane, outcomes = Lane(Tokens()), list[Reply | DkvError]()
        lane.add(Errand([(b"MULTI",), (b"SET", b"k", b"v"), (b"EXEC",)], 9.0, outcomes.append))
        lane.connected(NODE)
        self.assertIn(b"IDMP", lane.to_send().split(b"SET")[1])
        for reply in replies:
            lane.answered(reply)
        lane.end(NotSent("closed"))
        (outcome,) = outcomes
        return outcome

    def test_executed(self) -> None:
        """The replies are those of EXEC."""
        self.assertEqual(self.concluded("OK", "QUEUED", ["OK"]), ["OK"])

    def test_refused(self) -> None:
        """The reason is that of the request, not EXEC's own words."""
        outcome = self.concluded("OK", Error("ERR the key is too long"), Error("EXECABORT no"))
        self.assertEqual(repr(outcome), "Rejected('ERR the key is too long')")

    def test_multi_refused(self) -> None:
        """What stood behind it was executed alone, perhaps: nobody may say that it was not."""
        refused = Error("LOADING soon"), Error("LOADING soon"), Error("LOADING soon")
        self.assertIsInstance(self.concluded(*refused), Unavailable)
        outcome = self.concluded(refused[0], "OK", Error("ERR EXEC without MULTI"))
        self.assertIsInstance(outcome, Unknown)
