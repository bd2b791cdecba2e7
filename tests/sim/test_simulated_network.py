"""The simulated network: two connections for each pair, and what each node concludes from its own."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.identity import NO_VOTES, Identity, Start
from dkv.messages import Accepted, Confirm
from dkv.net.acquaintances import Objection, hello_of
from dkv.settings import LEADER, Limits, Timings
from dkv.sim.schedule import NodeClock, Schedule
from dkv.sim.simulated_connection import Life
from dkv.sim.simulated_network import SimulatedNetwork
from dkv.sim.trace import Trace
from dkv.sim.wires import LOST, Weather
from dkv.wire.codec import Hello, encode

TO_ACCEPTOR = Confirm(Ballot(1, 1), 1)


class Recorder:
    """A member that notes what it is told."""

    def __init__(self, number: int, schedule: Schedule) -> None:
        self.number = number
        self.up = True
        self.boot = 1
        self.copies = 0
        self.clock = NodeClock(schedule, 1.0)
        self.told: list[str] = []
        self.refused: set[int] = set()
        self.removed: set[int] = set()
        self._schedule = schedule

    @property
    def life(self) -> Life:
        return self.number, self.hello().start.life

    def restart(self) -> None:
        self.clock.stop()
        self.boot += 1
        self.clock = NodeClock(self._schedule, 1.0)

    def restart_on_a_copy(self) -> None:
        """As above, on a directory of before this life: the number of the start is the same."""
        self.boot -= 1
        self.copies += 1
        self.restart()

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.clock.run(call, *arguments)

    def hello(self) -> Hello:
        starts = tuple(Start(boot, boot + self.copies) for boot in range(1, self.boot + 1))
        return hello_of(Identity("test", self.number, self.number, self.boot, starts=starts), LEADER, 100, NO_VOTES)

    def objection(self, hello: Hello, target: int | None, living: list[Start]) -> Objection | None:
        if hello.node in self.removed:
            return Objection("gone", removed_at=5)
        return Objection("no") if hello.node in self.refused else None

    def meet(self, hello: Hello) -> None:
        """Told by ``peer_up`` too."""

    def refused_for_good(self, reason: str) -> None:
        raise AssertionError("nobody does that here")

    def told_removed(self, slot: int) -> None:
        self.told.append(f"removed {slot}")

    def peer_up(self, node: int, incarnation: int, boot: int) -> None:
        self.told.append(f"up {node}.{boot}")

    def peer_down(self, node: int) -> None:
        self.told.append(f"down {node}")

    def peer_heard(self, node: int) -> None:
        """Said often: of no interest here."""

    def deliver(self, to_role: str, sender: Address, message: Any) -> None:
        self.told.append(f"{type(message).__name__} {sender.node}")

    def sending(self, to: Address, message: Any, size: int) -> bool:
        return self.up


class NetworkTests(SynchronousTestCase):
    """A simulator whose connections are better than real ones finds no bug of connections."""

    def setUp(self) -> None:
        self.schedule = Schedule()
        self.trace = StringIO()
        self.limits = Limits()
        self.network = SimulatedNetwork(self.schedule, Random(1), self.limits, Timings(), Trace(self.trace), Weather())
        self.one, self.two = (Recorder(number, self.schedule) for number in (1, 2))
        for member in (self.one, self.two):
            self.network.add(member)
            self.network.began(member)

    def wait(self, seconds: float = 1.5) -> None:
        until = self.schedule.now + seconds
        while self.schedule.step(until):
            continue

    def tell(self, sender: Recorder, to: int) -> None:
        self.network.send(sender, Address(to, ACCEPTOR), TO_ACCEPTOR)

    def told(self, member: Recorder) -> list[str]:
        told, member.told = member.told, []
        return told

    def test_both_ways(self) -> None:
        """Each dials the other, is told so once, and messages arrive."""
        self.wait()
        self.tell(self.one, 2)
        self.network.send(self.two, Address(1, PROPOSER), Accepted(Ballot(1, 1), 1))
        self.wait()
        self.assertEqual(self.told(self.one), ["up 2.1", "Accepted 2"])
        self.assertEqual(self.told(self.two), ["up 1.1", "Confirm 1"])

    def test_one_way_only(self) -> None:
        """A reaches B, and B does not reach A, for as long as B cannot dial."""
        self.network.wires.block(2, 1)
        for _ in range(5):
            self.wait(30.0)
            self.tell(self.one, 2)
            self.tell(self.two, 1)
        self.wait()
        self.assertEqual(self.told(self.one), ["up 2.1"])
        self.assertEqual(self.told(self.two), ["Confirm 1"] * 5)
        self.network.wires.unblock(2, 1)
        self.wait()
        self.tell(self.two, 1)
        self.wait()
        self.assertEqual(self.told(self.one), ["Confirm 2"])
        self.assertEqual(self.told(self.two), ["up 1.1"])

    def test_a_connection_that_is_blocked_later(self) -> None:
        """Its dialler still takes it for open, and both give it up when they have heard nothing for long enough."""
        self.wait()
        self.network.wires.block(2, 1)
        self.wait(1.0)
        self.assertEqual((self.told(self.one), self.told(self.two)), (["up 2.1"], ["up 1.1"]))
        self.wait(4.0)
        self.assertEqual((self.told(self.one), self.told(self.two)), (["down 2"], ["down 1"]))

    def test_what_a_cut_holds_back_arrives_in_a_burst(self) -> None:
        """As TCP sends it again."""
        self.wait()
        self.network.wires.cut(1, 2)
        self.tell(self.one, 2)
        self.wait(0.5)
        self.assertEqual(self.told(self.two), ["up 1.1"])
        self.network.wires.mend(1, 2)
        self.wait(0.5)
        self.assertEqual(self.told(self.two), ["Confirm 1"])

    def test_a_new_process_is_dialled_at_once(self) -> None:
        """The connection leads to a process that no longer exists; the end that finds out first closes it."""
        self.wait()
        self.told(self.one)
        self.network.wires.cut(2, 1)  # so that nobody tells node 1
        self.network.gone(2)
        self.two.restart()
        self.network.began(self.two)
        self.network.wires.mend(2, 1)
        self.wait()
        self.assertEqual(self.told(self.one), ["down 2", "up 2.2"])

    def test_what_was_for_a_life_before_the_copy(self) -> None:
        """Bytes for a process that is no more reach no other one, though that has the number of its start."""
        self.wait()
        self.told(self.two)
        connection = self.network.sides[1, 2].dialled
        assert connection is not None
        connection.lingers = True
        self.network.wires.stall(connection, 2, 1.0)
        self.tell(self.one, 2)
        self.network.gone(2)
        self.two.restart_on_a_copy()
        self.network.began(self.two)
        self.wait()
        self.assertNotIn("Confirm 1", self.told(self.two))

    def test_what_is_stalled_comes_in_order(self) -> None:
        """A stalled connection holds up everything that is sent over it later, and nothing on another one."""
        self.wait()
        self.told(self.one)
        self.told(self.two)
        self.network.wires.hindrance = lambda to, message: 1.0 if to == 2 else 0.0
        self.tell(self.one, 2)
        self.network.wires.hindrance = lambda to, message: LOST if to == 2 else 0.0
        self.tell(self.one, 2)
        self.network.wires.calm()
        self.tell(self.one, 2)
        self.tell(self.two, 1)
        self.wait(0.9)
        self.assertEqual((self.told(self.one), self.told(self.two)), (["Confirm 2"], []))
        self.wait(0.2)
        self.assertEqual(self.told(self.two), ["Confirm 1", "Confirm 1"])

    def test_a_refused_hello(self) -> None:
        """Nothing is delivered from a node that is not taken for a peer, nor is it told of one."""
        self.one.refused.add(2)
        self.wait()
        self.tell(self.one, 2)
        self.tell(self.two, 1)
        self.wait()
        self.assertEqual((self.told(self.one), self.told(self.two)), ([], []))

    def test_a_removed_node_leaves_those_in_peace_that_told_it(self) -> None:
        """Until one of them dials: it may have started anew, and lack what it held."""
        self.one.removed.add(2)
        self.network.peers_are(1, (), 0.0)
        self.wait()
        self.wait()
        self.assertEqual(self.told(self.two), ["removed 5"])
        self.one.removed.clear()
        self.wait()
        self.assertEqual(self.told(self.two), [])
        self.network.peers_are(1, (2,), 0.0)
        self.wait()
        self.assertEqual((self.told(self.one), self.told(self.two)), (["up 2.1"], ["up 1.1"]))

    def test_a_full_queue_drops(self) -> None:
        """Messages that a peer does not read wait, up to a limit."""
        self.wait()
        self.told(self.two)
        self.two.clock.pause()
        large = Accepted(Ballot(1, 1), 1)
        room = self.limits.peer_queue_bytes_max - len(encode(large))
        self.network.sides[1, 2].dialled.queued_bytes = room  # type: ignore[union-attr]  # it is connected
        for _ in range(3):
            self.network.send(self.one, Address(2, PROPOSER), large)
        self.two.clock.resume()
        self.wait(0.1)
        self.assertEqual(self.told(self.two), ["Accepted 1"])
        self.assertEqual(self.trace.getvalue().count("drop"), 2)

    def test_a_node_that_reads_nothing(self) -> None:
        """It is no silent peer, hears nothing, and takes in later what came meanwhile."""
        self.wait()
        self.told(self.two)
        self.network.pause_reading(2)
        self.tell(self.one, 2)
        self.wait(30.0)
        self.assertEqual((self.told(self.one), self.told(self.two)), (["up 2.1"], []))
        self.network.resume_reading(2)
        self.assertEqual(self.told(self.two), ["Confirm 1"])
