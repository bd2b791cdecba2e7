"""A node in a program of yours: ``make_service`` gives a Twisted service, and your program owns it (docs/embedding.md).

::

    create_directories("cluster.toml", {1: "data/node1"})
    node = make_service("cluster.toml", 1, "data/node1")
    node.setServiceParent(application)

The node changes nothing of the program: neither signals nor log observers, neither the reactor's clock nor its
resolver, neither the garbage collector nor the umask. If it fails, it closes what it has, and ``whenFailed`` tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dkv.asserts import REFUSAL, assertions_left_out
from dkv.config.config import Config, ConfigError, load_config
from dkv.node.owner import NodeFailed
from dkv.node.service import NodeService, the_reactor
from dkv.node.shared_process import SharedProcess
from dkv.storage.data_directory import DirectoryError, draw_cluster_key, initialise

__all__ = ("Config", "ConfigError", "DirectoryError", "NodeFailed", "NodeService", "create_directories", "make_service")

PathName = str | os.PathLike[str]


def make_service(config: Config | PathName, node: int, data_dir: PathName, *, reactor: Any = None) -> NodeService:
    """A service that runs node ``node`` of the cluster that ``config``, a config or the path of one, describes.

    ``data_dir`` is the node's data directory, which ``create_directories`` or ``dkv init`` has made. ``reactor`` is the
    global one unless given. Nothing is opened before the service is started. ``ConfigError`` if the config is wrong or
    has no such node. The environment has no say in the config.
    """
    if assertions_left_out():
        raise RuntimeError(REFUSAL)
    loaded = _loaded(config)
    member = loaded.member(node)
    owner = SharedProcess(the_reactor() if reactor is None else reactor, loaded, node)
    return NodeService(owner, loaded, member, os.path.abspath(data_dir))


def create_directories(config: Config | PathName, data_dirs: Mapping[int, PathName]) -> bool:
    """Make the data directories of all nodes of a new cluster, if none of them exists; whether they were made.

    Call it before the reactor runs, since it waits for the disk. For a node whose cluster has other programs, too, make
    its directory with ``dkv init``: all must have the same cluster key.

    ``DirectoryError`` if some exist and some do not, for a node that has lost its directory must not come back with an
    empty one: it would vote again on what it had promised and forgotten. ``dkv replace`` puts a new node in its place.
    """
    loaded = _loaded(config)
    ids = [member.id for member in loaded.members]
    if set(ids) != set(data_dirs):
        raise DirectoryError(
            f"the nodes of cluster {loaded.cluster!r} are {ids}, and these are the directories of "
            f"{sorted(data_dirs)}; make those of some of the nodes with dkv init"
        )
    missing = [node for node, path in data_dirs.items() if not _holds_something(path)]
    if missing and len(missing) < len(data_dirs):
        node = missing[0]
        raise DirectoryError(
            f"the data directory {os.fspath(data_dirs[node])} of node {node} is gone, and others are there; "
            f"bring it back, or put a new node in its place with dkv replace"
        )
    key = draw_cluster_key()
    for node in missing:
        initialise(os.fspath(data_dirs[node]), loaded.cluster, node, ids, key)
    return bool(missing)


def _loaded(config: Config | PathName) -> Config:
    return config if isinstance(config, Config) else load_config(os.fspath(config))


def _holds_something(path: PathName) -> bool:
    return os.path.isdir(path) and bool(os.listdir(path))
