"""Run one program to its end, kill the leader when it says that it is ready, and take what it reports."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.clients.arena import NAME, Arena
from tests.clients.entries import Entry
from tests.clients.toolbox import Toolbox
from tests.integration.processes import HOST, wait_until

PROGRAM_SECONDS = 90.0
LOG_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a program ended: ``complaint`` is empty if all was well."""

    complaint: str
    report: dict[str, Any] = field(default_factory=dict)
    """What the application saw while the leader was killed."""
    lines: tuple[str, ...] = ()
    """What it printed besides."""


def run_program(command: Sequence[str], environment: dict[str, str], kill: Callable[[], None]) -> Outcome:
    """Run a command; ``kill`` is called when it prints ``ready``, and it is told then."""
    report: dict[str, Any] = {}
    lines: list[str] = []
    with tempfile.TemporaryFile("w+") as errors:
        program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        guard = threading.Timer(PROGRAM_SECONDS, program.kill)
        guard.start()
        try:
            assert program.stdin is not None and program.stdout is not None
            for line in program.stdout:
                if line == "ready\n":
                    kill()
                    program.stdin.write("killed\n")
                    program.stdin.flush()
                elif line.startswith("report "):
                    report = json.loads(line.removeprefix("report "))
                else:
                    lines.append(line.rstrip("\n"))
            status = program.wait()
        finally:
            guard.cancel()
            program.kill()
            program.stdin.close()  # type: ignore[union-attr]
            program.stdout.close()  # type: ignore[union-attr]
        errors.seek(0)
        complaint = "" if status == 0 else f"status {status}: {errors.read()[-4000:]}"
    return Outcome(complaint, report, tuple(lines))


def run_entry(entry: Entry, arena: Arena, tools: Toolbox) -> Outcome:
    """Run an entry's program in the arena, and make the arena whole again."""
    known = len(arena.refusals())
    addresses = ",".join(f"{HOST}:{port}" for port in arena.ports(entry.knows_all))
    command = [*tools.command(entry), addresses, NAME, *entry.options]
    try:
        outcome = run_program(command, tools.environment(), arena.kill)
    finally:
        arena.mend()
    if not outcome.complaint and outcome.lines[-1:] != ("all well",):
        return Outcome(f"it ended too early: {outcome.lines[-5:]}", outcome.report, outcome.lines)
    if entry.refused and not outcome.complaint:
        wait_until(lambda: len(arena.refusals()) > known, LOG_SECONDS, f"a node logs what {entry.name} lacked")
    return outcome
