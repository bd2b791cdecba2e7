from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import wait_until
from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakCluster
from tests.soak.operator import CHANGES, Operator, draw_change

ONCE_REFUSED = """
import sys, pathlib
path = pathlib.Path(sys.argv[1])
tried = path.exists()
path.touch()
print("not yet", file=sys.stderr)
sys.exit(0 if tried else int(sys.argv[2]))
"""
"""A command that ends with the given status the first time, and well the second time."""


class DrawTest(SynchronousTestCase):
    def test_the_cluster_stays_small(self) -> None:
        """Changes that add voters and those that remove them take turns; every kind is drawn, and with real voters."""
        random, voters, drawn = Random(1), [2, 5, 9], set()
        for new in range(10, 400, 3):
            change, nodes = draw_change(random, voters, 3)
            drawn.add(change)
            self.assertTrue({*nodes} <= {*voters})
            if change == "grow":
                voters += [new, new + 1]
            elif change == "shrink":
                voters = [voter for voter in voters if voter not in nodes]
            elif change.startswith("replace"):
                voters = [voter for voter in voters if voter not in nodes] + [new + each for each in range(len(nodes))]
            self.assertIn(len(voters), (3, 5))
            voters = voters[:5]
        self.assertEqual(drawn, {*CHANGES})


class FakeReal:
    number = 1


class OneCommand(Operator):
    """A change is one command, which the test gives."""

    command: list[str]

    def _carry_out(self, change: str, nodes: list[int]) -> None:
        self._give(self.command)


class OperatorTests(SynchronousTestCase):
    """A command is given until it ends well."""

    def begin(self, status: int) -> Operator:
        class Cluster:
            soaked = [FakeReal()]  # noqa: RUF012  # no one changes it

        told: list[Any] = []
        operator = OneCommand(cast(SoakCluster, Cluster()), Random(1), cast(Callable[[str], None], told.append))
        path = Path(self.mktemp())
        operator.command = [sys.executable, "-c", ONCE_REFUSED, str(path), str(status), "dkv.cli.main", "member"]
        operator.begin()
        self.addCleanup(operator.close)
        wait_until(lambda: not operator.under_way, 20.0, "the change has ended")
        return operator

    def test_given_again(self) -> None:
        """Its message says so: whoever obeys gets what they wanted."""
        operator = self.begin(5)
        operator.look()
        self.assertEqual((operator.repeated, operator.changes.total()), (1, 1))
        self.assertIn("dkv member: status 5: not yet", operator.said)

    def test_a_wrong_command(self) -> None:
        """The soak has not obeyed the help: that is no fault's doing."""
        self.assertRaises(RuleBroken, self.begin(2).look)
