"""What the matrix concludes from: a ride finds the writes that are lost, and tells what an application saw."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.programs import riding


class Store:
    """Keeps what it is told, except for the writes in ``loses``; those in ``refuses`` raise."""

    def __init__(self, loses: frozenset[int] = frozenset(), refuses: frozenset[int] = frozenset()) -> None:
        self.kept: set[int] = set()
        self.loses, self.refuses = loses, refuses

    def write(self, number: int) -> None:
        """Acknowledge a write, or raise."""
        if number in self.refuses:
            raise ConnectionError(f"write {number} has no answer")
        if number not in self.loses:
            self.kept.add(number)

    def holds(self, number: int) -> bool:
        """Whether a write is there."""
        return number in self.kept

    async def write_later(self, number: int) -> None:
        """The same for coroutines."""
        self.write(number)

    async def holds_later(self, number: int) -> bool:
        """The same for coroutines."""
        return self.holds(number)


class RideTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said = io.StringIO()
        self.patch(sys, "stdout", self.said)
        self.patch(sys, "stdin", io.StringIO("killed\n"))
        self.patch(riding, "SECONDS_AFTER", 0.0)
        self.patch(riding, "PAUSE_SECONDS", 0.0)

    def ride(self, store: Store) -> dict[str, Any]:
        """Ride with both kinds of programs, which see the same; the report of the second."""
        riding.ride(store.write, store.holds)
        self.patch(sys, "stdin", io.StringIO("killed\n"))
        asyncio.run(riding.ride_async(store.write_later, store.holds_later))
        lines = self.said.getvalue().splitlines()
        self.assertEqual([line.partition(" ")[0] for line in lines], ["ready", "report"] * 2)
        report: dict[str, Any] = json.loads(lines[-1].removeprefix("report "))
        return report

    def test_nothing_is_lost(self) -> None:
        """All was acknowledged, and all is there: enough before the kill, and enough after it."""
        report = self.ride(Store())
        self.assertGreaterEqual(report["writes"], riding.WRITES_BEFORE + riding.WRITES_AFTER)
        self.assertEqual((report["errors"], report["error"]), (0, ""))

    def test_a_lost_write_is_found(self) -> None:
        """One write that was acknowledged and is not there must fail the run, before the kill or after it."""
        for number in (3, riding.WRITES_BEFORE + 30):
            store = Store(loses=frozenset((number,)))
            with self.assertRaises(AssertionError) as failed:
                riding.ride(store.write, store.holds)
            self.assertIn(f"acknowledged writes are lost: [{number}]", str(failed.exception))
            self.patch(sys, "stdin", io.StringIO("killed\n"))
            with self.assertRaises(AssertionError):
                asyncio.run(riding.ride_async(store.write_later, store.holds_later))
            self.patch(sys, "stdin", io.StringIO("killed\n"))

    def test_errors_are_told(self) -> None:
        """A write that raised is not looked for; the report has how many there were, and the first one."""
        refused = frozenset(range(riding.WRITES_BEFORE, riding.WRITES_BEFORE + 5))
        report = self.ride(Store(refuses=refused))
        self.assertEqual(report["errors"], 5)
        self.assertEqual(report["error"], f"ConnectionError: write {riding.WRITES_BEFORE} has no answer")

    def test_an_error_before_the_kill(self) -> None:
        """A library that does not work at all is not given the time of a fail-over."""
        with self.assertRaises(ConnectionError):
            riding.ride(Store(refuses=frozenset((2,))).write, lambda _: True)

    def test_no_end(self) -> None:
        """An application that never gets through again gives up, and says what it saw."""
        self.patch(riding, "PATIENCE_SECONDS", 0.05)
        store = Store(refuses=frozenset(range(riding.WRITES_BEFORE, 1_000_000)))
        with self.assertRaises(AssertionError) as failed:
            riding.ride(store.write, store.holds)
        self.assertIn("no write succeeds any more", str(failed.exception))
