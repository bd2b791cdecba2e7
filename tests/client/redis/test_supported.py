"""With a redis-py that nobody has tried, a write could happen twice in silence: it is refused when it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.redis.supported import NEEDED, check, check_version
from tests.integration.processes import child_environment

SETUP = Path(__file__).resolve().parents[3] / "setup.cfg"


class SupportedTests(SynchronousTestCase):
    def test_versions(self) -> None:
        """Those of the extra in setup.cfg, and no others."""
        for version in ("5.0.1", "5.3.1", "6.4.0", "7.4.0", "8.1.0", "8.0.0b1"):
            check_version(version)
        for version in ("4.6.0", "5.0.0", "9.0.0", "new"):
            error = self.assertRaises(ImportError, check_version, version)
            self.assertIn(f"pip install {NEEDED}", str(error))
        check()
        self.assertIn(f"\nredis =\n    {NEEDED.strip(chr(39))}\n", SETUP.read_text(encoding="utf-8"))

    def test_without_redis(self) -> None:
        """It is an extra: whoever lacks it is told what to install."""
        program = "import sys; sys.modules['redis'] = None; import dkv.client.redis"
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=child_environment()
        )
        self.assertIn(f"which is not installed: pip install {NEEDED}", ended.stderr)
