"""What the line client tells of the node that it talks to."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.cli import whereabouts
from dkv.cli.whereabouts import LOOK_SECONDS, Whereabouts
from dkv.client.blocking import Endpoint
from dkv.client.survey import Answer

A, B = Endpoint("a", 1), Endpoint("b", 1)


class WhereaboutsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.fields: dict[str, Any] = {"cluster": "c", "node": 1, "leader": 3}
        self.asked = 0
        self.patch(time, "monotonic", lambda: self.now)
        self.patch(whereabouts, "ask_one", self.ask_one)
        self.whereabouts = Whereabouts()

    def ask_one(self, endpoint: Endpoint, *_: object) -> list[Answer]:
        self.asked += 1
        return [Answer(endpoint, True, json.dumps(self.fields).encode(), "", 0.0)]

    def test_told_once(self) -> None:
        """At the start; then only what is new, and the node is asked once a second at most."""
        self.assertEqual(self.whereabouts.news(A), "cluster 'c', node 1 at a:1: node 3 leads")
        self.fields["leader"] = 1
        self.assertIsNone(self.whereabouts.news(A))
        self.assertEqual(self.asked, 1)
        self.now += LOOK_SECONDS
        self.assertEqual(self.whereabouts.news(A), "cluster 'c', node 1 at a:1: this node leads")
        self.now += LOOK_SECONDS
        self.assertIsNone(self.whereabouts.news(A))

    def test_moved(self) -> None:
        """A person who types on must see at once that another node answers."""
        self.whereabouts.news(A)
        self.fields["node"] = 2
        self.assertEqual(self.whereabouts.news(B), "cluster 'c', node 2 at b:1: node 3 leads")
        self.fields["node"] = 1
        self.assertEqual(self.whereabouts.news(A), "cluster 'c', node 1 at a:1: node 3 leads")
        self.assertIsNone(self.whereabouts.news(None))

    def test_no_leader(self) -> None:
        """An election, and a cluster that has none."""
        self.fields["leader"] = 0
        self.assertEqual(self.whereabouts.news(A), "cluster 'c', node 1 at a:1: no node leads at the moment")
        self.fields["mode"] = "classic"
        self.assertEqual(self.whereabouts.news(B), "cluster 'c', node 1 at b:1: no node leads in classic mode")

    def test_another_server(self) -> None:
        """One that says nothing of itself, such as a Redis."""
        self.fields.clear()
        self.assertIsNone(self.whereabouts.news(A))
