"""Reading the small files that the config names: nothing that is put in their place holds up a node, or fills it."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

NOT_PLAIN = "it is not a regular file"


def open_plain(path: str) -> BinaryIO:
    """Open the file at ``path`` for reading; ``OSError``, whose ``strerror`` says why, if that fails.

    A pipe, a terminal or a device is refused: reading it may wait for ever, or have no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer opens, too
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        raise OSError(0, "it is a directory" if is_directory else NOT_PLAIN, path)
    return os.fdopen(descriptor, "rb")
