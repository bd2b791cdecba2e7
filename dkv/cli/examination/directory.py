"""The data directory of a node: whose it is, and who may get at it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dkv.cli.examination.findings import Finding, problem
from dkv.config.config import Config
from dkv.storage.data_directory import DirectoryError
from dkv.storage.guard import DirectoryLock, DirectoryLocked
from dkv.storage.stopped import stopped_node
from dkv.storage.store import StoreFailed

_OTHERS = 0o077


def examine_directory(path: str, config: Config, node: int | None) -> Iterator[Finding]:
    """What is wrong with the directory at ``path``, of ``node`` of the cluster that ``config`` describes. Nothing in it
    changes. Of the directory of a node that runs only its mode is examined: the node has checked the rest."""
    if not os.path.isdir(path):
        yield problem(path, "there is no such directory: dkv init makes one for a new node")
        return
    mode = os.stat(path).st_mode
    if mode & _OTHERS:
        yield problem(path, f"other users of this machine may enter it (mode {mode & 0o777:o}): chmod 700 it")
    try:
        DirectoryLock(path).release()
        with stopped_node(path) as stopped:
            cluster, owner = stopped.identity.cluster, stopped.identity.node
    except DirectoryLocked:
        return
    except (DirectoryError, StoreFailed) as error:
        yield problem(path, str(error))
        return
    if cluster != config.cluster:
        yield problem(path, f"it belongs to cluster {cluster!r}, and the config file is that of {config.cluster!r}")
    if node is not None and owner != node:
        yield problem(path, f"it belongs to node {owner}, not to node {node}")
