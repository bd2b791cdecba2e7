"""Where a user's files are that outlive a command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_path(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the file ``name`` is kept: below ``$XDG_STATE_HOME``, which must be absolute to count, or what stands in
    for it. None for a user who has no home, such as the uid of a container that no passwd file lists."""
    state = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):
        return Path(state, "dkv", name)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".local" / "state" / "dkv" / name if home.is_absolute() else None
