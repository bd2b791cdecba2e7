"""Every script of this folder, played: one test each."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tests.scripts.script import REWRITE, ScriptFailed, check
from tests.sim import planted_clients, planted_gaps, planted_tokens  # noqa: F401 - imported for their plants
from tests.sim.planted import PLANTS, Plant
from tests.sim.planted_classic import CLASSIC_PLANTS
from tests.sim.planted_copies import COPIES
from tests.sim.planted_edges import EDGES
from tests.sim.planted_snapshots import SNAPSHOTS

HERE = Path(__file__).resolve().parent
PATHS = sorted(HERE.glob("*.txt"))


class ScriptTests(SynchronousTestCase):
    """What a reader learns from a script is what the nodes do."""


def _test_of(path: Path) -> Callable[[ScriptTests], None]:
    def test(self: ScriptTests) -> None:
        check(path)

    test.__doc__ = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return test


for _path in PATHS:
    setattr(ScriptTests, f"test_{_path.stem}", _test_of(_path))


def plants_of(number: str, classic: bool) -> list[Plant]:
    """The bugs that are planted under a number of docs/known-bugs.md, or under its name and a letter or words."""
    plants = CLASSIC_PLANTS if classic else PLANTS | COPIES | EDGES | SNAPSHOTS
    return [plant for name, plant in plants.items() if re.fullmatch(rf"{number}([a-z]|_.*)?", name, re.IGNORECASE)]


class PlantedTests(SynchronousTestCase):
    """What a script says that it shows, it shows."""

    def test_cited_bugs(self) -> None:
        """A script that cites a bug goes another way when that bug is planted into the nodes."""
        shown, unseen = set(), list[str]()
        for path in PATHS:
            citation = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()[-1]
            for number in re.findall(r"\bB\d+\b", citation):
                plants = plants_of(number, path.stem.startswith("classic"))
                if any(map(partial(self.notices, path), plants)):
                    shown.add(number)
                elif plants:
                    unseen.append(f"{path.stem}: {number}")
        self.assertEqual(unseen, [])
        self.assertGreater(len(shown), 15)

    def notices(self, path: Path, plant: Plant) -> bool:
        """Whether the script goes another way with this bug."""
        with plant(), patch.dict("os.environ", {REWRITE: ""}):
            try:
                check(path)
            except ScriptFailed:
                return True
        return False
