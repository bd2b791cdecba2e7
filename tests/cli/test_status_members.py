"""``dkv status`` says of each node that is no voter what it is."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.status_table import Found, status_lines
from dkv.client.blocking import Endpoint
from dkv.client.survey import Answer


class MemberLineTests(SynchronousTestCase):
    def lines(self, **fields: Any) -> list[str]:
        """What stands below the tables for node 3 with these fields."""
        found = Found(Answer(Endpoint("a", 1), True, b"", "", 0.1), {"node": 3, "applied_through": 9, **fields}, "")
        return status_lines([found])[5:]

    def test_a_voter(self) -> None:
        """Nothing is said of what is as usual, nor of what is no answer."""
        for member in ("voter", None, [7]):
            self.assertEqual(self.lines(member=member, config_differs=None), [])

    def test_others(self) -> None:
        """A removed node may be the only one with what others lack; one that joins waits for somebody."""
        for member, words in (
            ("standby", "node 3 is a standby: it serves, and does not vote"),
            (
                "removed",
                "node 3 was removed from the cluster: switch it off when the command that removed it says so",
            ),
            ("unknown", "node 3 is no member of the cluster yet: it waits until it is added"),
        ):
            self.assertEqual(self.lines(member=member), [words])

    def test_a_file_that_differs(self) -> None:
        self.assertEqual(self.lines(member="voter", config_differs="the file lists 4"), ["node 3: the file lists 4"])
