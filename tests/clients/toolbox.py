"""What programs are run with: this Python, one with redis-py 5, and Node.js; and which versions they have."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clients.entries import Entry
from tests.integration.processes import child_environment

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
NPM_SECONDS = 300.0
"""npm tries for much longer to reach what it cannot reach."""
REDIS_5 = ("redis>=5,<6", "hypothesis>=6.100,<7")
"""The second one is imported by the package of all tests."""


@dataclass(frozen=True)
class Toolbox:
    """Where everything is; None if it is not there."""

    old_python: str | None = None
    node_modules: tuple[str, ...] = ()

    def command(self, entry: Entry) -> list[str]:
        """How to start an entry's program, as far as its own arguments."""
        if entry.of_node:
            return ["node", str(PROGRAMS / entry.program)]
        return [self._python(entry), "-m", f"tests.clients.programs.{entry.program}"]

    def environment(self) -> dict[str, str]:
        """The environment of every program."""
        return {**child_environment(), "NODE_PATH": os.pathsep.join(self.node_modules), "PYTHONUNBUFFERED": "1"}

    def version(self, entry: Entry) -> str | None:
        """The version of what an entry is about, or None if it is not there."""
        kind, _, name = entry.package.rpartition(":")
        if kind == "tool":
            path = shutil.which(name)
            return re.search(r"\d+(\.\d+)+", _output([path, "--version"]) or "")[0] if path else None  # type: ignore[index]
        if kind == "npm":
            return self._node_version(name) if shutil.which("node") else None
        if entry.old_redis and self.old_python is None:
            return None
        return _output([self._python(entry), "-c", f"import importlib.metadata as m; print(m.version({name!r}))"])

    def has_node_packages(self) -> bool:
        """Whether Node.js is there, with the packages that the matrix tries."""
        return bool(shutil.which("node")) and self._node_version("ioredis") is not None

    def _python(self, entry: Entry) -> str:
        return self.old_python or sys.executable if entry.old_redis else sys.executable

    def _node_version(self, name: str) -> str | None:
        for folder in self.node_modules:
            path = Path(folder) / name / "package.json"
            if path.exists():
                return str(json.loads(path.read_text(encoding="utf-8"))["version"])
        return None


def _output(command: list[str]) -> str | None:
    """What a command prints, or None if it fails."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else None


def found() -> Toolbox:
    """What is installed: packages of Node.js globally, or in the folder that ``DKV_NODE_MODULES`` names."""
    folders = [os.environ.get("DKV_NODE_MODULES", "")]
    if shutil.which("npm"):
        folders.append(_output(["npm", "root", "--global"]) or "")
    return Toolbox(node_modules=tuple(folder for folder in folders if folder))


def install(folder: Path) -> Toolbox:
    """Install Redis's tools, if need be and we may, a second Python, and packages of Node.js where that is there."""
    if not shutil.which("redis-cli") and shutil.which("apt-get") and os.getuid() == 0:
        subprocess.run("apt-get update -qq && apt-get install -y -qq redis-tools", shell=True, check=True)
    old = folder / "redis5"
    if not (old / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(old)], check=True)
        pip = [str(old / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *REDIS_5], check=True)
        (old / "installed").touch()
    modules: tuple[str, ...] = ()
    if shutil.which("npm"):
        node = folder / "node"
        node.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", node)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(node)]
        subprocess.run(command, check=True, timeout=NPM_SECONDS)
        modules = (str(node / "node_modules"),)
    return Toolbox(str(old / "bin" / "python"), modules)
