"""Libraries that keep sessions and caches in Redis keep them in dkv, with another address and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.processes import child_environment, shared_cluster

PROGRAM_SECONDS = 60.0
PROGRAMS = Path(__file__).parent / "libraries"
NODE_PACKAGES = ("connect-redis", "express-session", "redis", "keyv", "@keyv/redis")


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


class NodeProgramTests(SynchronousTestCase):
    """The same for libraries of Node.js, where ``node`` is installed and finds these.

    ``DKV_NODE_MODULES`` may name the ``node_modules`` to look into, besides those that are installed globally.
    """

    def run_program(self, name: str, node: int) -> None:
        program = shutil.which("node")
        if program is None:
            raise SkipTest("node is not installed")
        environment = {**os.environ, "NODE_PATH": os.pathsep.join(self.node_modules())}
        seeks = "; ".join(f"require.resolve({package!r})" for package in NODE_PACKAGES)
        if subprocess.run([program, "-e", seeks], capture_output=True, check=False, env=environment).returncode:
            raise SkipTest(f"node finds no packages: npm install --global {' '.join(NODE_PACKAGES)}")
        port = shared_cluster().nodes[node].port
        ended = subprocess.run(
            [program, str(PROGRAMS / f"{name}_program.cjs"), str(port)],
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
            env=environment,
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, "all well\n"), ended.stderr)

    def node_modules(self) -> list[str]:
        """Where packages may be."""
        named = os.environ.get("DKV_NODE_MODULES", "")
        npm = shutil.which("npm")
        if npm is None:
            return [named]
        asked = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)
        return [named, asked.stdout.strip()]

    def test_connect_redis(self) -> None:
        """Express keeps its sessions in dkv, and they expire there."""
        self.run_program("connect_redis", 0)

    def test_keyv(self) -> None:
        """keyv keeps values of any kind, lists them, and clears its own keys alone."""
        self.run_program("keyv", 1)
