"""The results of a benchmark, as tables for people, JSON lines, or a chapter of a Markdown file."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

from dkv.cli.benchmarks.parts import Row
from dkv.cli.output import Failure, Status, say
from dkv.cli.table import Cell, Table
from dkv.storage.binding import DISTRIBUTION

MARK = "<!-- Everything below this line is written by dkv bench --markdown. -->"
SYNCS = 200
SYNC_BYTES = 512
LIBRARIES = ("Twisted", "cbor2", DISTRIBUTION, "google-crc32c")
VersionQuery = tuple[str, str, str]
"""A program, the option that makes it print its version, and the text before the version."""

REDIS_BENCHMARK: VersionQuery = ("redis-benchmark", "--version", "redis-benchmark ")


def say_rows(part: str, rows: Iterable[Row], as_json: bool, clear: Callable[[], None]) -> list[Row]:
    """Print rows as they come, each after ``clear()`` has made room, and return them all."""
    said: list[Row] = []
    table: Table | None = None
    for row in rows:
        said.append(row)
        clear()
        if as_json:
            say(json.dumps({"part": part} | row))
            continue
        if table is None:
            say(f"\n{part}")
            table = Table(*map(_title, row))
        table.add([[Cell(_text(value), number=not isinstance(value, str)) for value in row.values()]])
    return said


def facts(directory: Path, programs: Sequence[VersionQuery] = ()) -> dict[str, str]:
    """The conditions of the figures: the machine, the disk of ``directory``, and the versions of ``programs``."""
    known = {
        "date": date.today().isoformat(),
        "processor": f"{_cpu_model()}, {os.cpu_count()} of them",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "disk": f"fdatasync of {SYNC_BYTES} B takes {sync_seconds(directory) * 1e3:.2f} ms (median)",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }
    for program, flag, before in (*programs, REDIS_BENCHMARK):
        if shutil.which(program):
            done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
            known[program] = done.stdout.partition(before)[2].split()[0]
    return known


def sync_seconds(directory: Path) -> float:
    """How long the disk takes to sync a few bytes, in seconds."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(SYNCS):
            file.write(bytes(SYNC_BYTES))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return median(took)


def write_markdown(path: Path, command: str, about: dict[str, str], parts: dict[str, list[Row]]) -> None:
    """Replace the text of ``path`` below the mark, or all of it without a mark; ``Failure`` if that is impossible."""
    try:
        before = path.read_text(encoding="utf-8").partition(MARK)[0] if path.exists() else "# Results of dkv bench\n\n"
        path.write_text(before + MARK + "\n" + _chapter(command, about, parts), "utf-8", "replace")
    except OSError as error:
        raise Failure(Status.FAILED, "MARKDOWN", f"cannot write {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(Status.FAILED, "MARKDOWN", f"cannot write below what {path} has, for it is no text") from None


def _chapter(command: str, about: dict[str, str], parts: dict[str, list[Row]]) -> str:
    lines = ["", "## The run", "", "```", command, "```", ""]
    lines += [f"- {name}: {text}" for name, text in about.items()]
    for part, rows in parts.items():
        lines += ["", f"## {part.capitalize()}", ""]
        if rows:
            lines += [_line(map(_title, rows[0])), _line("---" for _ in rows[0])]
            lines += [_line(map(_text, row.values())) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _title(name: str) -> str:
    return (
        name.replace("_per_", "/").replace("_", " ").replace("ops/second", "ops/s").replace("bytes/second", "bytes/s")
    )


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
