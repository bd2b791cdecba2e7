"""Every script of this folder, played: one test each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.scripts.script import check

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
