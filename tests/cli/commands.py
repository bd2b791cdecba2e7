"""Running ``dkv`` within the test's process."""

from __future__ import annotations

import os
from typing import Any

from click.testing import CliRunner, Result

from dkv.cli.group import dkv

VARIABLES = (
    *("ENDPOINTS", "CONFIG", "NODE", "DATA_DIR"),
    *("TLS", "CA", "CERT", "KEY", "USER", "PASSWORD", "PASSWORD_FILE"),
)
"""Those of whoever runs the tests must not change them."""


def run(*words: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Result:
    """Run ``dkv`` with ``words``; its exit status, stdout and stderr. What it does not handle is raised here."""
    cleared: dict[str, Any] = dict.fromkeys(f"DKV_{name}" for name in VARIABLES)
    cleared["XDG_STATE_HOME"] = os.path.abspath("state")  # in the directory that trial runs the tests in
    result = CliRunner().invoke(dkv, list(words), input=stdin, env=cleared | (environment or {}))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
