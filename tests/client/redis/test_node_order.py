"""Which node is asked next, and what a program may write for a list of nodes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint
from dkv.client.redis.node_order import NodeOrder, split_url


class NodeOrderTests(SynchronousTestCase):
    def test_a_node_that_failed_is_asked_last(self) -> None:
        """All go on with the next one, and do not try the dead one first each time."""
        order = NodeOrder(["a:1", Endpoint("b", 2), "c:3", "a:1"])
        self.assertEqual([str(each) for each in order], ["a:1", "b:2", "c:3"])
        order.failed(Endpoint("a", 1))
        order.failed(Endpoint("b", 2))
        order.failed(Endpoint("other", 4))
        self.assertEqual([str(each) for each in order], ["c:3", "a:1", "b:2"])
        self.assertEqual([order.failures(each) for each in order], [0, 1, 1])

    def test_a_list_is_needed(self) -> None:
        """A client without nodes would say nothing until its first request."""
        self.assertRaises(ValueError, NodeOrder, [])
        self.assertRaises(ValueError, NodeOrder, ["a"])

    def test_urls(self) -> None:
        """A URL is what most programs are configured by."""
        cases = {
            "redis://a:1,b:2,c/3?x=1": ("redis://a:1/3?x=1", ["a:1", "b:2", "c:6379"]),
            "redis://u:p@a:1, b:2": ("redis://u:p@a:1", ["a:1", "b:2"]),
            "redis://[::1]:1,[::2]/0": ("redis://[::1]:1/0", ["[::1]:1", "[::2]:6379"]),
            "rediss://a?x=1": ("rediss://a?x=1", ["a:6379"]),
            "unix:///tmp/x,y": ("unix:///tmp/x,y", []),
            "redis:///1": ("redis:///1", []),
            "a:1": ("a:1", []),
        }
        for url, expected in cases.items():
            self.assertEqual(split_url(url), expected, url)

    def test_a_password_is_not_shown(self) -> None:
        """One that was not quoted must not be taken for a node, whose name an error has."""
        with self.assertRaises(ValueError) as caught:
            split_url("rediss://app:sec/ret@a:1/0")
        self.assertNotIn("sec", str(caught.exception))
        self.assertEqual(split_url("redis://a:1/0?password=a@b"), ("redis://a:1/0?password=a@b", ["a:1"]))
