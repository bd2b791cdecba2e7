"""Which program this is: the versions that an operator compares when one node behaves unlike the others."""

from __future__ import annotations

import platform

from dkv import __version__
from dkv.storage.binding import DISTRIBUTION, plyvel


def build_labels() -> dict[str, str]:
    """The labels of ``dkv_build_info``: of dkv, Python, LevelDB, and the binding that brings LevelDB along."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "leveldb": plyvel.__leveldb_version__,
        "binding": f"{DISTRIBUTION} {plyvel.__version__}",
    }
