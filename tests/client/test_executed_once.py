"""Errands through every fault: executed once, in their order, and what is concluded of each is true."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import NotSent
from dkv.client.errands import Errands
from dkv.client.failures import NotApplied, Unknown
from dkv.client.tokens import Tokens
from tests.client.model_cluster import BARE, LOST, NODE, READ, WRITE, Job, ModelCluster, ModelConnection


class ModelTests(SynchronousTestCase):
    """A errands against the model of a cluster."""

    def run_through(self, kinds: list[tuple[str, int]], chance: Random) -> tuple[list[Job], ModelCluster]:
        """Let the model do as ``chance`` has it with jobs; those with the same number are a pipeline, 0 means none."""
        pipelines = [None, object(), object()]
        jobs = [Job(number, kind, pipelines[group]) for number, (kind, group) in enumerate(kinds)]
        cluster, errands = ModelCluster(), Errands(Tokens())
        draw = chance.randrange
        connections = [ModelConnection(cluster, draw)]
        waiting = list(jobs)
        errands.connected(NODE)
        for _ in range(12 * len(jobs)):
            here = connections[-1]
            if waiting and draw(3):
                errands.add(waiting.pop(0).errand)
            here.receive(errands.to_send())
            what = draw(10)
            if what == 0:
                here.cut()
                errands.lost(LOST)
            elif what == 1 and any(each.floating for each in connections):
                next(each for each in connections if each.floating).land()
            elif what < 6 and here.replies:
                errands.answered(here.replies.popleft())
            elif here.has_requests:
                here.serve()
            if errands.leaves and not errands.in_flight:
                errands.lost(NotSent("it does not serve"))
            if errands.endpoint is None:
                connections.append(ModelConnection(cluster, draw))
                errands.connected(NODE)
        for job in waiting:
            errands.add(job.errand)
        errands.end(LOST if errands.in_flight else NotSent("closed"))
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
                if not earlier.is_done or not (later.is_done or later.number in cluster.applied):
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
