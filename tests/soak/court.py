"""Judges the histories of phases in processes of their own, one at a time, and with a low priority."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from pathlib import Path

from tests.integration.processes import child_environment
from tests.soak.broken import RuleBroken

NICE = "10"
JUDGE_SECONDS_MAX = 600.0


class Court:
    """Histories wait for their judgement. One that is good is removed; one that is not stays, for whoever looks."""

    def __init__(self) -> None:
        self.judged = 0
        self.undecided: list[str] = []
        self._waiting: deque[Path] = deque()
        self._process: subprocess.Popen[bytes] | None = None

    def submit(self, history: Path) -> None:
        """Judge it some time."""
        self._waiting.append(history)
        self.look()

    def look(self) -> None:
        """Take a judgement that is done, and begin the next; ``RuleBroken`` if a rule was broken."""
        if self._process is not None and self._process.poll() is not None:
            self._take(self._process)
        if self._process is None and self._waiting:
            command = ["nice", "-n", NICE, sys.executable, "-m", "tests.soak.judge", str(self._waiting[0])]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment())

    def finish(self) -> None:
        """Wait until everything has been judged."""
        while self._process is not None:
            self._process.wait(JUDGE_SECONDS_MAX)
            self.look()

    def close(self) -> None:
        """Judge no more."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _take(self, process: subprocess.Popen[bytes]) -> None:
        answer = process.communicate()[0].decode().strip()
        self._process = None
        history = self._waiting.popleft()
        self.judged += 1
        if process.returncode == 0:
            history.unlink()
        elif answer.startswith("undecided"):
            self.undecided.append(f"{history.name}: {answer}")
        else:
            raise RuleBroken("history", f"{answer or f'the judge ended with status {process.returncode}'} ({history})")
