"""The host writes applied state back lazily and whole, behind the log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, LEARNER
from dkv.events import WrittenBack
from dkv.keys import APPLIED_THROUGH, pack_number, unpack_number
from dkv.settings import Limits
from tests.host.one_host import OneHost, apply, persist, stage, state_after


class WriteBackTests(SynchronousTestCase):
    """Staged writes."""

    def setUp(self) -> None:
        self.node = OneHost()

    def test_holds_nothing_back(self) -> None:
        """Applied state can be had from the log again, so no answer waits for it, and no commit is made for it."""
        self.node.do(LEARNER, apply(1), apply(2))
        self.assertEqual(self.node.take(), [1, 2])
        self.assertEqual((self.node.store.commits, self.node.state.commits), ([], []))

    def test_not_in_every_commit(self) -> None:
        """A commit within the second leaves staged state alone: writing it each time halves throughput."""
        self.node.do(LEARNER, apply(1))
        self.node.do(ACCEPTOR, persist("R1"))
        self.node.complete()
        self.assertEqual((self.node.store.commits, self.node.state.commits), ([{b"R1": b"v"}], []))

    def test_written_back_by_itself(self) -> None:
        """Without another write it is on its way after ``write_back_seconds``, once: a restart need not replay."""
        self.node.do(LEARNER, apply(1), apply(2))
        self.node.wait(self.node.timings.write_back_seconds - 0.001)
        self.assertEqual(self.node.state.commits, [])
        self.node.wait(0.002)
        self.assertEqual((self.node.store.commits, self.node.state.commits), ([], [state_after(2)]))
        self.node.write_back()
        self.node.wait(10.0)
        self.assertEqual(len(self.node.state.commits), 1)

    def test_the_learner_hears_of_it(self) -> None:
        """The log may be cut where the state is on disk, and nowhere else."""
        self.node.do(LEARNER, apply(1), apply(2))
        self.node.wait(2.0)
        self.node.do(LEARNER, apply(3))
        self.node.take()
        self.node.write_back()
        self.assertEqual(self.node.take(), [WrittenBack(2)])

    def test_behind_the_log(self) -> None:
        """A state ahead of the log on disk would be of slots that this node cannot give to others."""
        self.node.do(ACCEPTOR, persist("R1"))
        self.node.do(LEARNER, apply(1))
        self.node.do(ACCEPTOR, persist("R2"))
        self.node.do(LEARNER, apply(2))
        self.node.wait(2.0)
        self.node.complete()  # what was persisted while it was under way begins, and the write-back with it
        self.assertEqual((self.node.store.commits[1:], self.node.state.commits), ([{b"R2": b"v"}], []))
        self.node.do(LEARNER, apply(3))
        self.node.complete()
        self.assertEqual(self.node.state.commits, [state_after(2)])

    def test_one_at_a_time(self) -> None:
        """A slow disk: what is staged meanwhile waits for the next, and votes do not wait at all."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.do(LEARNER, apply(2))
        self.node.do(ACCEPTOR, persist("R1"))
        self.node.wait(5.0)
        self.node.complete()
        self.assertEqual(len(self.node.state.commits), 1)
        self.node.write_back()
        self.node.wait(0.1)
        self.assertEqual(len(self.node.state.commits), 2)
        self.node.write_back()
        self.assertEqual(dict(self.node.state.scan(b"")), state_after(2))

    def test_a_failure_ends_the_node(self) -> None:
        """What was not written back may be half there, as for any commit."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.state.fail("no space left")
        self.assertEqual([reason for reason, _ in self.node.failures], ["the store failed"])

    def test_a_slow_write_back_stops_reading(self) -> None:
        """Memory is bounded also where the log's writes are small and the state's are not."""
        node = OneHost(limits=Limits(write_back_bytes_max=10_000, undurable_bytes_max=50_000, window_bytes_max=10_000))
        node.do(LEARNER, stage("S1", bytes(20_000)))
        self.assertEqual((len(node.state.commits), node.network.paused), (1, []))
        node.do(LEARNER, stage("S2", bytes(40_000)))
        self.assertEqual(node.network.paused, [True])
        node.write_back()
        node.wait(0.1)
        node.write_back()
        self.assertEqual(node.network.paused, [True, False])

    def test_about_every_second(self) -> None:
        """Under steady load of one commit per 10 ms it is written about once a second."""
        for slot in range(1, 501):
            self.node.do(LEARNER, apply(slot))
            self.node.do(ACCEPTOR, persist(f"R{slot}"))
            while self.node.store.committing:
                self.node.complete()
            if self.node.state.committing:
                self.node.write_back()
            self.node.wait(0.01)
        self.assertTrue(4 <= len(self.node.state.commits) <= 6, len(self.node.state.commits))

    def test_the_logs_own(self) -> None:
        """A mark of the log that is in no hurry goes with the log's commit that begins a write-back."""
        self.node.do(ACCEPTOR, stage("C", b"1"))
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.assertEqual((self.node.store.commits, self.node.state.commits), ([{b"C": b"1"}], []))
        self.node.complete()
        self.assertEqual(self.node.state.commits, [state_after(1)])

    def test_by_size(self) -> None:
        """Beyond ``write_back_bytes_max`` it does not wait: memory stays bounded under load."""
        node = OneHost(limits=Limits(write_back_bytes_max=10_000))
        node.do(LEARNER, stage("S", bytes(5_000)))
        self.assertEqual(node.state.commits, [])
        node.do(LEARNER, stage("T", bytes(5_000)))
        self.assertEqual([sorted(commit) for commit in node.state.commits], [[b"S", b"T"]])

    def test_while_a_commit_is_under_way(self) -> None:
        """Its moment passes during a slow commit: it is written when that has ended."""
        self.node.do(ACCEPTOR, persist("R1"))
        self.node.do(LEARNER, apply(1))
        self.node.wait(3.0)
        self.assertEqual((len(self.node.store.commits), self.node.state.commits), (1, []))
        self.node.complete()
        self.assertEqual(self.node.state.commits, [state_after(1)])

    @given(st.lists(st.sampled_from(["apply", "vote", "complete", "back", "wait", "long", "crash"]), max_size=40))
    def test_b11_b29_whole_turns(self, steps: list[str]) -> None:
        """B11, B29: at any crash the disk holds exactly the state that its own applied mark claims: a mark ahead
        of the data loses writes, data ahead of the mark is applied a second time. And the log holds those slots."""
        node, slot = OneHost(limits=Limits(write_back_bytes_max=1_000)), 0
        for step in steps:
            if step == "apply":
                slot += 1
                node.do(ACCEPTOR, persist("P", pack_number(slot)))
                node.do(LEARNER, apply(slot))
            elif step == "vote":
                node.do(ACCEPTOR, persist("R"))
            elif step == "complete" and node.store.committing:
                node.complete()
            elif step == "back" and node.state.committing:
                node.write_back()
            elif step == "wait":
                node.wait(0.4)
            elif step == "long":
                node.wait(1.5)
            elif step == "crash":
                node.host.stop()
                node.store.crash()
                node.generations.crash()
                node = OneHost(node.store, limits=Limits(write_back_bytes_max=1_000), generations=node.generations)
                slot = unpack_number(node.state.get(APPLIED_THROUGH))
            on_disk = dict(node.state.scan(b""))
            applied_through = unpack_number(on_disk.get(APPLIED_THROUGH))
            self.assertEqual(on_disk, state_after(applied_through))
            self.assertGreaterEqual(unpack_number(node.store.get(b"P")), applied_through)
