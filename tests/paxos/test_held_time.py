"""The time that an acceptor holds: what passes counts, and what its wall clock shows hardly does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import HELD_TIME
from dkv.paxos.held_time import KEPT_MS, NUDGE, HeldTime
from dkv.records import STAMP_MAX
from tests.turns import FakeTurn

HOUR_MS = 3_600_000


class HeldTimeTests(SynchronousTestCase):
    """An Accept came when it was 50,000; the wall clock shows two hours more."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.turn.wall_ms = 50_000 + 2 * HOUR_MS
        self.time = HeldTime()
        self.time.start(self.turn)

    def accept(self, time: int, order: int = 1) -> None:
        self.time.follow(self.turn, order, time)

    def pass_ms(self, wall: int, monotonic: int | None = None) -> None:
        self.turn.wall_ms += wall
        self.turn.now += (wall if monotonic is None else monotonic) / 1000

    def restart(self) -> None:
        self.turn.now = 5.0
        self.time = HeldTime()
        self.time.start(self.turn)

    def test_the_wall_clock_at_first(self) -> None:
        """A new cluster has nothing else."""
        self.assertEqual(self.time.now(self.turn), self.turn.wall_ms)

    def test_goes_on(self) -> None:
        """A clock that is wrong by hours is as good as any for what passes; it pulls a little."""
        self.accept(50_000)
        self.assertEqual(self.time.now(self.turn), 50_000)
        self.pass_ms(1_000)
        self.assertEqual(self.time.now(self.turn), 51_000 + 1_000 * NUDGE)

    def test_a_right_clock_does_not_pull(self) -> None:
        self.turn.wall_ms = 50_000
        self.accept(50_000)
        self.pass_ms(1_000)
        self.assertEqual(self.time.now(self.turn), 51_000)

    def test_set_back_while_it_runs(self) -> None:
        """The monotonic clock goes on."""
        self.accept(50_000)
        self.pass_ms(-5 * HOUR_MS, 1_000)
        self.assertEqual(self.time.now(self.turn), 51_000 - 1_000 * NUDGE)

    def test_slept(self) -> None:
        """The monotonic clock stood still, and the wall clock says for how long."""
        self.accept(50_000)
        self.pass_ms(HOUR_MS, 0)
        self.assertEqual(self.time.now(self.turn), 50_000 + HOUR_MS * (1 + NUDGE))

    def test_restart(self) -> None:
        """What passes while the node is down counts, and a clock that was set back moves nothing."""
        self.accept(50_000)
        self.pass_ms(10_000)
        self.restart()
        self.assertEqual(self.time.now(self.turn), 60_000 + 10_000 * NUDGE)
        self.turn.wall_ms -= HOUR_MS
        self.assertEqual(self.time.now(self.turn), 50_000)

    def test_a_clock_that_was_not_set(self) -> None:
        """It leaps by years when it is set, also while the node is down: nothing of that has passed."""
        noon = 50 * 365 * 24 * HOUR_MS
        for restarted in (False, True):
            self.turn.wall_ms = 7_000
            self.accept(noon, 1 + restarted)
            self.pass_ms(1_000)
            self.assertEqual(self.time.now(self.turn), noon + 1_000 * (1 - NUDGE))
            self.turn.wall_ms = noon + HOUR_MS
            if restarted:
                self.restart()
            self.assertEqual(self.time.now(self.turn), noon + HOUR_MS)

    def test_the_time_is_years_ahead(self) -> None:
        """Most clocks were wrong once, and the time never falls. What passes counts all the same."""
        self.accept(self.turn.wall_ms + 50 * 365 * 24 * HOUR_MS)
        before = self.time.now(self.turn)
        self.pass_ms(HOUR_MS)
        self.restart()
        self.assertEqual(self.time.now(self.turn), before + HOUR_MS * (1 - NUDGE))

    def test_no_clock_shows_so_much(self) -> None:
        """But anything may stand in the log, and a message carries no more."""
        self.accept(STAMP_MAX)
        self.pass_ms(60_000)
        self.assertEqual(self.time.now(self.turn), STAMP_MAX)

    def test_a_little_old(self) -> None:
        """Each Accept is on its way for some time. Slot after slot that would add up."""
        self.accept(50_000)
        for _ in range(100):
            self.pass_ms(20)
            self.accept(self.time.now(self.turn) - KEPT_MS)
        self.assertGreater(self.time.now(self.turn), 51_990)

    def test_set_back(self) -> None:
        """What is set in a slot goes by the time of its proposer; and that is on disk with the vote."""
        self.accept(50_000)
        self.pass_ms(10_000)
        self.turn.take()
        self.accept(50_500, 2)
        self.assertEqual(self.time.now(self.turn), 50_500)
        self.assertIn(HELD_TIME, self.turn.persisted)
        self.restart()
        self.assertEqual(self.time.now(self.turn), 50_500)

    def test_an_accept_that_waited(self) -> None:
        """The process stood still, and the Accept was in the socket meanwhile: nothing was set back by anybody."""
        self.turn.wall_ms = 50_000
        self.accept(50_000)
        self.pass_ms(15_000)
        self.turn.woke_at = self.turn.now
        self.accept(50_001)
        self.assertEqual(self.time.now(self.turn), 65_000)
        self.pass_ms(1_100)
        self.accept(50_002)  # this one is new
        self.assertEqual(self.time.now(self.turn), 50_002)

    def test_late(self) -> None:
        """An Accept that was overtaken says nothing about now."""
        self.accept(60_000, 2)
        self.accept(50_000, 2)
        self.accept(40_000, 1)
        self.assertEqual(self.time.now(self.turn), 60_000)

    def test_on_disk_now_and_then(self) -> None:
        """Once a second is enough, as it only has to survive restarts."""
        self.turn.wall_ms = 50_000
        writes = 0
        for number in range(100):
            self.turn.take()
            self.pass_ms(100)
            self.accept(50_000 + 100 * number)
            writes += HELD_TIME in self.turn.persisted
        self.assertEqual(writes, 10)

    @given(st.lists(st.tuples(st.integers(-HOUR_MS, HOUR_MS), st.integers(0, 60_000)), max_size=20))
    def test_never_slower_than_what_passes(self, steps: list[tuple[int, int]]) -> None:
        """Whatever the wall clock does, the monotonic one counts."""
        self.setUp()
        self.accept(50_000)
        before, passed = 50_000, 0
        for wall, monotonic in steps:
            self.pass_ms(wall, monotonic)
            passed += monotonic
            self.assertGreaterEqual(self.time.now(self.turn), before + int(passed * (1 - NUDGE)) - 1)
