"""What a node knows of itself and of the other voters, for those who look for a master."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.configurations import Configuration, Configurations, first_configurations
from dkv.console.member_lags import MemberLags
from dkv.console.member_view import MemberView
from dkv.console.sentinel_view import SentinelView
from dkv.identity import Identity
from dkv.settings import Timings

FIRST = first_configurations((1, 2, 3))
LATER = Configurations((*FIRST.sets, Configuration(10, 74, frozenset((1, 2, 5)), frozenset((4,)))), (), 5)


class Addresses:
    """Those that the test sets."""

    def __init__(self) -> None:
        self.clients = {node: f"db{node}:7379" for node in range(1, 6)}

    def peer(self, held: Configurations, node: int) -> str:
        return ""

    def client(self, held: Configurations, node: int) -> str:
        return self.clients[node]

    def client_tls(self, held: Configurations, node: int) -> str:
        return ""

    def difference(self, held: Configurations, applied: int) -> str | None:
        return None


class SentinelViewTests(SynchronousTestCase):
    """Node 1 of three. Node 2 was heard half a second ago, node 3 is not reached."""

    def setUp(self) -> None:
        self.addresses = Addresses()
        self.members = self.members_of(1)
        self.lags = MemberLags(1, lambda: 0.0)
        self.silent: dict[int, float] = {2: 0.5}
        self.serves = True
        self.view = self.view_of(1)

    def members_of(self, node: int) -> MemberView:
        identity = Identity("shop", node, 0xA0 + node, 7, b"\1" * 16, (1, 2, 3))
        return MemberView(identity, FIRST, 0, self.addresses, lambda node: None)

    def view_of(self, node: int) -> SentinelView:
        identity = Identity("shop", node, 0xA0 + node, 7, b"\1" * 16, (1, 2, 3))
        return SentinelView(
            identity, self.members, self.lags, Timings(), self.silent.get, lambda: self.serves, lambda: 40, lambda: 3
        )

    def test_the_others(self) -> None:
        """Where they are, whether they are reached, and how far they have come."""
        self.lags.takers[noted.applied](through=40, slots=1, entries=1, seconds=0.0)
        self.lags.takers[noted.peer_applied](peer=2, through=38)
        second, third = self.view.others()
        self.assertEqual((second.node, str(second.address), second.silent_seconds), (2, "db2:7379", 0.5))
        self.assertEqual((third.node, third.silent_seconds, third.applied), (3, None, 0))
        self.assertEqual(second.applied, 38)

    def test_silence(self) -> None:
        """A node whose connection is open, but from which nothing comes, is not one to send clients to."""
        self.silent[2] = 2.1
        self.assertIsNone(self.view.others()[0].silent_seconds)

    def test_after_a_change_of_members(self) -> None:
        """Clients follow: a standby is nobody's master, and a node that left is not named."""
        self.members.takers[noted.members_are](configurations=LATER, applied=80)
        self.assertEqual([other.node for other in self.view.others()], [2, 5])

    def test_addresses(self) -> None:
        """A node without an address that a client could dial is not named; this one is where the client found it."""
        self.addresses.clients |= {1: "", 2: "unix:/run/dkv.sock"}
        self.assertIsNone(self.view.address)
        self.assertEqual(self.view.address_within("10.0.0.1:7379"), ("10.0.0.1", 7379))
        self.assertEqual(str(self.view.address_within("[::1]:7379")), "[::1]:7379")
        self.assertIsNone(self.view.address_within("UNIXAddress('/run/dkv.sock')"))
        self.assertEqual([other.node for other in self.view.others()], [3])
        self.addresses.clients[1] = "db1:7379"
        self.assertEqual(self.view.address_within("10.0.0.1:7379"), ("db1", 7379), "as it is advertised")

    def test_down(self) -> None:
        """While it serves nothing, and from the moment at which it begins to stop."""
        self.assertFalse(self.view.down)
        self.serves = False
        self.assertTrue(self.view.down)
        self.serves = True
        self.view.leave()
        self.assertTrue(self.view.down)

    def test_names(self) -> None:
        """Each node has a name of its own, by which all others know it too."""
        other = self.view_of(2)
        self.assertEqual(other.run_id(), self.view.run_id(2))
        self.assertNotEqual(other.run_id(), self.view.run_id())
        self.assertRegex(self.view.run_id(), "^[0-9a-f]{40}$")

    def test_replication(self) -> None:
        """INFO counts the nodes that are reached, as Redis counts connected replicas."""
        fields = self.view.replication()
        self.assertEqual((fields["role"], fields["connected_slaves"]), ("master", 1))
        self.assertEqual(fields["slave0"], "ip=db2,port=7379,state=online,offset=40,lag=0")
        self.assertNotIn("slave1", fields)
        self.assertEqual(fields["master_repl_offset"], 40)
