"""Processes of other systems, started on this machine and ended with the run."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from dkv.cli.output import Failure, Status

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports of this machine that are free at the moment."""
    with ExitStack() as held:
        streams = [held.enter_context(socket.socket()) for _ in range(count)]
        for stream in streams:
            stream.bind((HOST, 0))
        return [stream.getsockname()[1] for stream in streams]


def start_process(command: Sequence[str], log_path: Path, life: ExitStack) -> subprocess.Popen[bytes]:
    """Start a process that ends with ``life``; ``Failure`` if its program is not installed."""
    if shutil.which(command[0]) is None:
        text = (
            f"{command[0]} is not installed: leave out --against, or install it (on Debian: redis-server, etcd-server)"
        )
        raise Failure(Status.FAILED, "NOT_INSTALLED", text)
    with open(log_path, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def stop() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    life.callback(stop)
    return process
