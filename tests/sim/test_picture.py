"""Pictures: what a stranger sees of a run."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from dkv.ballot import Ballot
from dkv.messages import Accept, Accepted, ChosenMark, Heartbeat
from dkv.sim.picture import picture
from dkv.sim.run import run
from dkv.sim.trace import Happening

B = Ballot(1, 1)
EVENTS = [
    Happening(1.0, 1, "note", "proposer leading ballot=1.1 chosen_through=0 recovering=0"),
    Happening(1.001, 1, "send", Heartbeat(B, 1), 1, 2),
    Happening(1.002, 1, "send", Accept(B, 1, (), 0), 2, 2),
    Happening(1.002, 1, "drop", Accept(B, 1, (), 0), 3, 3),
    Happening(1.003, 2, "arrive", Accept(B, 1, (), 0), 2, 1),
    Happening(1.003, 2, "commit", "begins"),
    Happening(1.004, 2, "durable", "1 keys"),
    Happening(1.004, 0, "chosen", "slot 1 in ballot 1.1"),
    Happening(1.004, 2, "send", Accepted(B, 1), 4, 1),
    Happening(1.005, 1, "arrive", Accepted(B, 1), 4, 2),
    Happening(1.006, 1, "send", ChosenMark(B, 1), 5, 2),
    Happening(1.007, 1, "send", ChosenMark(B, 1), 6, 2),
    Happening(1.008, 3, "crash", "kill -9"),
    Happening(1.009, 1, "send", Accept(B, 2, (), 1), 7, 2),
    Happening(1.010, 3, "start", "boot 2"),
    Happening(1.011, 0, "violated", "I3: one < two & <three>"),
]
SVG = "{http://www.w3.org/2000/svg}"


class PictureTests(SynchronousTestCase):
    def draw(self, events: list[Happening], **options: int | float | None) -> ElementTree.Element:
        """The picture, as a browser reads it."""
        return ElementTree.fromstring(picture(events, 3, **options))  # type: ignore[arg-type]  # by their names

    def texts(self, root: ElementTree.Element) -> list[str]:
        """Everything that is written in it."""
        return [element.text or "" for element in root.iter(f"{SVG}text")]

    def titles(self, root: ElementTree.Element) -> str:
        """Everything that is said when one points at something."""
        return "\n".join(element.text or "" for element in root.iter(f"{SVG}title"))

    def test_what_is_there(self) -> None:
        """Lanes, messages, the crash, the chosen slot and the violation, whatever characters it has."""
        root = self.draw(EVENTS)
        texts, titles = self.texts(root), self.titles(root)
        for text in ("node 1", "node 2", "node 3", "Accept 1", "Accepted 1", "crash", "I3: one < two & <three>", "1.1"):
            self.assertIn(text, texts)
        self.assertEqual(titles.count("Accepted ballot=1.1"), 1)
        self.assertIn("Accept ballot=1.1 slot=1 value=[] chosen_through=0 (lost, or not there yet)", titles)
        self.assertIn("leads in ballot 1.1", titles)

    def test_no_noise(self) -> None:
        """Heartbeats and repeated marks hide what matters."""
        titles = self.titles(self.draw(EVENTS))
        self.assertNotIn("Heartbeat", titles)
        self.assertEqual(titles.count("ChosenMark"), 1)

    def test_one_slot(self) -> None:
        """Nothing of other slots."""
        titles = self.titles(self.draw(EVENTS, slot=1))
        self.assertIn("slot=1", titles)
        self.assertNotIn("slot=2", titles)

    def test_a_part(self) -> None:
        """The last events, or those around a time."""
        self.assertNotIn("Accept 1", self.texts(self.draw(EVENTS, last=4)))
        titles = self.titles(self.draw(EVENTS, last=4, around=1.003))
        self.assertIn("slot=1", titles)
        self.assertNotIn("slot=2", titles)

    def test_nothing(self) -> None:
        """A run in which nothing happened is a picture too."""
        self.assertIn("node 3", self.texts(self.draw([])))

    def test_a_real_run(self) -> None:
        """The same seed is the same picture, well-formed whatever happened."""
        for seed in range(1, 6):
            pictures = [picture(run(seed, 3, 2.0).events, 3, last=200) for _ in range(2)]
            self.assertEqual(pictures[0], pictures[1])
            ElementTree.fromstring(pictures[0])
