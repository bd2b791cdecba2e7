"""Damage to the files of one node of three: detected or harmless, never a wrong answer, never a loss on the others.

A sample of what ``python -m tests.damage`` does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path
from random import Random
from typing import ClassVar
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import STATE
from dkv.storage import leveldb
from dkv.storage.chain import Chain
from dkv.storage.leveldb import LevelDBStore
from tests.damage.filled import FilledCluster
from tests.damage.strikes import Strike, flip, remove, replace_log, replace_state
from tests.damage.sweep import all_strikes, sweep
from tests.damage.trial import ENDED, FENCED, Trial
from tests.damage.verdict import HARMLESS, WRONG
from tests.integration.processes import wait_until
from tests.integration.test_startup import run

EVERY = 400
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures" / "damaged-directory.md"


def forget_table(lost: int) -> Strike:
    """The newest table of the state is the only one with a certain key; then the manifest loses its last bytes."""

    def do(directory: Path) -> None:
        (state,) = directory.glob("state-*")
        with patch.dict(leveldb._OPTIONS, write_buffer_size=64 << 10):
            store = LevelDBStore(str(state), lambda call, *arguments: call(*arguments))
        (key, value), (other_key, other_value), *_ = store.scan(STATE)
        store.commit_now({key: None})
        store.give_back()
        wait_until(lambda: not store.giving_back, 30.0, "the key is in no table")
        (manifest,) = state.glob("MANIFEST-*")
        before = manifest.stat().st_size
        store.commit_now({key: value})
        while manifest.stat().st_size == before:
            store.commit_now({other_key: other_value})
        store.close()
        os.truncate(manifest, manifest.stat().st_size - lost)

    return Strike("state/MANIFEST", f"its table was made last, and {lost} bytes are lost", do)


class DamageTest(SynchronousTestCase):
    """One cluster is filled for all tests: each puts its directories back."""

    timeout = 300
    _filled: ClassVar[FilledCluster | None] = None

    def setUp(self) -> None:
        if DamageTest._filled is None:
            DamageTest._filled = FilledCluster()
            atexit.register(DamageTest._filled.close)
        self.filled = DamageTest._filled

    def newest(self, pattern: str) -> Path:
        """The newest file of a kind in the struck directory, as a path within it."""
        return max(self.filled.intact.glob(pattern)).relative_to(self.filled.intact)

    def size(self, file: Path) -> int:
        """Its size in bytes."""
        return (self.filled.intact / file).stat().st_size

    def test_a_sample_of_all_places(self) -> None:
        """Every file of both databases: flipped bits, lost ends, pages and files, and files of other directories."""
        strikes = list(all_strikes(self.filled, EVERY, Random(1)))
        figures = sweep(self.filled, strikes)
        self.assertGreater(len(strikes), 500)
        self.assertEqual(figures.wrong, [])
        self.assertTrue({"MANIFEST of the state", "ldb of the state", "log", "ldb"} <= figures.outcomes.keys())

    def test_without_the_chain(self) -> None:
        """Planted: commits are not chained. LevelDB forgets a table of the state, and a key with it."""
        cuts = [forget_table(lost) for lost in range(1, 150, 10)]
        self.assertEqual(sweep(self.filled, cuts).wrong, [])
        with patch.object(LevelDBStore, "_read_chain", lambda store: Chain()):
            found = sweep(self.filled, cuts).wrong
        self.assertIn("keys of the state differ", " ".join(text for _, text in found))

    def check(self, strike: Strike, kind: str, *words: str) -> None:
        """What becomes of a cluster of processes."""
        verdict = Trial(self.filled).run(strike)
        self.assertEqual(verdict.kind, kind, verdict.text)
        for each in words:
            self.assertIn(each, verdict.text)

    def test_found_at_the_start(self) -> None:
        """The node says what is damaged, and what to do, and its peers go on."""
        log = self.newest("*.log")
        self.check(flip(log, self.size(log) // 2, 3), ENDED, "is damaged: Corruption", "leave it stopped")

    def test_found_on_read(self) -> None:
        """A table of the state that no start reads: the node ends when a client asks for what is in the bad block."""
        table = max(self.filled.intact.glob("state-*/*.ldb"), key=lambda path: path.stat().st_size)
        place = flip(table.relative_to(self.filled.intact), table.stat().st_size // 2, 0)
        self.check(place, ENDED, "dkvnode: the store failed: ", "is damaged: Corruption", "leave it stopped")

    def test_found_while_it_runs(self) -> None:
        """The bad block is met by a read, long after the start: the node ends in one line, and not in a traceback."""

        def strike(directory: Path) -> None:
            while True:
                with contextlib.suppress(FileNotFoundError):  # LevelDB merges tables meanwhile
                    table = max(directory.glob("state-*/*.ldb"), key=lambda path: path.stat().st_size)
                    flip(table.relative_to(directory), table.stat().st_size // 2, 0).do(directory)
                    return

        verdict = Trial(self.filled).run(Strike("ldb of the state", "a bit is flipped", strike), running=True)
        self.assertEqual(verdict.kind, ENDED, verdict.text)
        self.assertIn("is damaged: Corruption", verdict.text)

    def test_an_older_log(self) -> None:
        """Only the log was put back: it lacks what the state amounts to."""
        self.check(replace_log(self.filled.older[0], "life 1"), ENDED, "the log has lost slot", "leave it stopped")

    def test_an_older_state(self) -> None:
        """Only the state was put back: the log has given up what is missing."""
        self.check(replace_state(self.filled.older[0], "life 1"), ENDED, "begins behind slot", "leave it stopped")

    def test_votes_that_were_lost(self) -> None:
        """The whole directory is an older one, whole in itself: only its peers know what it has forgotten."""

        def put_back(directory: Path) -> None:
            replace_log(self.filled.older[0], "").do(directory)
            replace_state(self.filled.older[0], "").do(directory)

        self.check(Strike("all", "older", put_back), FENCED, "a new node take its place")

    def test_what_does_no_harm(self) -> None:
        """The node serves, also after a restart."""
        self.check(remove(Path("LOG")), HARMLESS)

    def test_an_answer_that_is_wrong(self) -> None:
        """A trial that could not see one would prove nothing: the values of another key in a sound state."""
        with patch.dict(self.filled.expected, {"all": b"what nobody wrote"}):
            verdict = Trial(self.filled).run(remove(Path("LOG")))
        self.assertEqual(verdict.kind, WRONG)
        self.assertIn("node 3 answers", verdict.text)

    def test_the_page(self) -> None:
        """docs/failures/damaged-directory.md: its commands tell a damaged directory, and start one that is not."""
        page = PAGE.read_text(encoding="utf-8")
        self.assertIn("dkv verify data/node3 && twistd dkvnode --config", page)
        self.filled.restore()
        node, log = self.filled.struck, self.newest("*.log")
        strike = flip(log, self.size(log) // 2, 3)
        strike.do(node.directory)
        for line in (run([sys.executable, "-m", "dkv.cli.main", "verify", str(node.directory)]), run(node.command())):
            self.assertNotEqual(line.returncode, 0)
            self.assertIn("is damaged: Corruption: checksum mismatch", line.stderr)
        strike.do(node.directory)  # the same bit once more: the right file is back
        self.assertEqual(run([sys.executable, "-m", "dkv.cli.main", "verify", str(node.directory)]).returncode, 0)
        for each in self.filled.cluster.nodes:
            each.start()
        self.filled.cluster.wait_ready()
        self.assertEqual(node.call("GET", "all"), self.filled.expected["all"])
