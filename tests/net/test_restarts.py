"""Meshes whose peer was started again: which of its processes is talked to."""

from __future__ import annotations

from dkv.actor import ACCEPTOR, PROPOSER, Address
from dkv.ballot import Ballot
from dkv.messages import Accepted
from tests.net.nodes import TIMINGS, MeshTestCase, say


class Restarts(MeshTestCase):
    def lose_power(self) -> None:
        """Node 2 says nothing more, and its connections stay as they are."""
        self.network.silent.add(5102)
        self.network.reactor.tcpServers[:] = [server for server in self.network.reactor.tcpServers if server[0] == 5101]
        self.two._ticks.stop()

    def test_new_process_at_the_same_address(self) -> None:
        """A peer that lost power and is back is met before its old connection times out, once that is silent."""
        self.lose_power()
        self.start(2, boot=2)
        self.network.advance(TIMINGS.silence_seconds * 0.9)
        self.network.silent.clear()
        self.network.pump()
        self.assertEqual(self.inbox_one.events[1:], [("down", 2), ("up", 2, 0xB2, 2)])

    def test_a_second_process_while_the_first_is_heard(self) -> None:
        """B34: a copy of the directory of a node that runs must not take its place, however long it tries."""
        self.network.reactor.tcpServers[:] = [server for server in self.network.reactor.tcpServers if server[0] == 5101]
        _, inbox = self.start(2, boot=2)
        self.network.advance(TIMINGS.silence_seconds * 3)
        (line,) = inbox.lines("refused_by_peer")
        self.assertIn("while another process of it is connected", line["reason"])
        self.assertEqual((inbox.events, inbox.fenced), ([], []))
        self.assertEqual((self.inbox_one.events[1:], self.inbox_two.events[1:]), ([], []))

    def test_b34_last_words_of_the_process_before(self) -> None:
        """After the next life is met, the one before may send votes that its successor's directory, a copy, lacks."""
        self.lose_power()
        self.network.closed.add(5101)  # the new process cannot dial, so nothing replaces the connection of the old one
        for dialler, _ in self.network.links(5102):
            dialler.abortConnection()
        self.start(2, boot=2)
        self.network.silent.clear()
        while self.inbox_one.events[-1] != ("up", 2, 0xB2, 2):
            self.network.advance(0.1)
        say(self.two, Address(1, PROPOSER), Address(2, ACCEPTOR), Accepted(Ballot(1, 1), 5))
        self.network.pump()
        self.assertEqual(self.inbox_one.delivered, [])
        self.network.advance(TIMINGS.silence_seconds * 2)
        self.assertEqual(self.inbox_one.events[1:], [("down", 2), ("up", 2, 0xB2, 2)])
