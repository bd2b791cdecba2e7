"""What is sent again after each fault, and what is concluded: one rule after the other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.answers import Reply
from dkv.client.blocking import NotSent
from dkv.client.errand import Errand
from dkv.client.errands import WINDOW, Errands
from dkv.client.failures import DkvError, Rejected, Unavailable, Unknown
from dkv.client.tokens import Tokens
from dkv.replies import Error
from tests.client.model_cluster import BARE, KEY, LOST, NODE, READ, WRITE, Job, ModelCluster, ModelConnection


class ErrandsTests(SynchronousTestCase):
    """One rule after the other."""

    def setUp(self) -> None:
        self.errands = Errands(Tokens())
        self.pipeline = object()

    def jobs(self, *kinds: str, alone: bool = False) -> list[Job]:
        jobs = [Job(number, kind, None if alone else self.pipeline) for number, kind in enumerate(kinds)]
        for job in jobs:
            self.errands.add(job.errand)
        return jobs

    def requests(self) -> list[list[bytes]]:
        """The requests that are sent now."""
        node = ModelConnection(ModelCluster(), lambda _: 0)
        node.receive(self.errands.to_send())
        return [*node.requests]

    def sent(self) -> list[bytes]:
        """The same, each by its last word."""
        return [words[-1] for words in self.requests()]

    def fences(self) -> list[list[bytes]]:
        """The requests that are sent now are empty transactions: what stands before each EXEC."""
        requests = self.requests()
        self.assertEqual(requests[::2], [[b"MULTI"]] * (len(requests) // 2))
        self.assertEqual({words[-1] for words in requests[1::2]}, {b"EXEC"})
        return [words[:-1] for words in requests[1::2]]

    def answer_fence(self, reply: Reply) -> None:
        """The answers to the next of them."""
        self.errands.answered("OK")
        self.errands.answered(reply)

    def trust(self) -> None:
        """Connect to a node that has answered something."""
        self.errands.connected(NODE)
        self.errands._trusted = True

    def test_a_new_connection_gets_one(self) -> None:
        """A node that loads its log would refuse all of them, one after the other."""
        self.jobs(WRITE, WRITE, READ)
        self.errands.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.assertEqual(self.sent(), [])
        self.errands.answered(1)
        self.assertEqual(self.sent(), [b"1", KEY])

    def test_the_same_token_again(self) -> None:
        """By another token the cluster would take the write for another one."""
        self.jobs(WRITE, alone=True)
        self.errands.connected(NODE)
        first = self.errands.to_send()
        self.assertIn(b"IDMP", first)
        self.errands.lost(LOST)
        self.errands.connected(NODE)
        self.assertEqual(self.errands.to_send(), first)
        self.errands.answered(Error("UNCERTAIN no decision"))
        self.assertTrue(self.errands.leaves)
        self.errands.lost(NotSent("left"))
        self.errands.connected(NODE)
        self.assertEqual(self.errands.to_send(), first)

    def test_fences(self) -> None:
        """Of two writes without an answer the second may have been executed alone: they are not just sent again."""
        first, second, read, third = self.jobs(WRITE, WRITE, READ, WRITE)
        self.trust()
        sent = [words[1:3] for words in self.requests()]
        self.errands.lost(LOST)
        self.trust()
        self.assertEqual([words[1:] for words in self.fences()], [sent[0], sent[1], sent[3]])
        self.answer_fence(Error("IDMPMISMATCH the first one was executed"))
        self.answer_fence([])
        self.assertEqual(self.requests(), [])
        self.answer_fence([])
        again = self.requests()
        self.assertEqual([words[-1] for words in again], [b"0", b"1", KEY, b"3"])
        self.assertEqual(again[0][1:3], sent[0], "its answer is asked for")
        self.assertNotIn(again[1][1:3], sent, "its token is used up")
        for reply in (1, 2, b"0 1", 3):
            self.errands.answered(reply)
        self.assertEqual([each.outcome for each in (first, second, read, third)], [1, 2, b"0 1", 3])

    def test_executed_behind_what_was_not(self) -> None:
        """The first may not be executed any more, nor may the read see what it does not show to come before it."""
        first, read, second = self.jobs(WRITE, READ, WRITE)
        self.trust()
        self.requests()
        self.errands.lost(LOST)
        self.trust()
        self.requests()
        self.answer_fence([])
        self.answer_fence(Error("IDMPMISMATCH it was executed"))
        self.assertIsInstance(first.outcome, Unavailable)
        self.assertIsInstance(read.outcome, Unavailable)
        self.assertEqual(self.sent(), [b"2"])
        self.errands.answered(1)
        self.assertEqual(second.outcome, 1)

    def test_a_fence_without_an_answer(self) -> None:
        """It is sent again; and if time is up first, nobody knows what became of the write."""
        (job,) = self.jobs(WRITE)
        self.trust()
        requests = 1
        for _ in range(3):
            self.assertEqual(len(self.requests()), requests)
            requests = 2
            self.errands.lost(LOST)
            self.trust()
        self.errands.expire(100.0)
        self.assertFalse(self.errands.busy and not self.errands.in_flight)
        self.errands.end(LOST)
        self.assertIsInstance(job.outcome, Unknown)

    def test_a_fence_that_was_uncertain_first(self) -> None:
        """What it is told at last is what counts: the write was executed, and its answer is there."""
        (job,) = self.jobs(WRITE)
        self.trust()
        sent = self.requests()
        self.errands.lost(LOST)
        for word in ("UNCERTAIN", "IDMPMISMATCH"):
            self.trust()
            self.assertEqual(len(self.fences()), 1)
            self.answer_fence(Error(word))
            self.errands.lost(NotSent("left"))
        self.trust()
        self.assertEqual(self.requests(), sent)
        self.errands.answered(7)
        self.assertEqual(job.outcome, 7)

    def test_floating_writes_of_several_callers(self) -> None:
        """They have no order, so one more round trip for each of them would be of no use."""
        self.jobs(WRITE, WRITE, WRITE, alone=True)
        self.trust()
        self.assertEqual(len(self.sent()), 3)
        self.errands.lost(LOST)
        self.trust()
        self.assertEqual(len(self.sent()), 3)

    def test_too_late(self) -> None:
        """The second was executed, so the first must not be, and nobody may believe that it was."""
        first, read, second = self.jobs(WRITE, READ, WRITE)
        self.trust()
        self.assertEqual(len(self.sent()), 3)
        self.errands.answered(Error("TRYAGAIN no leader"))
        self.errands.answered(b"7")
        self.assertEqual(read.outcomes, [])
        self.errands.answered(2)
        self.assertIsInstance(first.outcome, Unavailable)
        self.assertEqual((read.outcome, second.outcome), (b"7", 2))
        self.assertFalse(self.errands.busy)

    def test_reads_behind_a_refusal(self) -> None:
        """The read was answered without the effect of a write that comes later: it is asked again behind it."""
        write, read = self.jobs(WRITE, READ)
        self.trust()
        self.assertEqual(len(self.sent()), 2)
        self.errands.answered(Error("TRYAGAIN no leader"))
        self.errands.answered(b"")
        self.errands.lost(NotSent("left"))
        self.trust()
        self.assertEqual(self.sent(), [b"0", KEY])
        self.errands.answered(1)
        self.errands.answered(b"0")
        self.assertEqual((write.outcome, read.outcome), (1, b"0"))

    def test_not_sent_twice_without_a_token(self) -> None:
        """It may have been executed, and nobody would know it again."""
        (bare,) = self.jobs(BARE)
        self.errands.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.errands.lost(LOST)
        self.assertIsInstance(bare.outcome, Unknown)
        self.assertFalse(self.errands.busy)

    def test_refused_without_a_token(self) -> None:
        """It was certainly not executed, so it is sent again."""
        (bare,) = self.jobs(BARE)
        self.errands.connected(NODE)
        for _ in range(3):
            self.assertEqual(self.sent(), [b"0"])
            self.errands.answered(Error("LOADING soon"))
            self.errands.lost(NotSent("left"))
            self.errands.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])
        self.errands.answered(1)
        self.assertEqual(bare.outcome, 1)

    def test_rejected(self) -> None:
        """An error about the request ends it at once; the connection goes on."""
        (job,) = self.jobs(WRITE)
        self.errands.connected(NODE)
        self.sent()
        self.errands.answered(Error("ERR no"))
        assert isinstance(job.outcome, Rejected)
        self.assertEqual(job.outcome.word, "ERR")
        self.assertFalse(self.errands.leaves)

    def test_a_short_disk(self) -> None:
        """It will not pass within seconds, so the program hears of it at once; but what floats may be executed."""
        for floats, failure in ((False, Unavailable), (True, Unknown)):
            (job,) = self.jobs(WRITE)
            self.errands.connected(NODE)
            self.sent()
            if floats:
                self.errands.lost(LOST)
                self.errands.connected(NODE)
                self.sent()
                self.errands.answered("OK")
            self.errands.answered(Error("MISCONF disk"))
            self.assertIsInstance(job.outcome, failure)
            self.errands.lost(NotSent("left"))

    def test_a_token_that_others_have_used(self) -> None:
        """The write was not executed, so it is sent again as another producer's."""
        (job,) = self.jobs(WRITE)
        for word in ("IDMPMISMATCH", "IDMPOLD"):
            self.errands.connected(NODE)
            before = self.errands.to_send()
            self.errands.answered(Error(f"{word} no"))
            self.errands.lost(NotSent("left"))
            self.errands.connected(NODE)
            self.assertNotEqual(before.split(b"\r\n")[4], self.errands.to_send().split(b"\r\n")[4])
            self.errands.lost(NotSent("left"))
        self.errands.connected(NODE)
        self.sent()
        self.errands.answered(1)
        self.assertEqual(job.outcome, 1)

    def test_a_token_that_was_forgotten(self) -> None:
        """The first attempt may have been executed: nobody knows any more, and it must not be executed again."""
        (job,) = self.jobs(WRITE, alone=True)
        self.errands.connected(NODE)
        self.sent()
        self.errands.lost(LOST)
        self.errands.connected(NODE)
        self.sent()
        self.errands.answered(Error("IDMPOLD no"))
        self.assertIsInstance(job.outcome, Unknown)

    def test_no_room(self) -> None:
        """A node that is full says so before it reads anything: not even a write without a token was executed."""
        (bare,) = self.jobs(BARE)
        self.errands.connected(NODE)
        self.sent()
        self.errands.answered(Error("ERR max number of clients reached"))
        self.assertTrue(self.errands.leaves)
        self.assertEqual(bare.outcomes, [])
        self.errands.connected(NODE)
        self.assertEqual(self.sent(), [b"0"])

    def test_the_window(self) -> None:
        """More writes under way than a cluster remembers tokens of could not be sent again."""
        self.trust()
        self.jobs(*[WRITE] * (WINDOW + 10), alone=True)
        self.assertEqual(len(self.sent()), WINDOW)
        for number in range(WINDOW // 2):
            self.errands.answered(number)
        self.assertEqual(len(self.sent()), 10)

    def test_time_is_up(self) -> None:
        """Each ends in what is known of it."""
        unsent, floating, refused = (Job(number, WRITE, None) for number in range(3))
        for job, endings in ((floating, [LOST]), (refused, [NotSent("nobody listens")]), (unsent, [])):
            for ending in endings:
                job.errand.note(ending)
            self.errands.add(job.errand)
        self.errands.expire(99.0)
        self.assertTrue(self.errands.busy)
        self.errands.expire(100.0)
        self.assertFalse(self.errands.busy)
        self.assertIsInstance(floating.outcome, Unknown)
        self.assertEqual(str(refused.outcome), "nobody listens")
        self.assertEqual(str(unsent.outcome), "no node took the request in time")

    def test_bound_to_its_connection(self) -> None:
        """An EXEC on another connection would not know what is watched."""
        outcomes: list[Reply | DkvError] = []

        def bound() -> Errand:
            return Errand([(b"EXEC",)], 100.0, outcomes.append, bound=True)

        self.errands.add(bound())
        self.assertIsInstance(outcomes.pop(), Unavailable)
        self.errands.connected(NODE)
        self.errands.add(bound())
        self.errands.lost(NotSent("it hung up"))
        self.assertIsInstance(outcomes.pop(), Unavailable)
        self.errands.connected(NODE)
        self.errands.add(bound())
        self.errands.to_send()
        self.errands.lost(LOST)
        self.assertIsInstance(outcomes.pop(), Unknown)
        self.assertFalse(self.errands.busy)

    def test_cancelled(self) -> None:
        """Nobody waits for it: it is not sent again."""
        first, second = self.jobs(WRITE, WRITE, alone=True)
        self.errands.connected(NODE)
        self.sent()
        self.assertTrue(self.errands.remove(second.errand))
        self.assertFalse(self.errands.remove(first.errand))
        first.errand.cancelled = True
        self.errands.lost(LOST)
        self.assertFalse(self.errands.busy)


class TransactionTests(SynchronousTestCase):
    """Several requests of which the last one counts."""

    def concluded(self, *replies: Reply) -> Reply | DkvError:
        errands, outcomes = Errands(Tokens()), list[Reply | DkvError]()
        errands.add(Errand([(b"MULTI",), (b"SET", b"k", b"v"), (b"EXEC",)], 9.0, outcomes.append))
        errands.connected(NODE)
        self.assertIn(b"IDMP", errands.to_send().split(b"SET")[1])
        for reply in replies:
            errands.answered(reply)
        errands.end(NotSent("closed"))
        (outcome,) = outcomes
        return outcome

    def test_executed(self) -> None:
        """The replies are those of EXEC."""
        self.assertEqual(self.concluded("OK", "QUEUED", ["OK"]), ["OK"])

    def test_refused(self) -> None:
        """The reason is that of the request, not EXEC's own words."""
        outcome = self.concluded("OK", Error("ERR the key is too long"), Error("EXECABORT no"))
        self.assertEqual(repr(outcome), "Rejected('ERR the key is too long')")

    def test_a_watch_refused(self) -> None:
        """Its EXEC would be refused: the keys are watched and read again, on another connection."""
        errands, outcomes = Errands(Tokens()), list[Reply | DkvError]()
        errands.add(Errand([(b"WATCH", b"k"), (b"MGET", b"k")], 9.0, outcomes.append, harmless=True))
        errands.connected(NODE)
        errands.to_send()
        errands.answered(Error("TRYAGAIN no leader"))
        errands.answered([b"7"])
        self.assertTrue(errands.leaves and errands.busy)
        self.assertEqual(outcomes, [])

    def test_multi_refused(self) -> None:
        """What stood behind it was executed alone, perhaps: nobody may say that it was not."""
        refused = Error("LOADING soon"), Error("LOADING soon"), Error("LOADING soon")
        self.assertIsInstance(self.concluded(*refused), Unavailable)
        outcome = self.concluded(refused[0], "OK", Error("ERR EXEC without MULTI"))
        self.assertIsInstance(outcome, Unknown)
