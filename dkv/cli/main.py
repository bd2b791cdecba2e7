"""The entry point of ``dkv``. It imports click only when called: click comes with the extra ``cli``."""

from __future__ import annotations

import sys
from typing import NoReturn

from dkv.asserts import REFUSAL, assertions_left_out

USAGE, INTERNAL, INTERRUPTED = 2, 70, 130
"""Statuses as in ``dkv.cli.output``, which needs click."""


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names, and exit with its status."""
    if assertions_left_out():
        _end(USAGE, REFUSAL)
    try:
        import click  # noqa: F401 - imported to find out whether it can be
    except ImportError:
        _end(USAGE, "this command needs click, which the extra 'cli' of this package brings along")
    try:
        from dkv.cli.group import dkv
    except KeyboardInterrupt:
        _end(INTERRUPTED, "interrupted")
    except Exception as error:
        _end(INTERNAL, f"internal error: {type(error).__name__}: {error}")
    sys.exit(dkv.main(prog_name="dkv"))


def _end(status: int, message: str) -> NoReturn:
    print(f"dkv: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
