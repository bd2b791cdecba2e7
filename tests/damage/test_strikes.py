"""Strikes do what they say, and the judge sees what they did: else a sweep would find nothing and look well."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.damage.strikes import Strike, exchanges, files_of, flip, flips, losses, remove, replace_state, truncate, zero


class StrikeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.other = Path(self.mktemp())
        for directory, content in ((self.directory, b"ours"), (self.other, b"theirs")):
            (directory / "state-00000001").mkdir(parents=True)
            (directory / "CURRENT").write_bytes(content)
            (directory / "state-00000001" / "000005.log").write_bytes(content * 2_000)

    def after(self, strike: Strike) -> dict[str, bytes]:
        """The files of the directory once it is struck; it is as before then."""
        copy = Path(shutil.copytree(self.directory, self.mktemp()))
        strike.do(copy)
        return {str(file): (copy / file).read_bytes() for file in files_of(copy)}

    def test_each_kind(self) -> None:
        """One place of one file is damaged, and nothing else."""
        log = Path("state-00000001/000005.log")
        whole = b"ours" * 2_000
        for strike, held in (
            (flip(log, 1, 0), b"o" + b"t" + whole[2:]),
            (truncate(log, 7), whole[:7]),
            (zero(log, 1), whole[:4096] + bytes(8_000 - 4096)),
            (replace_state(self.other, "node 2"), b"theirs" * 2_000),
        ):
            self.assertEqual(self.after(strike), {"CURRENT": b"ours", str(log): held}, strike.name)
        self.assertEqual(self.after(remove(log)), {"CURRENT": b"ours"})

    def test_what_a_sweep_strikes(self) -> None:
        """No file is left out, and small ones are struck in every bit."""
        found = Counter(each.file for each in flips(self.directory, 100, Random(1)))
        self.assertEqual(found, {"CURRENT": 4 * 8, "state-00000001/000005.log": 80})
        found = Counter(each.file for each in flips(self.directory, 1_000, Random(1)))
        self.assertLessEqual(found.total(), 1 + 8)
        lost = {each.name for each in losses(self.directory)}
        for name in ("CURRENT: removed", "state-00000001/000005.log: page 1 is zero", "CURRENT: cut to 3 bytes"):
            self.assertIn(name, lost)
        exchanged = [each.name for each in exchanges(self.directory, {"node 2": self.other})]
        self.assertEqual(len(exchanged), 4)

    def test_kinds_of_files(self) -> None:
        """The figures of a sweep are by kind."""
        kinds = {each.kind for each in losses(self.directory)}
        self.assertEqual(kinds, {"CURRENT", "log of the state"})
