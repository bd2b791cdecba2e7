"""The news for clients that listen: a node that serves nothing sends them to the next one."""

from __future__ import annotations

from unittest.mock import Mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import PublishHere
from dkv.console.sentinel_view import ClientAddress, Other
from dkv.node.sentinel_news import FAREWELL_SECONDS, LOOK_SECONDS, SentinelNews

OWN = ClientAddress("db2", 7379)


class SentinelNewsTests(SynchronousTestCase):
    """Node 2 of three, which has started, and reaches both others."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.view = Mock(address=OWN, down=True, node=2)
        self.view.name = "shop"
        self.view.run_id = lambda node: f"id{node}"
        self.view.leave = self.leave
        self.told: list[tuple[str, str]] = []
        self.reach()
        self.news = SentinelNews(self.clock, self.view, self.publish)
        self.news.start()
        self.view.down = False
        self.reach(1, 3)
        self.look()
        self.at_first, self.told = self.told, []

    def leave(self) -> None:
        self.view.down = True

    def publish(self, news: PublishHere) -> None:
        self.told.append((news.channel.decode(), news.message.decode()))

    def reach(self, *nodes: int) -> None:
        """These are reached, and no other."""
        others = [Other(node, ClientAddress(f"db{node}", 7379), 0.1 if node in nodes else None, 0) for node in (1, 3)]
        self.view.others.return_value = others

    def look(self) -> None:
        self.clock.advance(LOOK_SECONDS)

    def test_at_the_start(self) -> None:
        """Whoever listens learns that there is a node more."""
        self.assertIn(("-sdown", "master shop db2 7379"), self.at_first)
        self.assertIn(("-sdown", "slave db1:7379 db1 7379 @ shop db2 7379"), self.at_first)
        self.look()
        self.assertEqual(self.told, [], "nothing has changed since")

    def test_alone(self) -> None:
        """It names the next voter, although it does not reach it: its clients may."""
        self.reach()
        self.view.down = True
        self.look()
        self.assertEqual(
            self.told[-2:], [("+sdown", "master shop db2 7379"), ("+switch-master", "shop db2 7379 db3 7379")]
        )
        self.look()
        self.assertEqual(len(self.told), 6, "each is told once")
        self.view.down = False
        self.look()
        self.assertEqual(self.told[6:], [("-sdown", "master shop db2 7379")], "nobody is called back")

    def test_the_next_voter(self) -> None:
        """The one behind it, and the first one behind the last; one that is gone is passed."""
        self.reach(1)
        self.view.down = True
        self.look()
        self.assertEqual(self.told[-1], ("+switch-master", "shop db2 7379 db1 7379"))

    def test_another_node_is_gone(self) -> None:
        """node-redis looks anew when a replica or a sentinel is gone."""
        self.reach(1)
        self.look()
        self.assertEqual(
            self.told,
            [
                ("+sdown", "slave db3:7379 db3 7379 @ shop db2 7379"),
                ("+sdown", "sentinel id3 db3 7379 @ shop db2 7379"),
            ],
        )
        self.reach(1, 3)
        self.look()
        self.assertEqual([channel for channel, _ in self.told[2:]], ["-sdown", "-sdown"])

    def test_a_node_that_stops(self) -> None:
        """Clients hear of it before their connections end."""
        told = self.news.leave()
        self.assertEqual([channel for channel, _ in self.told], ["+sdown", "+switch-master"])
        self.assertNoResult(told)
        self.clock.advance(FAREWELL_SECONDS)
        self.successResultOf(told)
        self.news.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_node_that_stops_soon(self) -> None:
        """Also if nobody has looked since it began to serve."""
        self.view.down = True
        self.look()
        self.told.clear()
        self.view.down = False
        self.news.leave()
        self.assertEqual([channel for channel, _ in self.told], ["-sdown", "+sdown", "+switch-master"])

    def test_one_node_alone(self) -> None:
        """A cluster of one has nobody to send clients to."""
        self.view.others.return_value = []
        self.view.down = True
        self.look()
        self.assertEqual(self.told, [("+sdown", "master shop db2 7379")])

    def test_no_address(self) -> None:
        """A node on a UNIX socket has nothing to tell."""
        self.view.address = None
        self.view.down = True
        self.look()
        self.assertEqual(self.told, [])
