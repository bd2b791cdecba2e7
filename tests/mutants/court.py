"""Judge mutants: each is written into a copy of the project, where tests and then simulated clusters run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from tests.mutants.mutations import Mutant
from tests.mutants.rooms import Room, mode_of, tests_of

UNIT_SECONDS_MAX = 60.0
"""Unit tests of a room take a few seconds; a mutant that makes them run on is noticed, too."""
SEEDS_SECONDS_MAX = 600.0


class Verdict(Enum):
    """Who noticed."""

    UNIT = "unit tests"
    SIMULATOR = "simulator"
    SURVIVED = "nobody"


class Court:
    """A copy of the project at ``directory``, in which one mutant lives at a time."""

    def __init__(self, root: Path, directory: Path, seeds: int) -> None:
        self._directory = directory
        self._seeds = seeds
        self._written_at = int(time.time())
        for name in ("dkv", "tests", "twisted", "docs", "etc"):
            shutil.copytree(root / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in root.iterdir():
            if path.is_file():
                shutil.copy(path, directory)

    def check(self, room: Room) -> None:
        """``AssertionError`` unless the room's tests pass while nothing is wrong."""
        assert self._passes(self._unit_tests(room), UNIT_SECONDS_MAX), f"the tests of {room.sources} fail by themselves"

    def judge(self, mutant: Mutant, room: Room) -> Verdict:
        """Let the room's tests run on the mutant, then the simulator if they pass."""
        original = (self._directory / mutant.path).read_text()
        self._write(mutant.path, mutant.code)
        try:
            if not self._passes(self._unit_tests(room), UNIT_SECONDS_MAX):
                return Verdict.UNIT
            clusters = ["tests.mutants.clusters", str(self._seeds), mode_of(mutant.path)]
            return Verdict.SURVIVED if self._passes(clusters, SEEDS_SECONDS_MAX) else Verdict.SIMULATOR
        finally:
            self._write(mutant.path, original)

    def _unit_tests(self, room: Room) -> list[str]:
        options = ["--exitfirst", f"--temp-directory={self._directory / 'trial'}"]
        return ["twisted.trial", *options, *tests_of(room, self._directory)]

    def _write(self, path: Path, code: str) -> None:
        """Write it with a time of its own: compiled files are told apart by seconds and sizes alone."""
        (self._directory / path).write_text(code)
        self._written_at += 1
        os.utime(self._directory / path, (self._written_at, self._written_at))

    def _passes(self, module: Sequence[str], seconds: float) -> bool:
        environment = os.environ | {"PYTHONPATH": str(self._directory), "PYTHONHASHSEED": "0"}
        with subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=self._directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                return process.wait(seconds) == 0
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return False
