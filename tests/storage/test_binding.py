"""Which binding of LevelDB is taken."""

from __future__ import annotations

import sys
from importlib import reload
from types import ModuleType
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.storage import binding


class BindingTests(SynchronousTestCase):
    def tearDown(self) -> None:
        reload(binding)

    def choose(self, *installed: str) -> tuple[str, str]:
        """The names of the module and of the distribution, where only those in ``installed`` can be imported."""
        known = {name: ModuleType(name) if name in installed else None for name in ("plyvel", "plyvel_next")}
        with patch.dict(sys.modules, known):
            chosen = reload(binding)
            return chosen.plyvel.__name__, chosen.DISTRIBUTION

    def test_where_plyvel_has_no_wheels(self) -> None:
        """Without the other one no node starts on Python 3.13 and later."""
        self.assertEqual(self.choose("plyvel_next"), ("plyvel_next", "plyvel-next"))
        self.assertEqual(self.choose("plyvel"), ("plyvel", "plyvel"))
        self.assertEqual(self.choose("plyvel", "plyvel_next"), ("plyvel", "plyvel"))
        self.assertRaises(ImportError, self.choose)
