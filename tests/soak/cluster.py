"""The cluster of a soak: nodes that are killed, frozen and started again, each on a small disk of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from dkv.settings import KIB, MIB, Limits, Timings
from dkv.storage.room import RESERVE_NAME
from tests.integration.processes import RealCluster, RealNode, Refused, free_ports
from tests.soak.networks import CALL_SECONDS, Network, Orders

DISK_BYTES = 192 * MIB
BALLAST = "ballast"
BALLAST_STEPS = (4 * MIB, 64 * KIB, 4 * KIB)

SETTINGS: dict[str, int | float] = {
    "log_tail_slots_max": 200,
    "log_tail_bytes_max": 96 * KIB,
    "poll_lag_slots_max": 200,
    "snapshot_chunk_bytes_max": 16 * KIB,
    "snapshot_bytes_per_second": 512 * KIB,
    "write_back_seconds": 2.5,
    "request_seconds": 3.0,
}
"""The log is short: a node that is down for seconds is behind it. State is written seldom: nodes compact every few
seconds, and have much to replay. Snapshots are slow: faults strike while one is under way."""


class SoakNode:
    """A node as faults and figures see it."""

    def __init__(self, real: RealNode, network: Network, has_disk: bool) -> None:
        self.real = real
        self.number = real.number
        self.has_disk = has_disk
        """Whether its directory is a small file system of its own, which can be filled."""
        self.full_until = 0.0
        """Until when, in monotonic seconds, it may end because of a full disk; infinity while its disk is full."""
        self._prefix = network.prefix(real.number)
        self._log_read = 0
        self._ballast = real.directory / BALLAST

    @property
    def runs(self) -> bool:
        """Whether its process has been started, and nobody has killed it or noticed its end since."""
        return self.real.process is not None

    @property
    def ending(self) -> int | None:
        """The status of a process that has ended by itself; None if there is none."""
        return None if self.real.process is None else self.real.process.poll()

    def start(self) -> None:
        """Start the process, and do not wait."""
        self.real.start(*self._prefix)

    def kill(self) -> None:
        """kill -9; nothing if it has ended."""
        self.real.kill()

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP, or SIGCONT."""
        if self.runs and self.ending is None:
            self.real.signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    # --- its disk ---

    def fill(self, leave_bytes: int) -> None:
        """Leave so much room on its disk. The node may end if that is none."""
        if not leave_bytes:
            self.full_until = float("inf")
        with self._ballast.open("ab") as ballast:
            size = os.fstat(ballast.fileno()).st_size
            for step in BALLAST_STEPS:
                try:
                    while shutil.disk_usage(self.real.directory).free >= leave_bytes + step:
                        os.posix_fallocate(ballast.fileno(), size, step)
                        size += step
                except OSError as error:  # the node has taken the rest meanwhile
                    if error.errno != errno.ENOSPC:
                        raise

    def empty(self, grace_seconds: float) -> None:
        """Make room again. Where there was none, a write that failed may still end the node within the grace."""
        self._ballast.unlink(missing_ok=True)
        if self.full_until == float("inf"):
            self.full_until = time.monotonic() + grace_seconds

    def disk_bytes(self) -> int:
        """The size of everything in its directory, but the ballast and the reserve."""
        total = 0
        for folder, _, names in os.walk(self.real.directory):
            for name in names:
                if name not in (BALLAST, RESERVE_NAME):
                    try:
                        total += os.lstat(os.path.join(folder, name)).st_size
                    except FileNotFoundError:
                        pass  # LevelDB has removed it meanwhile
        return total

    # --- what it says ---

    def memory_bytes(self) -> int:
        """The resident memory of its process; 0 if there is none."""
        if self.real.process is None:
            return 0
        try:
            pages = Path(f"/proc/{self.real.process.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def status(self) -> dict[str, Any]:
        """Its status; empty if it does not answer at once."""
        try:
            connection = self.real.connect(CALL_SECONDS)
        except OSError:
            return {}
        try:
            answer = json.loads(connection.call("DKV.STATUS"))
        except (OSError, EOFError, ValueError, Refused):
            return {}
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}

    def takes_writes(self) -> bool:
        """Whether it executes a write at once."""
        try:
            connection = self.real.connect(CALL_SECONDS)
        except OSError:
            return False
        try:
            connection.call("PUT", f"probe-{self.number}", "x")
        except (OSError, EOFError, Refused):
            return False
        finally:
            connection.close()
        return True

    def new_log_lines(self) -> Iterator[dict[str, Any]]:
        """What it has logged since the last call."""
        if not self.real.log_path.exists():
            return
        with self.real.log_path.open("rb") as log:
            log.seek(self._log_read)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # the rest of it comes later
                self._log_read += len(line)
                try:
                    document = json.loads(line)
                except ValueError:
                    continue  # a process that is killed may leave half a line, with the next life's first behind it
                if isinstance(document, dict):
                    yield document


class SoakCluster(RealCluster):
    """The nodes on ``network``. With ``disks`` each has a tmpfs, which needs a sandbox."""

    def __init__(self, size: int, mode: str, network: Network, *, disks: bool) -> None:
        self.has_disks = disks
        self._network = network
        top = f"allow_faults = {str(isinstance(network, Orders)).lower()}"
        hosts = [network.add(number) for number in range(1, size + 1)]
        super().__init__(size, _settings(), mode=mode, top=top, hosts=hosts)
        self.soaked = [SoakNode(node, network, disks) for node in self.nodes]

    def initialise(self, node: RealNode) -> None:
        """Put the directory on a disk of its own first."""
        self._make_disk(node)
        super().initialise(node)

    def _make_disk(self, node: RealNode) -> None:
        if self.has_disks:
            node.directory.mkdir(mode=0o700)
            options = f"size={DISK_BYTES},mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(node.directory)], check=True)

    def make(self, number: int) -> SoakNode:
        """A new node, which is in the config file and on the network, and whose directory is empty."""
        client, peer, admin = free_ports(3)
        real = RealNode(self, number, client, peer, admin, self._network.add(number))
        self._make_disk(real)
        self.nodes.append(real)
        self.write_config()
        return SoakNode(real, self._network, self.has_disks)

    def retire(self, node: SoakNode) -> None:
        """End a node for ever, and remove its directory. Its log stays."""
        node.kill()
        if self.has_disks:
            _unmount(node.real)
        shutil.rmtree(node.real.directory)
        self.soaked.remove(node)
        self.nodes.remove(node.real)
        self._network.remove(node.number)
        self.write_config()

    def write_config(self) -> None:
        """Write where all nodes are now. A node that starts at this moment reads the old file or the new one."""
        self.set_mode(self.mode, "cluster.next").replace(self.config_path)

    def keep(self) -> None:
        """End every process, and put what is on the nodes' disks where it outlives them."""
        for node in self.soaked:
            node.kill()
            node.empty(0.0)
            if self.has_disks:
                copy = node.real.directory.with_suffix(".copy")
                shutil.copytree(node.real.directory, copy)
                _unmount(node.real)
                node.real.directory.rmdir()
                copy.rename(node.real.directory)

    def close(self) -> None:
        """End every process and remove everything."""
        for node in self.nodes:
            node.kill()
            if self.has_disks:
                _unmount(node)
        super().close()


def _unmount(node: RealNode) -> None:
    subprocess.run(["umount", str(node.directory)], check=True)


def _settings() -> str:
    """The tables of settings for the config file."""
    tables = []
    for name, cls in (("limits", Limits), ("timings", Timings)):
        known = {field.name for field in fields(cls)}
        tables += [f"[{name}]", *(f"{key} = {value}" for key, value in SETTINGS.items() if key in known)]
    return "\n".join(tables) + "\n"
