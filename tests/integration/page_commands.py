"""The commands of a page, run on one machine as if it were several, and their output compared with the page's.

A block of commands is marked ``console``. Its lines with a prompt, ``$`` or ``node1$``, are commands; what stands below
each is its output. A number stands for any number, and so on (``shape``): the figures of two runs differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.processes import HOST, child_environment, free_ports

COMMAND_SECONDS = 60.0
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"(?:node\d)?\$ (.*)")
ADDRESS = re.compile(r"10\.0\.0\.(\d):(\d+)")
KEY = re.compile(r"(?<=--cluster-key )[0-9a-f]{32}")
RANDOM = re.compile(r"\b[0-9a-f]{16}(?:[0-9a-f]{16})?\b")
"""A cluster's key or an incarnation."""
UNKNOWN = re.compile(r"^not known to node .* as chosen: .*\n", re.MULTILINE)
"""What `dkv recover --plan` says of a node that ended before it was told that the last slots were chosen."""
WAITING = re.compile(r"^waiting: .*\n", re.MULTILINE)
"""What a change of members waits for, if it takes so long that it says so."""
WARNS = re.compile(r"^node \d+ warns of .*\n", re.MULTILINE)
"""What a node of the page warns of, since others reach it: here all are on the loopback address."""
LEADS = re.compile(r"^( *\d+ +voter +)(?:leader|-)(?!\S)", re.MULTILINE)
"""A row of `dkv member list`: any voter may lead."""
EXPORT = re.compile(r"export (\w+)=(\S+)")
LONG_PAUSE, SHORT_PAUSE = "sleep 1;", "sleep 0.2;"
"""Between two looks: of a person who waits, and here."""
PLACES = ("/etc/dkv", "/var/lib/dkv", "/run/dkv", "/var/log/dkv")

SCRIPTS = {"dkv": "from dkv.cli.main import main; main()", "twistd": "from twisted.scripts.twistd import run; run()"}


@dataclass(frozen=True)
class Step:
    """A command of a page, and the output that stands below it."""

    command: str
    output: str


def steps(page: str) -> Iterator[Step]:
    """The commands of a page, in their order."""
    for block in BLOCK.findall(page):
        command, output = "", ""
        for line in block.splitlines():
            found = PROMPT.fullmatch(line)
            if found is None:
                output += line + "\n"
                continue
            if command:
                yield Step(command, output)
            command, output = found[1], ""
        yield Step(command, output)


def shape(output: str) -> str:
    """What must be equal in two runs: words, and that there is a number where there was one."""
    output = RANDOM.sub("key", output)
    for line in (WAITING, UNKNOWN, WARNS):
        output = line.sub("", output)
    output = LEADS.sub(r"\1role", output)
    output = re.sub(r"\b(leader|follower)\b", "role", output)
    output = re.sub(r"\d+(\.\d+)*|(?<!\S)-(?!\S)", "0", output)  # a figure may not be known yet
    output = re.sub(r"\b0 (B|[KMGT]iB|ms)\b", "0", output)
    return "\n".join(" ".join(line.split()) for line in output.splitlines())


class OneMachine:
    """Stands for all machines of a page, in ``directory``: with places, ports and programs of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._ports: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._status = 0
        for place in PLACES:
            (self.directory / place[1:]).mkdir(parents=True)
        programs = self.directory / "bin"
        programs.mkdir()
        for name, code in SCRIPTS.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        self._environment = child_environment()
        self._environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "XDG_STATE_HOME": str(self.directory)}
        self._environment.pop("DKV_ENDPOINTS", None)

    def here(self, text: str) -> str:
        """A text of the page, with the places, ports and keys that it has here."""
        for place in PLACES:
            text = text.replace(place, f"{self.directory}{place}")
        for theirs, ours in self._keys.items():
            text = text.replace(theirs, ours)
        text = text.replace(LONG_PAUSE, SHORT_PAUSE)
        return ADDRESS.sub(lambda found: f"{HOST}:{self._port(found[0])}", text)

    def _port(self, address: str) -> int:
        if address not in self._ports:
            self._ports[address] = free_ports(1)[0]
        return self._ports[address]

    def run(self, step: Step) -> str:
        """What the command prints here, as the page would show it."""
        export = EXPORT.fullmatch(step.command)
        if export is not None:
            self._environment[export[1]] = self.here(export[2])
            return ""
        if step.command == "echo $?":
            return f"{self._status}\n"
        ended = subprocess.run(
            ["bash", "-c", self.here(step.command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            env=self._environment,
        )
        self._status = ended.returncode
        output = ended.stdout.decode()
        for theirs, ours in zip(KEY.findall(step.output), KEY.findall(output), strict=False):
            self._keys[theirs] = ours
        for address, port in self._ports.items():
            output = output.replace(f"{HOST}:{port}", address)
        return output.replace(str(self.directory), "")

    def pids(self) -> list[int]:
        """The processes of the nodes that run."""
        return [int(path.read_text()) for path in (self.directory / "run" / "dkv").glob("*.pid")]
