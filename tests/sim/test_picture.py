"""Pictures: what a stranger sees of a run."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.messages import (
    Accept,
    Accepted,
    ChosenMark,
    ChosenThrough,
    Heartbeat,
    Prepare,
    PrepareSlot,
    Promise,
    PromiseSlot,
    SlotChosen,
)
from dkv.records import NOOP
from dkv.sim.picture.legend import COLOURS
from dkv.sim.picture.picture import picture
from dkv.sim.picture.sheet import GAP_PIXELS_MAX, Axis, Sheet
from dkv.sim.run import run
from dkv.sim.trace import Happening
from dkv.state_messages import ChosenSlots

B, C = Ballot(1, 1), Ballot(2, 2)
PROMISE = Promise(C, 0, 0, 7, 0, 1, ())
SENTENCE = "I3: one < two & <three> \x00"
EVENTS = [
    Happening(1.0, 1, "note", "proposer leading ballot=1.1 chosen_through=0 recovering=0"),
    Happening(1.001, 1, "send", Heartbeat(B, 1, 0, 0, 0), 1, 2),
    Happening(1.002, 1, "send", Accept(B, 1, NOOP, 0), 2, 2),
    Happening(1.002, 1, "drop", Accept(B, 1, NOOP, 0), 3, 3),
    Happening(1.003, 2, "arrive", Accept(B, 1, NOOP, 0), 2, 1),
    Happening(1.003, 2, "commit", "begins"),
    Happening(1.004, 2, "durable", "1 keys"),
    Happening(1.004, 0, "chosen", "slot 1 in ballot 1.1"),
    Happening(1.004, 2, "send", Accepted(B, 1), 4, 1),
    Happening(1.005, 1, "arrive", Accepted(B, 1), 4, 2),
    Happening(1.006, 1, "send", ChosenMark(B, 1), 5, 2),
    Happening(1.007, 1, "send", ChosenMark(B, 1), 6, 2),
    Happening(1.008, 3, "commit", "begins"),
    Happening(1.009, 3, "crash", "kill -9"),
    Happening(1.010, 1, "send", Accept(B, 2, NOOP, 1), 7, 2),
    Happening(1.011, 3, "start", "boot 2"),
    Happening(1.012, 1, "cut", "to node 2"),
    Happening(1.013, 3, "lossy", "to node 2, 50%"),
    Happening(1.014, 1, "pause", "SIGSTOP"),
    Happening(1.015, 3, "lossy", "to node 2, 0%"),
    Happening(2.015, 1, "resume", "SIGCONT"),
    Happening(2.016, 1, "mend", "to node 2"),
    Happening(2.017, 2, "note", "proposer phase1_started ballot=2.2"),
    Happening(2.017, 2, "send", Prepare(C, 1), 8, 3),
    Happening(2.018, 3, "arrive", Prepare(C, 1), 8, 2),
    Happening(2.018, 3, "send", PROMISE, 9, 2),
    Happening(2.018, 3, "arrive", Prepare(C, 1), 8, 2),
    Happening(2.019, 2, "arrive", PROMISE, 9, 3),
    Happening(2.019, 2, "note", "proposer leading ballot=2.2 chosen_through=1 recovering=1"),
    Happening(2.020, 2, "send", Accept(C, 2, NOOP, 1), 10, 3),
    Happening(2.021, 3, "send", ChosenSlots(1, (NOOP, NOOP), 2), 11, 1),
    Happening(2.022, 3, "arrive", Accept(C, 2, NOOP, 1), 10, 2),
    Happening(2.023, 0, "violated", SENTENCE),
]
SVG = "{http://www.w3.org/2000/svg}"


class PictureCase(SynchronousTestCase):
    def draw(self, events: list[Happening], **options: int | float | None) -> ElementTree.Element:
        """The picture, as a browser reads it."""
        return ElementTree.fromstring(picture(events, 3, **options))  # type: ignore[arg-type]  # by their names

    def texts(self, root: ElementTree.Element) -> list[str]:
        """Everything that is written in it."""
        return [element.text or "" for element in root.iter(f"{SVG}text")]

    def titles(self, root: ElementTree.Element, kind: str = "arrow") -> list[str]:
        """The text shown when the mouse is over things of a kind."""
        groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == kind]
        return [group.findtext(f"{SVG}title") or "" for group in groups]


CLASSIC_EVENTS = [
    Happening(1.000, 1, "send", PrepareSlot(B, 4), 1, 2),
    Happening(1.001, 2, "arrive", PrepareSlot(B, 4), 1, 1),
    Happening(1.001, 2, "send", PromiseSlot(B, 4, None), 2, 1),
    Happening(1.002, 1, "arrive", PromiseSlot(B, 4, None), 2, 2),
    Happening(1.002, 3, "send", PrepareSlot(C, 5), 3, 2),
    Happening(1.003, 3, "send", ChosenThrough(4, 9, 8), 4, 2),
    Happening(1.004, 3, "send", ChosenThrough(4, 9, 8), 5, 2),
    Happening(1.005, 1, "send", SlotChosen(B, 4), 6, 2),
]


class PictureTests(PictureCase):
    def test_classic_mode(self) -> None:
        """Its messages are named by their slots; those of one slot can be drawn alone; what is repeated is left out."""
        self.assertEqual(len(self.titles(self.draw(CLASSIC_EVENTS))), 5)
        of_slot = self.titles(self.draw(CLASSIC_EVENTS, slot=4))
        self.assertEqual(len(of_slot), 4)
        self.assertFalse([title for title in of_slot if "slot=5" in title])
        self.assertIn("PrepareSlot 4", self.texts(self.draw(CLASSIC_EVENTS)))

    def test_what_is_written(self) -> None:
        """Nodes, messages, the crash, the chosen slot and the violation, whatever characters it has."""
        texts = self.texts(self.draw(EVENTS))
        for text in (
            "node 1",
            "node 2",
            "node 3",
            "Accept 1",
            "Accepted 1",
            "crash",
            "phase 1",
            "leads",
            "1",
            "1.1",
            "2.2",
        ):
            self.assertIn(text, texts)
        self.assertIn("I3: one < two & <three> \N{REPLACEMENT CHARACTER}", texts)

    def test_messages(self) -> None:
        """An arrow for each arrival; what is lost is told from what arrives, comes twice, or is still on its way."""
        titles = self.titles(self.draw(EVENTS))
        self.assertIn(
            "1 to 2: Accept ballot=1.1 slot=1 value=[] chosen_through=0 clock=0 (sent 1.002000, arrived 1.003000)",
            titles,
        )
        self.assertIn(
            "1 to 3: Accept ballot=1.1 slot=1 value=[] chosen_through=0 clock=0 (sent 1.002000, never arrived)", titles
        )
        self.assertEqual(sum("Prepare" in title for title in titles), 2)
        self.assertEqual(len(titles), 10)

    def test_edges(self) -> None:
        """A message that crosses the edge of the picture is neither left out nor called lost."""
        titles = self.titles(self.draw(EVENTS, around=1.004, last=6))
        self.assertIn("2 to 1: Accepted ballot=1.1 slot=1 votes=0 chosen_through=0 (sent 1.004000, on its way)", titles)
        titles = self.titles(self.draw(EVENTS[:10], last=1))
        self.assertEqual([title.partition(" (")[2] for title in titles], ["sent before the picture, arrived 1.005000)"])

    def test_lanes(self) -> None:
        """When nodes led, were down or paused."""
        self.assertEqual(
            self.titles(self.draw(EVENTS), "lane"),
            [
                "node 1 up, leads in ballot 1.1, 1.000000 to 1.014000 s",
                "node 1 paused, leads in ballot 1.1, 1.014000 to 2.015000 s",
                "node 1 up, leads in ballot 1.1, 2.015000 to 2.023000 s",
                "node 2 up, 1.000000 to 2.017000 s",
                "node 2 up, phase 1 in ballot 2.2, 2.017000 to 2.019000 s",
                "node 2 up, leads in ballot 2.2, 2.019000 to 2.023000 s",
                "node 3 up, 1.000000 to 1.009000 s",
                "node 3 down, 1.009000 to 1.011000 s",
                "node 3 up, 1.011000 to 2.023000 s",
            ],
        )

    def test_lead_from_before(self) -> None:
        """A leader is one from the left edge on, though its election is not in the picture, nor in the events."""
        for events in (EVENTS, EVENTS[1:]):
            lanes = self.titles(self.draw(events, around=1.011, last=2), "lane")
            self.assertEqual(lanes[0], "node 1 up, leads in ballot 1.1, 1.010000 to 1.011000 s")

    def test_commits_and_links(self) -> None:
        """Which commits became durable, which did not, and which links carried nothing when."""
        root = self.draw(EVENTS)
        self.assertEqual(
            self.titles(root, "commit"),
            [
                "node 2: a commit, begun at 1.003000, durable at 1.004000",
                "node 3: a commit, begun at 1.008000, lost at 1.009000",
            ],
        )
        self.assertEqual(
            self.titles(root, "trouble"),
            ["1 to 2: cut, from 1.012000 to 2.016000 s", "3 to 2: loses 50%, from 1.013000 to 1.015000 s"],
        )

    def test_no_noise(self) -> None:
        """Heartbeats and repeated marks hide what matters."""
        titles = self.titles(self.draw(EVENTS))
        self.assertNotIn("Heartbeat", " ".join(titles))
        self.assertEqual(sum("ChosenMark" in title for title in titles), 1)
        news = Happening(1.0075, 1, "send", ChosenMark(B, 2), 12, 2)
        titles = self.titles(self.draw([*EVENTS[:12], news]))
        self.assertEqual(sum("ChosenMark" in title for title in titles), 2)

    def test_before_the_picture(self) -> None:
        """Commits, cuts and faults that ended before are not shown; those that last begin at the edge."""
        earlier = [
            Happening(0.1, 1, "lossy", "to node 3, 20%"),
            Happening(0.2, 1, "cut", "to node 3"),
            Happening(0.3, 2, "cut", "to node 3"),
            Happening(0.4, 1, "commit", "begins"),
            Happening(0.5, 1, "durable", "1 keys"),
            Happening(0.6, 0, "heal", "node 1 node 2"),
            Happening(0.7, 1, "mend", "to node 3"),
        ]
        root = self.draw([*earlier, *EVENTS[:8]], last=7)
        self.assertEqual(self.titles(root, "trouble"), ["2 to 3: cut, from 1.000000 to 1.004000 s"])
        self.assertEqual(len(self.titles(root, "commit")), 1)

    def test_members_that_change(self) -> None:
        """A lane begins where a node joins, and ends where it hears that it was removed; a change is there in words."""
        events = [
            Happening(1.0, 1, "note", "proposer leading ballot=1.1 chosen_through=0 recovering=0"),
            Happening(1.1, 5, "start", "boot 1"),
            Happening(1.2, 2, "change", "remove 3, promote 5"),
            Happening(1.3, 3, "note", "roster members_in_force slot=4 from_slot=6"),
            Happening(1.4, 3, "note", "roster removed slot=4 addresses=[]"),
            Happening(1.5, 3, "start", "boot 2"),
            Happening(1.6, 1, "crash", "kill -9"),
        ]
        root = self.draw(events[:5] + events[6:])
        lanes = self.titles(root, "lane")
        self.assertIn("node 5 up, 1.100000 to 1.600000 s", lanes)
        self.assertEqual([lane for lane in lanes if lane.startswith("node 3")], ["node 3 up, 1.000000 to 1.400000 s"])
        for text in ("remove 3, promote 5", "new members", "removed", "node 5"):
            self.assertIn(text, self.texts(root))
        self.assertIn("node 3 up, 1.500000 to 1.600000 s", self.titles(self.draw(events), "lane"))

    def test_one_slot(self) -> None:
        """Nothing of other slots, nor of ballots that did not propose it, nor of before and after."""
        root = self.draw(EVENTS, slot=1)
        kinds = [title.split()[3] for title in self.titles(root)]
        self.assertEqual(sorted(kinds), ["Accept", "Accept", "Accepted", "ChosenMark", "ChosenSlots"])
        self.assertEqual(self.titles(root, "violated"), [])
        root = self.draw(EVENTS, slot=2)
        kinds = [title.split()[3] for title in self.titles(root)]
        self.assertEqual(sorted(kinds), ["Accept", "Accept", "ChosenSlots", "Prepare", "Prepare", "Promise"])
        self.assertEqual(self.titles(root, "commit"), [])
        self.assertEqual(self.titles(root, "chosen"), [])

    def test_a_part(self) -> None:
        """The last events, or those around a time."""
        self.assertNotIn(" slot=1", " ".join(self.titles(self.draw(EVENTS, last=4))))
        titles = " ".join(self.titles(self.draw(EVENTS, last=4, around=1.003)))
        self.assertIn(" slot=1", titles)
        self.assertNotIn(" slot=2", titles)

    def test_colours(self) -> None:
        """Neighbouring ballots differ, and a ballot has one colour in all pictures of a run."""
        for options in ({}, {"slot": 2}):
            lines = [line for line in self.draw(EVENTS, **options).iter(f"{SVG}g") if line.get("class") == "arrow"]
            colours = {
                ballot: {
                    shape.get("stroke")
                    for group in lines
                    if f"ballot={ballot}" in (group[0].text or "")
                    for shape in group[1:2]
                }
                for ballot in ("1.1", "2.2")
            }
            self.assertEqual(colours, {"1.1": {COLOURS[0]}, "2.2": {COLOURS[1]}})

    def test_nothing(self) -> None:
        """A run in which nothing happened is a picture too, and so is a slot that nobody proposed."""
        self.assertIn("node 3", self.texts(self.draw([])))
        self.assertIn("node 3", self.texts(self.draw(EVENTS, slot=99)))

    def test_real_runs(self) -> None:
        """The same seed is the same picture, well-formed whatever happened, with a lane for each node."""
        for seed in range(1, 6):
            pictures = [picture(run(seed, 5, 2.0).events, 5, last=200) for _ in range(2)]
            self.assertEqual(pictures[0], pictures[1])
            lanes = self.titles(ElementTree.fromstring(pictures[0]), "lane")
            self.assertEqual({lane.split()[1] for lane in lanes}, set("12345"))


class AxisTests(SynchronousTestCase):
    def test_order_and_gaps(self) -> None:
        """Time never runs backwards, and a long silence does not push what follows out of sight."""
        times = [1.0, 1.001, 1.002, 1.003, 1.004, 61.0, 61.001]
        axis = Axis(times, 10.0, 0.0)
        xs = [axis.x(time) for time in times]
        self.assertEqual(xs, sorted(set(xs)))
        self.assertEqual([round(gap.seconds, 3) for gap in axis.gaps], [59.996])
        self.assertLessEqual(xs[5] - xs[4], GAP_PIXELS_MAX)
        self.assertAlmostEqual(axis.x(1.0015), (xs[1] + xs[2]) / 2)

    def test_ticks(self) -> None:
        """Labels of times do not cover each other."""
        axis = Axis([index / 1000 for index in range(100)], 0.0, 0.0)
        xs = [x for _, x in axis.ticks(80.0)]
        self.assertGreater(len(xs), 10)
        self.assertGreaterEqual(min(later - x for x, later in pairwise(xs)), 80.0)


class SheetTests(SynchronousTestCase):
    def test_labels(self) -> None:
        """No label covers another: it goes to its next place, or is left out."""
        sheet = Sheet()
        self.assertTrue(sheet.label([(0, 20)], "Accept 1", "red"))
        self.assertFalse(sheet.label([(10, 20), (0, 25)], "Accept 2", "red"))
        self.assertTrue(sheet.label([(10, 20), (0, 60)], "Accept 3", "red"))
        svg = sheet.svg(100, 100)
        self.assertNotIn("Accept 2", svg)
        self.assertIn('<text x="0.0" y="60.0" font-size="10" text-anchor="start" fill="red">Accept 3</text>', svg)
