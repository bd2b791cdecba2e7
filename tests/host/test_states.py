"""The generations of a node's state, as actors reach them: views, what is written beside, and the switch."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import GATEWAY, LEARNER, StateView, Turn
from dkv.events import StateWritten, WrittenBack
from dkv.keys import APPLIED_THROUGH, GENERATION, pack_number
from tests.host.one_host import PEER, OneHost, Store, apply, here, state_after


class GenerationTests(SynchronousTestCase):
    """A snapshot takes the place of the state."""

    def setUp(self) -> None:
        self.node = OneHost()
        self.generation = 0

    def begin(self, turn: Turn) -> None:
        """Write a small snapshot, of slot 9, into a new generation."""
        self.generation = turn.states.begin()
        turn.states.write(self.generation, {APPLIED_THROUGH: pack_number(9), b"S9": b"new"})

    def install(self, turn: Turn) -> None:
        """Put it in force."""
        turn.states.install(self.generation)
        turn.send(PEER, [turn.load(b"S9"), turn.load(b"S1"), [key for key, _ in turn.scan(b"S")]])

    def written(self) -> None:
        """The snapshot is on disk."""
        store = self.node.generations.beside(self.generation)
        store.complete()
        self.node.settle()

    def test_the_writer_hears_of_it(self) -> None:
        """The next piece is asked for when this one is on disk: the disk sets the pace."""
        self.node.do(GATEWAY, self.begin)
        self.assertEqual(self.node.deliveries, [])
        self.written()
        self.assertEqual(self.node.deliveries, [(here(GATEWAY), here(GATEWAY), StateWritten(self.generation))])

    def test_a_failure_of_the_new_one(self) -> None:
        """It is the same disk: the node ends."""
        self.node.do(GATEWAY, self.begin)
        store = self.node.generations.beside(self.generation)
        assert isinstance(store, Store)
        store.fail("no space left")
        self.assertEqual([reason for reason, _ in self.node.failures], ["the store failed"])

    def test_switch(self) -> None:
        """In the turn the new state is read, what was staged for the old one is gone, and who hears of it has it."""
        self.node.do(LEARNER, apply(1))
        self.node.do(GATEWAY, self.begin)
        self.written()
        self.node.take()
        self.node.do(LEARNER, self.install)
        self.assertEqual((self.node.take(), self.node.store.commits), ([], [{GENERATION: pack_number(2)}]))
        self.assertEqual(sorted(self.node.generations.stores), [1, 2])
        self.node.complete()
        self.assertEqual(self.node.take(), [[b"new", None, [b"S9"]]])
        self.assertEqual(sorted(self.node.generations.stores), [2])
        self.node.wait(5.0)
        self.assertEqual(self.node.state.commits, [{APPLIED_THROUGH: pack_number(9), b"S9": b"new"}])

    def test_a_write_back_of_the_old_state(self) -> None:
        """It may end after the switch, and counts for nothing: its slots are not those of the new state."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        old = self.node.state
        self.node.do(GATEWAY, self.begin)
        self.written()
        self.node.do(LEARNER, self.install)
        self.node.take()
        old.complete()
        self.node.settle()
        self.assertEqual(self.node.take(), [])
        self.node.complete()
        self.node.do(LEARNER, apply(10))
        self.node.wait(2.0)
        self.node.write_back()
        self.assertEqual(self.node.take()[-1:], [WrittenBack(10)])

    def test_abandoned(self) -> None:
        """A donor died: what it sent takes no room any more."""
        self.node.do(GATEWAY, self.begin)
        self.node.do(GATEWAY, lambda turn: turn.states.abandon(self.generation))
        self.assertEqual(sorted(self.node.generations.stores), [1])

    def test_numbers(self) -> None:
        """A number that was given before could name what an earlier transfer has left."""
        for _ in range(2):
            self.node.do(GATEWAY, self.begin)
        self.assertEqual(self.generation, 3)
        self.node.do(GATEWAY, lambda turn: turn.states.abandon(3), self.begin)
        self.assertEqual(self.generation, 4)

    def test_view(self) -> None:
        """What is sent to a peer is the state of one moment, with the mark that belongs to it; only what is on disk."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.write_back()
        self.node.do(LEARNER, apply(2))
        views: list[StateView] = []
        self.node.do(GATEWAY, lambda turn: views.append(turn.states.view()))
        self.node.wait(2.0)
        self.node.write_back()
        view = views[0]
        self.assertEqual((view.applied_through, dict(view.read(b"", 10_000))), (1, state_after(1)))
        self.assertEqual([key for key, _ in view.read(b"", 1)], [APPLIED_THROUGH])
        self.assertEqual([key for key, _ in view.read(APPLIED_THROUGH, 1)], [b"S1"])
        self.assertEqual(view.read(b"S1", 1), [])
        view.close()
