"""A view of the state as it is after one turn of an actor, while others go on writing."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ELECTOR, GATEWAY, LEARNER, StateView, Turn
from dkv.events import Captured, WrittenBack
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.storage.store import RecordCorrupt
from tests.host.one_host import OneHost, Script, apply, both, persist, state_after


class CaptureTests(SynchronousTestCase):
    """The gateway stands for the actor that wants a view, the learner for the one that knows when."""

    def setUp(self) -> None:
        self.node = OneHost()
        self.had: list[bool] = []

    def capture(self, role: str = GATEWAY) -> Script:
        """Ask for a view."""
        return lambda turn: self.had.append(turn.states.capture(role))

    def views(self) -> list[tuple[str, StateView]]:
        """The views that were handed out since the last look, and the actors that have them."""
        taken = [(to.role, message.view) for to, _, message in self.node.deliveries if isinstance(message, Captured)]
        self.node.deliveries.clear()
        return taken

    def contents(self) -> Any:
        """What is in the views."""
        return [(role, view.applied_through, dict(view.read(b"", 10_000))) for role, view in self.views()]

    def test_everything_is_on_disk(self) -> None:
        """An idle node has its state on disk: the view is there at once, and nothing is written for it."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.write_back()
        self.node.take()
        self.node.do(LEARNER, self.capture())
        self.assertEqual((self.contents(), self.had), ([(GATEWAY, 1, state_after(1))], [True]))
        self.assertEqual(len(self.node.state.commits), 1)

    def test_exactly_there(self) -> None:
        """Slots that are applied while the view is on its way are not in it, and do not wait for it."""
        self.node.do(LEARNER, apply(1), apply(2), both(apply(3), self.capture()), apply(4))
        self.assertEqual(self.node.state.commits, [state_after(3)])
        self.node.do(LEARNER, apply(5))
        self.assertEqual(self.views(), [])
        self.node.write_back()
        self.node.wait(2.0)
        self.node.write_back()
        views = self.views()
        self.assertEqual([(role, view.applied_through) for role, view in views], [(GATEWAY, 3)])
        self.assertEqual(dict(views[0][1].read(b"", 10_000)), state_after(3))
        self.assertEqual(dict(self.node.state.scan(b"")), state_after(5))

    def test_erased_after(self) -> None:
        """A key that a later slot erased is in the view still."""
        self.node.do(LEARNER, apply(1), both(apply(3), self.capture()), apply(4))
        self.node.write_back()
        self.node.wait(2.0)
        self.node.write_back()
        self.assertIn(b"S1", dict(self.views()[0][1].read(b"", 10_000)))
        self.assertNotIn(b"S1", dict(self.node.state.scan(b"")))

    def test_behind_the_log(self) -> None:
        """The state on disk is never ahead of the log on disk, also not for a view."""
        self.node.do(LEARNER, persist("R1"))
        self.node.do(LEARNER, both(persist("R2"), apply(2), self.capture()))
        self.node.complete()
        self.assertEqual(self.node.state.commits, [])
        self.node.complete()
        self.assertEqual(len(self.node.state.commits), 1)

    def test_while_a_write_back_is_under_way(self) -> None:
        """It waits for its turn. A second one has no room meanwhile, unless it is for the same moment."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.do(LEARNER, both(apply(2), self.capture(), self.capture(ELECTOR)), both(apply(3), self.capture()))
        self.assertEqual(self.had, [True, True, False])
        self.node.write_back()
        self.assertEqual(self.contents(), [])
        self.node.write_back()
        self.assertEqual([(role, through) for role, through, _ in self.contents()], [(GATEWAY, 2), (ELECTOR, 2)])

    def test_at_the_end_of_the_one_under_way(self) -> None:
        """Nothing was staged since it began: it ends at the right moment."""
        self.node.do(LEARNER, apply(1))
        self.node.wait(2.0)
        self.node.do(LEARNER, self.capture(), apply(2))
        self.node.write_back()
        self.assertEqual(self.contents(), [(GATEWAY, 1, state_after(1))])

    def test_another_state_in_force(self) -> None:
        """A snapshot took the place of the state: nobody gets a view of what it was."""

        def install(turn: Turn) -> None:
            generation = turn.states.begin()
            turn.states.write(generation, {APPLIED_THROUGH: pack_number(9)})
            turn.states.install(generation)

        self.node.do(LEARNER, both(apply(1), self.capture()))
        old = self.node.state
        self.node.do(LEARNER, both(apply(2), self.capture()))
        self.node.do(LEARNER, install)
        old.complete()
        self.node.settle()
        self.node.complete()
        self.node.wait(5.0)
        self.assertEqual([each for each in self.node.take() if isinstance(each, Captured | WrittenBack)], [])

    def test_damaged(self) -> None:
        """The mark of the state cannot be read: the node ends, as for any failure of a store, and hands nothing out."""

        def view() -> Any:
            raise RecordCorrupt("a flipped bit")

        self.node.do(LEARNER, both(apply(1), self.capture()))
        self.patch(self.node.state, "view", view)
        self.node.write_back()
        self.assertEqual(
            [(reason, str(error)) for reason, error in self.node.failures], [("the store failed", "a flipped bit")]
        )
        self.assertEqual([each for each in self.node.take() if isinstance(each, Captured | WrittenBack)], [])
