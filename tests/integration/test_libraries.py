"""Libraries that keep sessions and caches in Redis keep them in dkv, with another address and nothing else."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import child_environment, shared_cluster

PROGRAM_SECONDS = 60.0


class LibraryProgramTests(SynchronousTestCase):
    """Each program of ``tests.integration.libraries`` is run against one node of three."""

    def run_program(self, name: str, node: int) -> None:
        port = shared_cluster().nodes[node].port
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-m", f"tests.integration.libraries.{name}_program", str(port)],
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
            env=child_environment(),
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, "all well\n"), ended.stderr)

    def test_django(self) -> None:
        """A site with Django's cache and sessions in Redis must run on dkv."""
        self.run_program("django", 0)

    def test_flask_session(self) -> None:
        """Whoever is logged in with Flask-Session stays so, and is logged out when asked to."""
        self.run_program("flask_session", 1)

    def test_flask_caching(self) -> None:
        """Flask-Caching keeps results, and forgets those it is told to."""
        self.run_program("flask_caching", 2)

    def test_cachelib(self) -> None:
        """cachelib keeps, counts and clears."""
        self.run_program("cachelib", 0)

    def test_starsessions(self) -> None:
        """Sessions of ASGI applications, which redis-py's asyncio client carries."""
        self.run_program("starsessions", 1)
