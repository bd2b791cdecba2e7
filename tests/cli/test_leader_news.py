"""What ``dkv cluster`` tells of elections, from lines as nodes log them."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.cli.leader_news import EVENTS, LeaderNews, parse


def line(node: int, second: float, event: str, **fields: object) -> bytes:
    """A line of a node's log."""
    known = {"timestamp": f"2026-11-26T21:09:{second:09.6f}Z", "level": "info", "node": node, "event": event}
    return json.dumps(known | fields).encode() + b"\n"


class NewsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.paths = [Path(self.mktemp()) for _ in range(3)]
        for path in self.paths:
            path.write_bytes(b"a line of an earlier life\n")
        self.leaders = LeaderNews((path, path.stat().st_size) for path in self.paths)

    def happens(self, node: int, second: float, event: str, **fields: object) -> None:
        with self.paths[node - 1].open("ab") as log:
            log.write(line(node, second, event, **fields))

    def elected(self, second: float, ballot: str, *nodes: int) -> None:
        for node in nodes:
            leader = int(ballot.partition(".")[2])
            self.happens(node, second + node / 1000, "leader_elected", leader=leader, ballot=ballot)

    def test_events(self) -> None:
        """An event that is renamed in the code would be told no more."""
        self.assertEqual(set(EVENTS) - {event.name for event in noted.TABLE}, set())

    def test_first_leader(self) -> None:
        """Once, and not from every node that has heard of it."""
        self.elected(1, "1.2", 1, 2, 3)
        self.assertEqual(self.leaders.news(), ["node 2 leads in ballot 1.2"])
        self.assertEqual(self.leaders.news(), [])

    def test_why(self) -> None:
        """Who was lost, why, and how long nobody led, from the first node that noted it."""
        self.elected(1, "1.1", 1, 2, 3)
        self.leaders.news()
        self.happens(3, 7.5, "leader_lost", leader=1, ballot="1.1", reason="its connection was lost")
        self.happens(2, 7.1, "leader_lost", leader=1, ballot="1.1", reason="silent for 0.912 s")
        self.elected(7.5, "3.2", 2, 3)
        expected = "node 2 leads in ballot 3.2: elected 0.40 s after node 1 was lost (silent for 0.912 s)"
        self.assertEqual(self.leaders.news(), [expected])

    def test_stepped_down(self) -> None:
        """A leader that gave up says why itself; the others only say that it resigned."""
        self.elected(1, "1.1", 1)
        self.happens(1, 5, "stepped_down", ballot="1.1", by="1.1", reason="no quorum answers its heartbeats")
        self.happens(1, 5.1, "leader_lost", leader=1, ballot="1.1", reason="this node stepped down")
        self.happens(2, 5.2, "leader_lost", leader=1, ballot="1.1", reason="it resigned")
        self.elected(5.499, "2.1", 1)
        self.assertTrue(
            self.leaders.news()[1].endswith("0.50 s after node 1 was lost (no quorum answers its heartbeats)")
        )

    def test_handed_over(self) -> None:
        """Nobody was lost. If another node than the one that was asked leads, nothing is said of why."""
        self.elected(1, "1.1", 1)
        self.leaders.news()
        self.happens(2, 5, "taking_over", leader=1, ballot="1.1")
        self.happens(1, 5.1, "stepped_down", ballot="1.1", by="2.2", reason="an acceptor has promised a higher ballot")
        self.elected(5.2, "2.2", 2, 3)
        self.assertEqual(self.leaders.news(), ["node 2 leads in ballot 2.2: node 1 handed over"])
        self.happens(1, 6, "taking_over", leader=2, ballot="2.2")
        self.elected(7, "3.3", 3)
        self.assertEqual(self.leaders.news(), ["node 3 leads in ballot 3.3"])

    def test_late_words(self) -> None:
        """A frozen leader that wakes up, long after another one was elected, is no news."""
        self.elected(1, "1.1", 2)
        self.elected(5, "2.2", 2)
        self.leaders.news()
        self.happens(1, 9, "stepped_down", ballot="1.1", by="2.2", reason="it was overtaken")
        self.elected(9.1, "1.1", 1)
        self.assertEqual(self.leaders.news(), [])

    def test_alone(self) -> None:
        """A node that hears too few says so, and when that is over; not that it heard them at its start, nor that it
        came up before the others."""
        self.happens(3, 0.5, "quorum_lost", heard=[])
        self.happens(3, 1, "quorum_heard", heard=[1, 2])
        self.assertEqual(self.leaders.news(), [])
        self.happens(3, 2, "quorum_lost", heard=[])
        self.assertEqual(
            self.leaders.news(), ["node 3 hears no majority any more, only itself: it can neither write nor read"]
        )
        self.happens(3, 3, "quorum_heard", heard=[1])
        self.assertEqual(self.leaders.news(), ["node 3 hears a majority again"])

    def test_a_line_in_two_parts(self) -> None:
        """A look in the middle of a line loses nothing."""
        text = line(1, 1, "leader_elected", leader=1, ballot="1.1")
        with self.paths[0].open("ab", buffering=0) as log:
            log.write(text[:60])
            self.assertEqual(self.leaders.news(), [])
            log.write(text[60:])
        self.assertEqual(len(self.leaders.news()), 1)

    def test_rotated(self) -> None:
        """copytruncate empties the file; and a file that is gone ends nothing."""
        self.elected(1, "1.1", 1)
        self.leaders.news()
        self.paths[0].write_bytes(line(1, 2, "leader_elected", leader=2, ballot="2.2"))
        self.paths[1].unlink()
        self.assertEqual(len(self.leaders.news()), 1)

    @given(st.one_of(st.binary(), st.sampled_from(EVENTS).map(lambda event: f'{{"event": "{event}"}}'.encode())))
    def test_any_line(self, text: bytes) -> None:
        """Whatever stands in a log: a mistake here would end a cluster that runs well."""
        self.assertIsNone(parse(text))

    @given(
        st.sampled_from(EVENTS), st.dictionaries(st.sampled_from(("ballot", "heard", "reason")), st.text() | st.none())
    )
    def test_any_field(self, event: str, fields: dict[str, str | None]) -> None:
        """A line is told as it is meant, or not at all."""
        path = Path(self.mktemp())
        path.write_bytes(line(1, 1, event, **fields))
        LeaderNews([(path, 0)]).news()
