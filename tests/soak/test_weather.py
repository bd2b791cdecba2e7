from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import RealNode
from tests.soak.cluster import SoakNode
from tests.soak.faults import Fault, Weather
from tests.soak.networks import Shares


class FakeNode:
    """A node that writes down what is done to it."""

    def __init__(self, number: int, done: list[str]) -> None:
        self.number = number
        self.runs = True
        self.real = f"node {number}"
        self._done = done

    def start(self) -> None:
        self.runs = True
        self._done.append(f"start {self.number}")

    def kill(self) -> None:
        self.runs = False
        self._done.append(f"kill {self.number}")

    def freeze(self, frozen: bool) -> None:
        self._done.append(f"{'stop' if frozen else 'continue'} {self.number}")

    def fill(self, leave_bytes: int) -> None:
        self._done.append(f"{'short' if leave_bytes else 'fill'} {self.number}")

    def empty(self, grace_seconds: float) -> None:
        self._done.append(f"empty {self.number}")


class FakeNetwork:
    """Keeps what is lost, and which nodes were told."""

    def __init__(self) -> None:
        self.lost: list[tuple[dict[tuple[int, int], float], list[Any]]] = []

    def add(self, number: int) -> str:
        return ""

    def remove(self, number: int) -> None:
        pass

    def prefix(self, number: int) -> Sequence[str]:
        return ()

    def lose(self, shares: Shares, nodes: Sequence[RealNode]) -> None:
        self.lost.append((dict(shares), list(nodes)))


class WeatherTests(SynchronousTestCase):
    """Faults overlap, and each node is what all of them together say."""

    def setUp(self) -> None:
        self.done: list[str] = []
        self.told: list[str] = []
        self.network = FakeNetwork()
        self.nodes = [FakeNode(number, self.done) for number in (1, 2, 3)]
        self.changes = 0
        self.weather = Weather(cast(list[SoakNode], self.nodes), self.network, self.change_members, self.told.append)

    def change_members(self) -> None:
        self.changes += 1

    def begin(self, kind: str, *nodes: int) -> Fault:
        fault = Fault(0.0, 1.0, kind, nodes)
        self.weather.begin(fault)
        return fault

    def did(self) -> list[str]:
        """What was done since the last call."""
        done = list(self.done)
        self.done.clear()
        return done

    def test_down_until_the_last_fault_ends(self) -> None:
        """A node that is to fall behind is not started because a shorter fault of it ends."""
        behind, kill = self.begin("behind", 2), self.begin("kill", 2)
        self.assertEqual(self.did(), ["kill 2", "kill 2"])
        self.weather.end(kill)
        self.assertEqual(self.did(), [])
        self.weather.end(behind)
        self.assertEqual(self.did(), ["start 2"])

    def test_every_fault_is_told(self) -> None:
        """Whoever looks for the reason of a failure sees what was wrong at that time."""
        self.begin("kill", 1)
        self.assertEqual(self.told, ["kill node 1, for 1.0 s"])

    def test_killed_while_it_is_frozen(self) -> None:
        """It starts again as a process that runs, and is frozen anew as long as the fault lasts."""
        freeze = self.begin("freeze", 1)
        kill = self.begin("kill", 1)
        self.did()
        self.weather.end(kill)
        self.assertEqual(self.did(), ["start 1", "stop 1"])
        self.weather.end(freeze)
        self.assertEqual(self.did(), ["continue 1"])

    def test_a_full_disk(self) -> None:
        """A node that ended because of it is started all the same, and its disk is not filled once more."""
        fill = self.begin("fill", 3)
        self.nodes[2].runs = False
        self.weather.settle()
        self.assertEqual(self.did(), ["fill 3", "start 3"])
        self.weather.end(fill)
        self.assertEqual(self.did(), ["empty 3"])

    def test_a_disk_that_gets_fuller(self) -> None:
        """Of two faults of a disk the worse one counts, and there is room when both have ended."""
        short, fill = self.begin("short", 3), self.begin("fill", 3)
        self.assertEqual(self.did(), ["short 3", "fill 3"])
        self.weather.end(fill)
        self.assertEqual(self.did(), [])
        self.weather.end(short)
        self.assertEqual(self.did(), ["empty 3"])

    def test_members_change(self) -> None:
        """A change is the operator's to carry out, and strikes no node."""
        fault = self.begin("members")
        self.weather.end(fault)
        self.assertEqual((self.changes, self.did()), (1, []))

    def test_nodes_that_come_and_go(self) -> None:
        """A node that has joined is started like one that was killed, and struck by its id."""
        self.nodes.append(FakeNode(7, self.done))
        self.nodes[-1].runs = False
        del self.nodes[0]
        self.weather.settle()
        self.assertEqual(self.did(), ["start 7"])
        self.begin("kill", 7)
        self.assertEqual(self.did(), ["kill 7"])
        self.begin("isolate", 7)
        self.assertEqual(self.network.lost[-1][0].keys(), {(2, 7), (7, 2), (3, 7), (7, 3)})

    def test_the_network(self) -> None:
        """It is mended when the fault ends. A node that is frozen or down takes no orders."""
        self.begin("freeze", 1)
        self.begin("kill", 2)
        self.network.lost.clear()
        cut = self.begin("one way", 2, 3)
        self.weather.end(cut)
        self.assertEqual(self.network.lost, [({(2, 3): 1.0}, ["node 3"]), ({}, ["node 3"])])
