"""The place of a user's files that outlive a command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def state_path(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The path of the file ``name``: below ``$XDG_STATE_HOME`` if that is absolute, else below ``~/.local/state``.

    None for a user without a home, such as a container's uid that no passwd file lists.
    """
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
