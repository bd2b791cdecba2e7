"""The simulator finds the bugs of transactions and databases within 300 seeds."""

from __future__ import annotations

from dkv.settings import CLASSIC, LEADER
from tests.sim.hunt import FOUND, RESULTS, HuntTestCase
from tests.sim.planted_words import WORD_PLANTS

STATE = "follows from the log"
"""What is said of a disk that holds something else."""

COUNTS = ("for key b'U'", RESULTS, FOUND, "are counted and not stored", "int too large to convert")
"""What is said of a count that has drifted. One that is below 0 cannot be stored."""


class PlantedWordsTests(HuntTestCase):
    """A bug that the simulator cannot see may be in the product already."""

    def check(self, name: str, *words: str, modes: tuple[str, ...] = (LEADER, CLASSIC)) -> None:
        """The bug is found in each mode, and its sentence names what was promised: one of ``words``."""
        for mode in modes:
            self.check_found(name, WORD_PLANTS[name], words, mode)

    def test_watch_is_checked_before_the_log(self) -> None:
        """A transaction that takes effect though another client was faster."""
        self.check("watch_is_checked_before_the_log", "Aborted()", STATE)

    def test_erased_keys_leave_no_mark(self) -> None:
        """As with the next one; here the state itself lacks something."""
        self.check("erased_keys_leave_no_mark", "for key b'Z", "Aborted()")

    def test_absent_is_as_it_was(self) -> None:
        """Two clients that both believe to have made a key first."""
        self.check("absent_is_as_it_was", "Aborted()", STATE)

    def test_transaction_in_two_turns(self) -> None:
        """A reader who sees money that has left one account and has not come to the other."""
        self.check("transaction_in_two_turns", FOUND, RESULTS, STATE)

    def test_transaction_reads_on_one_node(self) -> None:
        """A repeat that is answered with nothing where the first answer had a value."""
        self.check("transaction_reads_on_one_node", "for key b'TA", RESULTS)

    def test_counts_are_not_undone(self) -> None:
        """A transaction that was refused, and has changed something: a count, or where a database is, by a flush."""
        self.check("counts_are_not_undone", STATE, *COUNTS)

    def test_flush_misses_its_slot(self) -> None:
        """Keys that are there after a FLUSHDB which came behind them."""
        self.check("flush_misses_its_slot", RESULTS, FOUND, STATE)

    def test_puts_go_where_the_flushed_keys_are(self) -> None:
        """A write that was acknowledged and is gone."""
        self.check("puts_go_where_the_flushed_keys_are", RESULTS, FOUND, STATE, "linearizable")

    def test_stored_keys_are_new_after_a_start(self) -> None:
        """A count that grows with every restart, and nodes that do not agree."""
        self.check("stored_keys_are_new_after_a_start", *COUNTS)

    def test_absent_keys_are_discounted(self) -> None:
        """A count that says less than is there."""
        self.check("absent_keys_are_discounted", *COUNTS)

    def test_all(self) -> None:
        """A planted bug without a test here would prove nothing."""
        tested = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertEqual(WORD_PLANTS.keys(), tested - {"all"})
