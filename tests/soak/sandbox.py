"""A place of its own for the soak: namespaces of network, mounts and processes, which end with it.

Whatever the soak sets up in there (network namespaces of nodes, a bridge, packet filters, small file systems, the nodes
themselves) is gone when its first process ends, however that ends: the kernel sees to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

TOOLS = ("unshare", "mount", "umount", "ip", "iptables", "iptables-restore")
_ENTER = ("unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
_TRIAL = "mount -t tmpfs tmpfs /run && iptables -A INPUT -m statistic --mode random --probability 0.5 -j DROP"
"""What the soak needs most: a mount of its own (``/run`` holds the locks of ``ip`` and ``iptables``), and loss."""

TRIAL_SECONDS = 10.0


def why_not() -> str:
    """The reason why there can be no namespaces here; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "this is not Linux"
    if os.geteuid() != 0:
        return "this needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"there is no command {', '.join(missing)}"
    trial = subprocess.run([*_ENTER, "sh", "-c", _TRIAL], capture_output=True, timeout=TRIAL_SECONDS, check=False)
    return trial.stderr.decode(errors="replace").strip().partition("\n")[0] if trial.returncode else ""


def enter(command: Sequence[str]) -> None:
    """Go on as ``command`` in namespaces of its own, with an empty ``/run``. Does not return."""
    inside = 'mount -t tmpfs tmpfs /run && exec "$@"'
    os.execvp(_ENTER[0], [*_ENTER, "sh", "-c", inside, "sh", *command])
