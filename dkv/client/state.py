"""Where a user's files are that outlive a command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def state_path(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the file ``name`` is kept: below ``$XDG_STATE_HOME``, which must be absolute to count, or what stands in
    for it. None for a user who has no home, such as the uid of a container that no passwd file lists."""
    state = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):
        return Path(state, "dkv", name)
    home = environment.get("HOME")
    if home is None:
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return Path(home, ".local", "state", "dkv", name) if os.path.isabs(home) else None
