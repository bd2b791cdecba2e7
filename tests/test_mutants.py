"""docs/mutants.md lists mutants of the code as it is: an entry about code that is gone would hide a new mutant."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.mutants.harmless import read_harmless, render

ROOT = Path(__file__).resolve().parent.parent


class HarmlessMutantsTests(SynchronousTestCase):
    """The page is read by people and by ``python -m tests.mutants``."""

    def test_entries_are_of_this_code(self) -> None:
        """Each line that an entry changes is still there."""
        for path, change in read_harmless(ROOT / "docs" / "mutants.md"):
            lines = {line.strip() for line in (ROOT / path).read_text().splitlines()}
            for changed in change:
                if changed.startswith("-"):
                    self.assertIn(changed[1:], lines, path)

    def test_an_entry_is_read_as_it_was_printed(self) -> None:
        """What a run prints of a survivor can be copied into the page, and its reason added."""
        survivor = ("dkv/ballot.py", ("-a = 1", "+a = 2"))
        page = Path(self.mktemp())
        page.write_text(f"# Mutants\n\n{render(survivor)}\nIt is never read.\n\n{render(survivor)}\nNor there.\n")
        self.assertEqual(read_harmless(page), {survivor})

    def test_an_entry_needs_its_reason(self) -> None:
        """Listed without a reason, a mutant is only hidden."""
        page = Path(self.mktemp())
        page.write_text(f"# Mutants\n\n{render(('dkv/ballot.py', ('-a = 1', '+a = 2')))}")
        self.assertRaises(AssertionError, read_harmless, page)
