"""The real meshes, byte by byte, over a network that does what networks do. ``members.Inbox`` objects to the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from dkv.net.link import TICKS_OF_SILENCE
from dkv.wire.frames import frame
from tests.byte_level.members import BLOB_BYTES_MAX, LIMITS, PORT, SETTLE_SECONDS, TIMINGS, Meeting
from tests.byte_level.sites import Site
from tests.byte_level.storms import MeshStorm
from tests.byte_level.streams import BUFFER_BYTES
from tests.net.nodes import hello, told

SEEDS = 100
NOTICE_SECONDS = TIMINGS.silence_seconds * (TICKS_OF_SILENCE + 1) / TICKS_OF_SILENCE + 0.1
"""By when silence is noticed: at the tick that follows it."""


def storm(size: int, seed: int) -> Meeting:
    """Some seconds of faults and messages, then none."""
    meeting = Meeting(size, seed)
    try:
        weather = MeshStorm(meeting)
        meeting.net.run(6.0)
        weather.heal()
        meeting.settle()
    except Exception as error:
        raise AssertionError(f"seed {seed}, {size} nodes: {error}") from error
    return meeting


class Storms(SynchronousTestCase):
    """All faults in any order."""

    def test_two_nodes(self) -> None:
        """A connection that fails in an odd way must not leave two nodes deaf to each other, or make them mishear."""
        arrived, downs = 0, 0
        for seed in range(SEEDS):
            for member in storm(2, seed).members.values():
                arrived += sum(map(len, member.inbox.received.values()))
                downs += sum(event[0] == "down" for event in member.inbox.events)
        self.assertGreater(arrived, 20 * SEEDS, "messages did arrive")
        self.assertGreater(downs, SEEDS, "connections were lost")

    def test_three_nodes(self) -> None:
        """What befalls the connection of two nodes must not reach a third."""
        for seed in range(SEEDS, SEEDS + SEEDS // 2):
            storm(3, seed)

    def test_same_seed_same_run(self) -> None:
        """A failure that cannot be run again cannot be understood."""
        runs = [storm(3, 7) for _ in range(2)]
        one, other = [
            (run.net.clock.seconds(), run.net.dials, [member.inbox.events for member in run.members.values()])
            for run in runs
        ]
        self.assertEqual(one, other)


class Streams(SynchronousTestCase):
    """Nothing goes wrong, but for how a stream is cut into pieces."""

    def test_any_pieces_any_size(self) -> None:
        """Networks cut streams anywhere: a message must not depend on where."""
        for chunk_bytes_max in (1, 2, 9, 1000, 70_000):
            meeting = Meeting(2, chunk_bytes_max)
            meeting.net.chunk_bytes_max, meeting.net.window_bytes = chunk_bytes_max, 70_000
            meeting.net.run(1.0)
            sizes = [*range(30), 255, 256, 4096]
            sizes += [65_535, 65_536, BLOB_BYTES_MAX] if chunk_bytes_max >= 1000 else []
            numbers: dict[tuple[int, int], list[int]] = {(1, 2): [], (2, 1): []}
            for size in sizes:
                for (one, other), sent in numbers.items():
                    sent.append(meeting.members[one].send(other, size))
                meeting.net.run(meeting.net.random.choice((0.0, 0.01)) if size < 65_535 else 10.0)
            meeting.net.run(10.0)
            for (one, other), sent in numbers.items():
                self.assertEqual(meeting.members[other].inbox.received[one], sent)

    def test_a_burst_after_a_short_hole(self) -> None:
        """A network that stops for a second has lost nothing, and nobody is given up."""
        for seed in range(5):
            meeting, one, two = self.two(seed)
            meeting.net.held |= {(one.host, two.host), (two.host, one.host)}
            numbers = [one.send(2, 100) for _ in range(30)]
            meeting.net.run(TIMINGS.silence_seconds / 2)
            self.assertEqual(two.inbox.received[1], [])
            meeting.net.release(one.host, two.host)
            meeting.net.release(two.host, one.host)
            meeting.net.run(SETTLE_SECONDS)
            self.assertEqual(two.inbox.received[1], numbers)
            self.assertEqual(len(one.inbox.events + two.inbox.events), 2)

    def two(self, seed: int) -> tuple[Meeting, Any, Any]:
        meeting = Meeting(2, seed)
        meeting.net.run(1.0)
        return meeting, meeting.members[1], meeting.members[2]


class Losses(SynchronousTestCase):
    """One connection or node is lost, in each way, and comes back."""

    def two(self, seed: int = 1) -> tuple[Meeting, Any, Any]:
        meeting = Meeting(2, seed)
        meeting.net.run(1.0)
        self.assertTrue(meeting.all_well())
        return meeting, meeting.members[1], meeting.members[2]

    def test_reset_loses_a_tail(self) -> None:
        """What arrives of a connection that was reset is what was sent, up to some point; then the next one carries."""
        lost = 0
        for seed in range(20):
            meeting, one, two = self.two(seed)
            meeting.net.delay_seconds_max = 0.01
            numbers = [one.send(2, 500) for _ in range(40)]
            meeting.net.run(0.012)
            meeting.net.reset(meeting.dialled(1, 2))
            meeting.net.run(0.02)
            received = list(two.inbox.received[1])
            self.assertEqual(received, numbers[: len(received)])
            lost += len(received) < len(numbers)
            meeting.settle()
        self.assertGreater(lost, 5, "a tail was lost")

    def test_half_open_at_the_dialler(self) -> None:
        """A dialler whose acceptor vanished notices in time: else what it sends is lost for as long as TCP hopes."""
        for seed in range(5):
            meeting, one, two = self.two(seed)
            meeting.net.half_open(meeting.dialled(1, 2)[1])
            one.send(2, 100)
            gone = meeting.net.until(partial(one.lost, 2), NOTICE_SECONDS, "node 1 notices")
            self.assertGreater(gone, TIMINGS.silence_seconds / 2, "nobody told it")
            self.assertEqual([line["address"] for line in one.inbox.lines("peer_silent")], [two.host])
            meeting.net.until(meeting.all_well, TIMINGS.reconnect_seconds_max, "it is dialled again")
            self.assertEqual(two.inbox.received[1], [])
            meeting.settle()

    def test_half_open_at_the_acceptor(self) -> None:
        """An acceptor whose dialler vanished forgets it when it is dialled anew, and hears each message once."""
        for seed in range(5):
            meeting, _, two = self.two(seed)
            dialler, acceptor = meeting.dialled(1, 2)
            meeting.net.half_open(dialler)
            meeting.net.run(1.0)
            self.assertFalse(acceptor.open, "the old one is given up")
            self.assertEqual(two.inbox.lines("peer_silent"), [])
            meeting.settle()

    def test_what_comes_late_on_a_connection_that_was_replaced(self) -> None:
        """A stream that stalls until its peer has dialled anew must not bring up old messages behind newer ones."""
        for seed in range(5):
            meeting, one, two = self.two(seed)
            stalled = meeting.dialled(1, 2)
            for end in stalled:
                end.way.stalled = True
            one.send(2, 10)
            meeting.net.run(NOTICE_SECONDS + 0.5)
            number = one.send(2, 10)
            meeting.net.run(0.5)
            for end in stalled:
                end.way.release()
            meeting.settle()
            self.assertEqual(two.inbox.received[1][0], number)

    def test_a_restarted_node(self) -> None:
        """A new life is told as such, whether its end was heard or not: what the old one promised in memory is gone."""
        for power in (False, True):
            for away_seconds in (0.0, 0.3, 5.0):
                meeting, one, two = self.two(int(away_seconds * 10))
                two.site.die(power)
                meeting.net.run(away_seconds)
                two.start()
                seconds = TIMINGS.reconnect_seconds_max + (TIMINGS.silence_seconds / 2 if power else 0.5)
                meeting.net.until(meeting.all_well, seconds, "node 1 meets the new life")
                self.assertEqual(one.inbox.events, [("up", 2, 0xB2, 1), ("down", 2), ("up", 2, 0xB2, 2)])
                meeting.settle()

    def test_a_node_without_power_is_noticed(self) -> None:
        """Nobody says that a machine is gone: its silence must."""
        meeting, one, two = self.two()
        two.site.die(power=True)
        meeting.net.hanging.add(two.host)
        meeting.net.until(partial(one.lost, 2), NOTICE_SECONDS, "node 1 notices")
        self.assertEqual(one.mesh.connected, frozenset())

    def test_dials_without_an_answer(self) -> None:
        """A dial that hangs is given up: the host it was meant for may be back long before TCP tries again."""
        meeting, one, two = self.two()
        two.site.die(power=True)
        meeting.net.hanging.add(two.host)
        before = meeting.net.dials
        meeting.net.run(30.0)
        self.assertTrue(8 <= meeting.net.dials - before <= 14, meeting.net.dials - before)
        meeting.net.hanging.clear()
        two.start()
        meeting.settle()
        self.assertEqual([event[0] for event in one.inbox.events], ["up", "down", "up"])

    def test_refused_dials(self) -> None:
        """A host that refuses is tried about once a second: neither a storm nor a long wait."""
        meeting, _, two = self.two()
        two.site.die(power=False)
        before = meeting.net.dials
        meeting.net.run(30.0)
        self.assertTrue(28 <= meeting.net.dials - before <= 38, meeting.net.dials - before)
        meeting.net.refusing.add(two.host)
        two.start()
        meeting.net.run(1.0)
        meeting.net.refusing.clear()
        meeting.settle()


class Bounds(SynchronousTestCase):
    """What one peer may cost."""

    def test_a_peer_that_does_not_read(self) -> None:
        """A slow peer costs a bounded queue and its own messages, not the node's memory or the other peers'."""
        meeting = Meeting(3, 3)
        meeting.net.window_bytes, meeting.net.chunk_bytes_max = 65536, 65536
        meeting.net.run(1.0)
        one, two, three = meeting.members.values()
        three.mesh.pause_reading()
        dialler, _ = meeting.dialled(1, 3)
        numbers, to_three, most = [], [], 0
        for _ in range(60):
            to_three.append(one.send(3, 50_000))
            numbers.append(one.send(2, 50_000))
            meeting.net.run(0.2)
            most = max(most, len(dialler.unsent))
            self.assertEqual(two.inbox.received[1], numbers, "nobody else waits")
        self.assertGreater(most, LIMITS.peer_queue_bytes_max - 50_100, "the queue was filled")
        self.assertLess(most, LIMITS.peer_queue_bytes_max + BUFFER_BYTES + 50_100)
        self.assertEqual(len(one.inbox.lines("peer_slow")), 1)
        self.assertEqual(three.inbox.received[1], [])
        three.mesh.resume_reading()
        meeting.net.run(5.0)
        received = three.inbox.received[1]
        self.assertEqual(received, to_three[: len(received)], "what was dropped is what came last")
        self.assertTrue(10 < len(received) < 30, len(received))
        self.assertEqual(len(one.inbox.lines("peer_slow_no_more")), 1)
        meeting.settle()
        self.assertEqual([len(member.inbox.events) for member in (one, two, three)], [2, 2, 2], "nobody was lost")

    def test_no_way_around_a_pause(self) -> None:
        """A node whose disk is behind is not made to read by a peer that dials it anew."""
        meeting = Meeting(2, 1)
        meeting.net.run(1.0)
        one, two = meeting.members.values()
        two.mesh.pause_reading()
        meeting.net.reset(meeting.dialled(1, 2))
        for _ in range(20):
            meeting.net.run(0.1)
            one.send(2, 100)
            self.assertEqual((two.inbox.received[1], one.mesh.connected), ([], frozenset()))
        two.mesh.resume_reading()
        meeting.settle()

    def test_what_is_longer_than_a_frame(self) -> None:
        """A message that the peer would refuse costs itself, not the connection."""
        meeting = Meeting(2, 1)
        meeting.net.window_bytes, meeting.net.chunk_bytes_max = 65536, 65536
        meeting.net.run(1.0)
        one, two = meeting.members.values()
        one.send(2, LIMITS.frame_bytes_max)
        number = one.send(2, 10)
        meeting.net.run(3.0)
        self.assertEqual(two.inbox.received[1], [number])
        self.assertEqual(len(one.inbox.lines("message_too_large")), 1)
        self.assertEqual(len(one.inbox.events + two.inbox.events), 2)


class Damage(SynchronousTestCase):
    """Bytes that are not what was sent."""

    def damage(self, index: int, bits: int) -> tuple[Meeting, int]:
        """Node 1 sends node 2 a message with a changed byte, and then others until that is noticed; how many."""
        meeting = Meeting(2, 20 + index)
        meeting.net.window_bytes, meeting.net.chunk_bytes_max = 65536, 65536
        meeting.net.run(1.0)
        one, two = meeting.members.values()
        meeting.dialled(1, 2)[0].damage = (index, bits)
        damaged, sent = one.send(2, 3000), 1
        while not two.inbox.lines("peer_input_refused"):
            meeting.net.run(0.2)
            assert sent < 1000
            sent += 1
            one.send(2, 3000)
        (line,) = two.inbox.lines("peer_input_refused")
        self.assertEqual((line["address"], line["peer"]), (one.host, 1))
        meeting.settle()
        self.assertNotIn(damaged, two.inbox.received[1])
        self.assertEqual(one.inbox.events, [("up", 2, 0xB2, 1), ("down", 2), ("up", 2, 0xB2, 1)])
        self.assertEqual(two.inbox.events, [("up", 1, 0xB1, 1), ("down", 1), ("up", 1, 0xB1, 1)])
        self.assertEqual(len(two.inbox.lines("peer_input_refused")), 1)
        return meeting, sent

    def test_a_flipped_bit(self) -> None:
        """A damaged vote must not be counted, and the connection that damaged it is not trusted with the next one."""
        for index in (0, 1, 4, 7, 8, 9, 20, 1500, 3000):
            _, sent = self.damage(index, 0x80)
            self.assertLessEqual(sent, 2)

    def test_a_length_that_became_too_long(self) -> None:
        """A frame that seems longer than it is swallows what follows, but never more than one frame's worth."""
        for index, bits, swallowed_bytes in ((2, 0x10, 0x1000), (1, 0x04, 0x40000)):
            _, sent = self.damage(index, bits)
            messages = swallowed_bytes // 3020 + 1
            self.assertTrue(messages <= sent <= messages + 2, sent)


class Caller(Protocol):
    """A stranger: says something, and sees what becomes of it."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.heard = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._words)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class CallerFactory:
    """Makes one connection for ``caller``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def startedConnecting(self, dial: Any) -> None:
        pass

    def buildProtocol(self, address: IPv4Address) -> Caller:
        return self._caller


class Strangers(SynchronousTestCase):
    def test_garbage(self) -> None:
        """Whatever calls at the peer port is shown out, told of once, and nobody who belongs there notices."""
        other_cluster = told(hello(cluster="green"))
        wiped_disk = told(hello(incarnation=0xBAD))
        ourselves = told(hello(1))
        garbage = [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, frame(b""), frame(b"\x9f" * 100), b"\0" * 8]
        for seed, words in enumerate([*garbage, other_cluster, wiped_disk, ourselves, b"\0\0\0\x20", b""]):
            meeting = Meeting(2, seed)
            meeting.net.run(1.0)
            one = meeting.members[1]
            stranger = Site(meeting.net, "10.9.9.9")
            for _ in range(3):
                stranger.connectTCP(one.host, PORT, CallerFactory(Caller(words)))
                meeting.net.run(NOTICE_SECONDS)
                self.assertFalse(any(end.open for end in stranger.ends), f"{words[:20]!r} is shown out")
            complaints = [fields for _, fields in one.inbox.logged if fields.get("address") == stranger.host]
            self.assertEqual(len(complaints), 1, complaints)
            self.assertEqual([one.inbox.events, one.inbox.delivered], [[("up", 2, 0xB2, 1)], []])
            meeting.settle()


class Stopping(SynchronousTestCase):
    def test_what_was_sent_before_the_stop_arrives(self) -> None:
        """A leader that resigns and stops must be heard, or its cluster waits for an election timeout."""
        for seed in range(5):
            meeting = Meeting(2, seed)
            meeting.net.run(1.0)
            one, two = meeting.members.values()
            number = one.send(2, 300)
            stopped = one.mesh.stopService()
            events = list(one.inbox.events)
            meeting.net.run(1.0)
            self.successResultOf(stopped)
            self.assertEqual(two.inbox.received[1], [number])
            self.assertNotIn(1, two.inbox.up)
            self.assertEqual(one.inbox.events, events, "nothing is told to a node that stops")
            self.assertEqual(meeting.net.connections(), [])

    def test_a_full_buffer_does_not_delay_the_stop(self) -> None:
        """A node that stops with much to send is restarted as soon as it is sent, not when patience ends."""
        meeting = Meeting(2, 1)
        meeting.net.window_bytes, meeting.net.chunk_bytes_max = 65536, 65536
        meeting.net.run(1.0)
        one, two = meeting.members.values()
        numbers = [one.send(2, BUFFER_BYTES) for _ in range(3)]
        stopped = one.mesh.stopService()
        meeting.net.run(TIMINGS.drain_seconds / 2)
        self.successResultOf(stopped)
        received = two.inbox.received[1]  # a reset may take the tail along, as on any connection that is closed
        self.assertEqual(received, numbers[: len(received)])
        self.assertGreater(len(received), 1)
