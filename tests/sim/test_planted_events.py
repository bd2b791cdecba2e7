"""The simulator finds the bugs of keyspace notifications within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import HuntTestCase
from tests.sim.planted_events import EVENT_PLANTS


class PlantedEventsTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, name: str, modes: tuple[str, ...] = (LEADER, CLASSIC)) -> None:
        """The bug is found in each mode."""
        for mode in modes:
            self.check_found(name, EVENT_PLANTS[name], ("I13",), mode)

    def test_repeats_are_told(self) -> None:
        """A program that counts events counts a write twice which happened once."""
        self.check("repeats_are_told")

    def test_undone_events_stay(self) -> None:
        """A program that hears of a change which never was."""
        self.check("undone_events_stay")

    def test_expired_is_told_twice(self) -> None:
        """A job that is started by the end of a key runs twice."""
        self.check("expired_is_told_twice")

    def test_eraser_tells_nothing(self) -> None:
        """A job that is started by the end of a key never runs."""
        self.check("eraser_tells_nothing")

    def test_touched_keys_never_expire(self) -> None:
        """The same where the key is written again at once."""
        self.check("touched_keys_never_expire")

    def test_events_where_the_client_waits(self) -> None:
        """A subscriber of another node that hears of nothing."""
        self.check("events_where_the_client_waits")

    def test_events_of_earlier_lives(self) -> None:
        """A subscriber that came after a restart hears what happened long before."""
        self.check("events_of_earlier_lives")

    def test_setting_is_not_loaded(self) -> None:
        """A subscriber of a node that was restarted hears nothing any more."""
        self.check("setting_is_not_loaded")
