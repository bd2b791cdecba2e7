"""The load generator for etcd: a small program on etcd's client library, built from ``etcd_load.go``."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dkv.cli.benchmarks.drivers import LoadResult, failed, outputs, read_json

ETCD_LOAD = "etcd_load"
SOURCE = Path(__file__).with_name("etcd_load.go")
BUILD_SECONDS = 300.0
GO_PATH = "/usr/share/gocode"
"""Where Debian's packages of Go libraries are."""


class EtcdLoad:
    """The generator for etcd, built in ``directory``; ``Failure`` if it cannot be built."""

    def __init__(self, directory: Path) -> None:
        self._program = directory / ETCD_LOAD
        command = ["go", "build", "-o", str(self._program), str(SOURCE)]
        environment = os.environ | {"GO111MODULE": "off", "GOPATH": GO_PATH, "GOCACHE": str(directory / "cache")}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise failed("go", str(error)) from None
        if done.returncode:
            raise failed("go", done.stderr)

    def run(self, endpoints: Sequence[str], **flags: Any) -> LoadResult:
        """Send requests as the flags say, which ``etcd_load.go`` explains."""
        words = [f"-{name.replace('_', '-')}={json.dumps(value).strip(chr(34))}" for name, value in flags.items()]
        (text,) = outputs([[str(self._program), f"-endpoints={','.join(endpoints)}", *words]])
        return read_json(text, ETCD_LOAD)
