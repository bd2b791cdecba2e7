"""Which versions of redis-py the classes of this package are made for, and tried with."""

from __future__ import annotations

import re

OLDEST, TOO_NEW = (5, 0, 1), (9,)
NEEDED = "'redis>=5.0.1,<9'"

_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")


def check() -> None:
    """``ImportError`` if redis-py is missing or of another version: what is not tried might write twice in silence."""
    try:
        import redis
    except ImportError:
        text = f"dkv.client.redis is made of redis-py, which is not installed: pip install {NEEDED}"
        raise ImportError(text) from None
    check_version(redis.__version__)


def check_version(version: str) -> None:
    """``ImportError`` for a version, such as "4.6.0", that these classes are not made for."""
    found = _NUMBERS.match(version)
    if found is None or not OLDEST <= tuple(map(int, found[0].split("."))) < TOO_NEW:
        raise ImportError(f"dkv.client.redis is not made for redis-py {version}: pip install {NEEDED}")
