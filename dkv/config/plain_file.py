"""Reading the small files that the config names: nothing that is put in their place holds up a node, or fills it."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

FILE_BYTES_MAX = 16 << 20
"""No file that the config names is longer: a list of hundreds of thousands of revoked certificates fits."""

NOT_PLAIN = "it is not a regular file"


def open_plain(path: str) -> BinaryIO:
    """Open the file at ``path`` for reading; ``OSError``, whose ``strerror`` says why, if that fails.

    A pipe, a terminal or a device is refused: reading it may wait for ever, or have no end. So is a file that is far
    too long: a database that was put there by mistake would take the memory and the time of a node.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer opens, too
    found = os.fstat(descriptor)
    wrong = ""
    if stat.S_ISDIR(found.st_mode):
        wrong = "it is a directory"
    elif not stat.S_ISREG(found.st_mode):
        wrong = NOT_PLAIN
    elif found.st_size > FILE_BYTES_MAX:
        wrong = f"it has more than {FILE_BYTES_MAX} bytes: is it another file?"
    if wrong:
        os.close(descriptor)
        raise OSError(0, wrong, path)
    return os.fdopen(descriptor, "rb")
