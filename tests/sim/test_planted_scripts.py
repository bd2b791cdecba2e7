"""The simulator finds the bugs of scripts within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import RESULTS, HuntTestCase
from tests.sim.planted_scripts import SCRIPT_PLANTS

STATE = "follows from the log"
"""What is said of a disk that holds something else."""


class PlantedScriptsTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, name: str, *words: str, modes: tuple[str, ...] = (LEADER, CLASSIC)) -> None:
        """The bug is found in each mode, and its sentence names what was promised: one of ``words``."""
        for mode in modes:
            self.check_found(name, SCRIPT_PLANTS[name], words, mode)

    def test_locks_outlive_their_deadlines(self) -> None:
        """A lock that is released, or kept, by somebody whose time was over.

        In classic mode it takes 200 seeds to find a script in the few slots in which a dead key is stored still.
        """
        self.check("locks_outlive_their_deadlines", RESULTS, STATE, modes=(LEADER,))

    def test_scripts_on_one_node(self) -> None:
        """A lock that only one node knows of."""
        self.check("scripts_on_one_node", RESULTS, STATE)

    def test_scripts_by_the_clock_of_the_node(self) -> None:
        """A lock that is over on one node, and held on another."""
        self.check("scripts_by_the_clock_of_the_node", RESULTS, STATE)

    def test_windows_are_never_shifted(self) -> None:
        """A limit that forgets at once what was counted in the window before."""
        self.check("windows_are_never_shifted", RESULTS, STATE)

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(SCRIPT_PLANTS.keys(), tested - {"all"})
