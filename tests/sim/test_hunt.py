"""The hunts for planted bugs: where they begin, and that nothing counts as found that was not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from dkv.sim.run import run
from tests.sim import hunt
from tests.sim.planted import PLANTS

HEAD = "# Planted bugs\n\n| Bug | Mode | First seed | What is planted |\n|---|---|---|---|\n"


@contextmanager
def nothing_planted() -> Iterator[None]:
    """The product as it is."""
    yield


class HuntTests(hunt.HuntTestCase):
    """A hunt that is satisfied too easily lets a blind simulator pass."""

    def page(self, *rows: str) -> Path:
        """Let the hunts use a page with these rows."""
        page = Path(self.mktemp())
        page.write_text("".join([HEAD, *(f"{row}\n" for row in rows)]))
        self.patch(hunt, "PAGE", page)
        self.patch(hunt, "WRITE", False)
        return page

    def seeds_run(self) -> list[int]:
        """The seeds that hunts run from now on."""
        seeds: list[int] = []

        def noted(seed: int, *arguments: Any, **options: Any) -> Any:
            seeds.append(seed)
            return run(seed, *arguments, **options)

        self.patch(hunt, "run", noted)
        return seeds

    def test_no_bug_is_not_found(self) -> None:
        """Whatever seed the page names: it is run, and so are all the others."""
        self.page("| `none` | leader | 2 | Nothing. |")
        failure = self.assertRaises(AssertionError, self.check_found, "none", nothing_planted, [""], within=3)
        self.assertIn("none was not found in 3 seeds", str(failure))

    def test_it_begins_at_the_seed_of_the_page(self) -> None:
        """B1 is found with seed 1; with the page's word for it, seed 3 is run and no other."""
        seeds = self.seeds_run()
        self.page("| `B1` | leader | 3 | As it was. |")
        self.check_found("B1", PLANTS["B1"], ["I1", "I2"])
        self.page("| `B1` | classic | 3 | Of another mode. |")
        self.check_found("B1", PLANTS["B1"], ["I1", "I2"])
        self.assertEqual(seeds, [3, 1])

    def test_a_seed_beyond_the_limit_does_not_count(self) -> None:
        """A bug that takes 301 seeds has become too hard to find, whatever the page says."""
        self.page("| `B1` | leader | 301 | As it was. |")
        seeds = self.seeds_run()
        self.check_found("B1", PLANTS["B1"], ["I1", "I2"])
        self.assertEqual(seeds, [1])

    def test_it_says_what_is_broken(self) -> None:
        """A violation of something else shows that the plant does more than it says, or something else is wrong."""
        self.page()
        self.assertRaises(AssertionError, self.check_found, "B1", PLANTS["B1"], ["no such words"])

    def test_a_seed_that_always_finds_something_is_not_written(self) -> None:
        """A bug of the product may break the same rule, and then the planted one may never have been at work."""
        page = self.page()
        before = page.read_text()
        self.patch(hunt, "WRITE", True)
        self.patch(hunt, "run", lambda *arguments, **options: Mock(violation="I3: two values"))
        failure = self.assertRaises(AssertionError, self.check_found, "B5", PLANTS["B5"], ["I3"])
        self.assertIn("seed 1 finds something where nothing is planted", str(failure))
        self.assertEqual(page.read_text(), before)

    def test_rows_are_written(self) -> None:
        """By mode, then by number; a row that is there is replaced."""
        page = self.page("| `B10` | leader | 7 | Ten. |", "| `B9` | leader | 7 | Nine. |")
        for name, mode, seed in (("B10", "leader", 8), ("edge", "leader", 5), ("B9", "classic", 6)):
            hunt.write_down(name, mode, seed, "New.")
        self.assertEqual(
            page.read_text().removeprefix(HEAD).splitlines(),
            [
                "| `B9` | classic | 6 | New. |",
                "| `B9` | leader | 7 | Nine. |",
                "| `B10` | leader | 8 | New. |",
                "| `edge` | leader | 5 | New. |",
            ],
        )
