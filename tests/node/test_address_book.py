"""The address book: the log says who the members are, and a file only where (B33)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.config.config import parse_config
from dkv.configurations import Configuration, Configurations, MemberRecord, first_configurations
from dkv.node.address_book import AddressBook

FIRST = first_configurations((1, 2, 3))
JOINED = Configuration(10, 74, FIRST.newest.voters, frozenset((4,)))
LEFT = Configuration(100, 164, frozenset((2, 3, 4)))
MOVED = MemberRecord(3, 0xB3, "db9:5103", "db9:7379")
NAMED = MemberRecord(2, 0xB2)
ADDED = MemberRecord(4, 0xB4, "db4:5104", "db4:7379")


def book(node: int, *ids: int) -> AddressBook:
    """That of a node whose file lists ``ids``."""
    nodes = [{"id": each, "client": f"db{each}:7379", "peer": f"db{each}:{5100 + each}"} for each in ids]
    return AddressBook(parse_config({"cluster": "c", "node": nodes}), node)


def held(*sets: Configuration) -> Configurations:
    return Configurations((*FIRST.sets, *sets), (NAMED, MOVED, ADDED), 4)


class PeerTests(SynchronousTestCase):
    def test_before_the_first_change(self) -> None:
        """The file says where the first members are."""
        peers = book(1, 1, 2, 3).peers(FIRST, 0)
        self.assertEqual(peers, {2: "tcp:host=db2:port=5102", 3: "tcp:host=db3:port=5103"})

    def test_b33_the_file_adds_and_removes_nobody(self) -> None:
        """An edit of the file must not make a node talk with, or count, another set than its peers do."""
        self.assertEqual(set(book(4, 1, 2, 3, 4).peers(held(LEFT), 163)), {2, 3})
        self.assertEqual(book(1, 1, 2).peers(FIRST, 0), {2: "tcp:host=db2:port=5102", 3: ""})

    def test_the_log_is_newer_than_the_file(self) -> None:
        """A node that moved is found where it is now; one without an address in the log where the file says."""
        peers = book(1, 1, 2, 3).peers(held(JOINED), 80)
        self.assertEqual(peers, {2: "tcp:host=db2:port=5102", 3: "tcp:host=db9:port=5103", 4: "tcp:host=db4:port=5104"})

    def test_a_new_node_where_a_lost_one_was(self) -> None:
        """To dial the lost one would reach the new one, which would take that for a newer connection of this node."""
        there = MemberRecord(4, 0xB4, "db3:5103", "db3:7379")
        joined = Configurations((*FIRST.sets, JOINED), (there,), 4)
        two = {2: "tcp:host=db2:port=5102"}
        self.assertEqual(book(1, 1, 2, 3).peers(joined, 80), two | {3: "", 4: "tcp:host=db3:port=5103"})
        self.assertEqual(book(4, 1, 2, 3).peers(joined, 80), two | {1: "tcp:host=db1:port=5101", 3: ""})

    def test_a_removed_node_talks_with_all_that_the_log_remembers(self) -> None:
        """Without it the new members might never get the slots before its removal, and choose nothing any more."""
        last = Configuration(200, 264, frozenset((2, 4)))
        self.assertEqual(set(book(1, 1, 2, 3).peers(held(JOINED, LEFT), 162)), {2, 3, 4})
        self.assertEqual(set(book(1, 1, 2, 3).peers(held(JOINED, LEFT, last), 263)), {2, 3, 4})
        self.assertEqual(set(book(2, 1, 2, 3).peers(held(JOINED, LEFT), 163)), {3, 4})

    def test_a_joiner_asks_the_nodes_of_its_file(self) -> None:
        """All members that its cluster began with may be gone by now."""
        joiner = book(9, 4, 5, 9)
        self.assertEqual(joiner.hints, {4, 5})
        self.assertEqual(
            joiner.peers(FIRST, 0), {1: "", 2: "", 3: "", 4: "tcp:host=db4:port=5104", 5: "tcp:host=db5:port=5105"}
        )

    def test_a_joiner_that_the_log_names_goes_by_the_log(self) -> None:
        """From then on hints are no peers, but for nodes that may have been added since."""
        self.assertEqual(set(book(4, 1, 2, 3, 4).peers(held(JOINED, LEFT), 163)), {2, 3})
        self.assertEqual(set(book(4, 1, 2, 3, 4, 5).peers(held(JOINED, LEFT), 163)), {2, 3, 5})

    def test_a_node_that_was_down_finds_those_who_came(self) -> None:
        """All others that it knows may have been replaced meanwhile: it would be cut off for ever."""
        self.assertEqual(set(book(1, 1, 4, 5).peers(FIRST, 0)), {2, 3, 4, 5})

    def test_an_address_that_is_none(self) -> None:
        """What an operator wrote into the log must not end the nodes that read it."""
        records = (MemberRecord(2, 0xB2, "db2:70000"),)
        peers = book(1, 1, 2, 3).peers(Configurations(FIRST.sets, records, 3), 0)
        self.assertEqual(peers[2], "db2:70000")


class ClientTests(SynchronousTestCase):
    def test_where_clients_find_members(self) -> None:
        """A removed node sends its clients to those who are left."""
        self.assertEqual(book(1, 1, 2).clients(held(JOINED, LEFT), 163), ["db2:7379", "db9:7379", "db4:7379"])
        self.assertEqual(book(4, 2, 4).clients(held(JOINED, LEFT), 163), ["db2:7379", "db9:7379", "db4:7379"])
        self.assertEqual(book(1, 1, 2).clients(FIRST, 0), ["db1:7379", "db2:7379"])

    def test_ports_with_tls(self) -> None:
        """The file alone has them, so they are told while it has the address for clients that the log has."""
        nodes = [
            {"id": 1, "client": "db1:7379", "client_tls": "db1:7479", "peer": "db1:5101"},
            {"id": 2, "client_tls": "db2:7479", "peer": "db2:5102"},
            {"id": 3, "client": "db3:7379", "client_tls": "db3:7479", "peer": "db3:5103"},
            {"id": 4, "client": "db4:7379", "peer": "db4:5104"},
        ]
        tls = {"ca": "ca.pem", "certificate": "n.pem", "key": "n.key"}
        found = AddressBook(parse_config({"cluster": "c", "node": nodes, "tls": tls}), 1)
        told = {node: found.client_tls(held(JOINED), node) for node in (1, 2, 3, 4, 9)}
        self.assertEqual(told, {1: "db1:7479", 2: "db2:7479", 3: "", 4: "", 9: ""})
        self.assertEqual(found.client_tls(FIRST, 3), "db3:7479")


class DifferenceTests(SynchronousTestCase):
    def test_the_same_nodes(self) -> None:
        self.assertIsNone(book(1, 3, 2, 1).difference(FIRST, 0))

    def test_other_nodes(self) -> None:
        """A node that was down during a change starts with either file, and its operator reads what differs."""
        reason = book(1, 1, 2, 3).difference(held(JOINED), 10)
        self.assertEqual(reason, "the config file lists the nodes 1, 2, 3, and the members are 1, 2, 3, 4")

    def test_nothing_is_said_of_a_node_that_is_no_member(self) -> None:
        """The file of a joiner lists who is there already; that of a removed node matters no more."""
        self.assertIsNone(book(9, 4, 9).difference(FIRST, 0))
        self.assertIsNone(book(1, 1, 2, 3).difference(held(JOINED, LEFT), 163))
