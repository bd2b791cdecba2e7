"""The entry point of ``dkv``. It imports click only when called: click comes with the extra ``cli``."""

from __future__ import annotations

import sys
from typing import NoReturn

from dkv.asserts import REFUSAL, assertions_left_out


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names, and exit with its status."""
    if assertions_left_out():
        print(f"dkv: {REFUSAL}", file=sys.stderr)
        sys.exit(2)
    try:
        import click  # noqa: F401 - imported to find out whether it can be
    except ImportError:
        print("dkv: this command needs click, which the extra 'cli' of this package brings along", file=sys.stderr)
        sys.exit(2)
    from dkv.cli.commands import dkv

    sys.exit(dkv.main(prog_name="dkv"))
