"""The tests that libraries have of their own, run against redis-server first, and then against dkv.

A test counts if it passes with redis-server. If it fails with dkv, it needs a word that is not there, or it is named
here with the reason, or something is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.clients.arena import Arena
from tests.integration.processes import HOST

SUITE_SECONDS = 600.0
PYTEST = ("-o", "addopts=", "-o", "filterwarnings=", "-W", "ignore", "-p", "no:cacheprovider", "--timeout=20")
"""Whatever a library's own settings say of warnings, its tests are run."""
LACKING = re.compile(r"unknown (?:command|subcommand)|not in the catalogue|No matching script")
"""What the text of a failure says if a word or a script is missing."""


@dataclass(frozen=True)
class Suite:
    """Some files of a library's tests, which take the address of a server in an option of pytest or a variable."""

    package: str
    files: tuple[str, ...]
    option: str = ""
    """Takes a URL."""
    variable: str = ""
    """Takes a port."""
    known: dict[str, str] = field(default_factory=dict)
    """Tests that fail for a reason of their own."""


SUITES = (
    Suite(
        "redis",
        (
            "tests/test_lock.py",
            "tests/test_pipeline.py",
            "tests/test_pubsub.py",
            "tests/test_encoding.py",
            "tests/test_scripting.py",
            "tests/test_asyncio/test_lock.py",
            "tests/test_asyncio/test_pipeline.py",
            "tests/test_asyncio/test_pubsub.py",
        ),
        option="--redis-url",
    ),
    Suite("dogpile.cache", ("tests/cache/test_redis_backend.py",), variable="DOGPILE_REDIS_PORT"),
)


@dataclass(frozen=True)
class Score:
    """What became of a suite's tests."""

    suite: Suite
    counted: int
    passed: int
    lacking: int
    known: tuple[str, ...]
    wrong: tuple[str, ...]

    def row(self) -> str:
        """Its line in the table."""
        reasons = "; ".join(sorted({self.suite.known[name] for name in self.known}))
        files = ", ".join(f"`{name.removeprefix('tests/').removesuffix('.py')}`" for name in self.suite.files)
        return (
            f"| {self.suite.package} {version(self.suite.package)}: {files} | {self.counted} | {self.passed} "
            f"| {self.lacking} | {f'{len(self.known)}: {reasons}' if self.known else '0'} |\n"
        )


HEAD = (
    "| Tests | pass with redis-server | pass with dkv | need a command or script that is not there | fail otherwise |\n"
    "|---|---|---|---|---|\n"
)


def fetch(suite: Suite, folder: Path) -> Path:
    """The sources of the version that is installed, which have the tests."""
    release = f"{suite.package.replace('.', '_')}-{version(suite.package)}"
    if not (folder / release).exists():
        folder.mkdir(parents=True, exist_ok=True)
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
        wanted = f"{suite.package}=={version(suite.package)}"
        subprocess.run([sys.executable, "-m", "pip", *download, "--dest", str(folder), wanted], check=True)
        with tarfile.open(folder / f"{release}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / release


def results(suite: Suite, sources: Path, port: int) -> dict[str, str]:
    """What each test said when it failed; empty for those that passed. Skipped ones are left out."""
    report = sources / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", *PYTEST, f"--junit-xml={report}", *suite.files]
    if suite.option:
        command.append(f"{suite.option}=redis://{HOST}:{port}/9")
    environment = {**os.environ, "PYTHONPATH": "", **({suite.variable: str(port)} if suite.variable else {})}
    subprocess.run(command, cwd=sources, env=environment, timeout=SUITE_SECONDS, check=False, stdout=subprocess.DEVNULL)
    told = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is None:
            bad = [each for each in case if each.tag in ("failure", "error")]
            name = f"{case.get('classname')}.{case.get('name')}"
            told[name] = "\n".join(f"{each.get('message')}\n{each.text}" for each in bad)
    return told


def score(suite: Suite, with_redis: dict[str, str], with_dkv: dict[str, str]) -> Score:
    """Compare what passed with redis-server to what became of it with dkv."""
    counted = [name for name, complaint in with_redis.items() if not complaint]
    failed = {name: with_dkv.get(name, "it was not run") for name in counted if with_dkv.get(name, "it was not run")}
    lacking = {name for name, complaint in failed.items() if LACKING.search(complaint)}
    short = {name: name.partition("[")[0].rpartition(".")[2] for name in failed.keys() - lacking}
    known = [name for name in short.values() if name in suite.known]
    wrong = [name for name in short if short[name] not in suite.known]
    return Score(
        suite, len(counted), len(counted) - len(failed), len(lacking), tuple(sorted(known)), tuple(sorted(wrong))
    )


def run_suites(dkv: Arena, redis: Arena, folder: Path) -> list[Score]:
    """Run all suites against both."""
    scores = []
    for suite in SUITES:
        sources = fetch(suite, folder)
        told = [results(suite, sources, arena.ports(dying_first=False)[0]) for arena in (redis, dkv)]
        scores.append(score(suite, *told))
        print(scores[-1].row(), end="", flush=True)
    return scores


def table(scores: Sequence[Score]) -> str:
    """The table as the page has it."""
    return HEAD + "".join(each.row() for each in scores)
