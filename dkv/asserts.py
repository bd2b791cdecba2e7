"""Assertions guard a node's data and answers in production, too: a Python that leaves them out runs no node."""

from __future__ import annotations

import sys

REFUSAL = "Python leaves out assertions (-O, PYTHONOPTIMIZE), which guard what dkv stores and answers: run it without"


def assertions_left_out() -> bool:
    """Whether this process skips every ``assert``."""
    return sys.flags.optimize > 0
