"""LevelDB's Python binding: plyvel, or plyvel-next where plyvel has no wheels (Python 3.13 and later).

Both have the same API over the same LevelDB, so one may open a directory that the other wrote. ``setup.cfg`` says which
of them is installed for which version of Python.
"""

from __future__ import annotations

from typing import Any

try:
    import plyvel as _module
except ImportError:
    import plyvel_next as _module

plyvel: Any = _module
"""The module; neither of the two has annotations."""

DISTRIBUTION: str = _module.__name__.replace("_", "-")
"""The name of the package that it comes from."""
