"""What a node's process asks of Python, Twisted and the system before it serves. In a program that is not its own a
node asks only for ``descriptor_limit`` and ``fast_or_plain_sending``, which change nothing."""

from __future__ import annotations

import gc
import resource
import sys
from typing import Any

from dkv.config.config import Config
from dkv.console.admin_channel import CONNECTIONS_MAX as ADMIN_CONNECTIONS_MAX
from dkv.net.mesh import STRANGERS_MAX
from dkv.net.securing import handshakes_allowed
from dkv.net.sending import SenderOf, by_write
from dkv.node.reactor import install, missing_names, send_at_once
from dkv.storage.leveldb import MAX_OPEN_FILES

DESCRIPTORS_WANTED = 65_536
DESCRIPTORS_RESERVED = MAX_OPEN_FILES + 2 * ADMIN_CONNECTIONS_MAX + STRANGERS_MAX + 128
"""Not for clients: LevelDB's files, connections of peers, and of operators at two ports, listening ports, logs,
refusals under way."""

TLS_PORTS = 3
"""For clients, peers and operators: at each of them handshakes may be under way."""

SWITCH_SECONDS = 1e-4
"""How long the storage thread waits for the interpreter when its write is done; Python's default is 5 ms."""


def connections_allowed(config: Config, descriptors: int, log: Any) -> int:
    """How many clients may connect: the configured cap, or what so many ``descriptors`` leave if that is less."""
    allowed = descriptors - DESCRIPTORS_RESERVED
    if config.tls is not None:
        allowed -= TLS_PORTS * handshakes_allowed(descriptors)
    wanted = config.limits.connections_max
    if allowed < wanted:
        log.warning("connections_capped", connections_max=max(allowed, 1), wanted=wanted)
    return max(min(allowed, wanted), 1)


def descriptor_limit() -> int:
    """How many files the process may have open, as things are."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DESCRIPTORS_WANTED if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as is wanted and allowed; the limit that holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return descriptor_limit()


def switch_quickly_and_collect_rarely() -> None:
    """Let the storage thread back in soon; look for cycles less often than Python does, which is after every 700 new
    objects: a node makes few cycles."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what exists now, modules mostly, stays to the end
    gc.set_threshold(50_000, 20, 50)


def fast_or_plain(reactor: Any, config: Config, log: Any) -> tuple[Any, SenderOf]:
    """The clock of the host, and how connections send: the fast ones of ``reactor.py``, or Twisted's own.

    The reactor must be the node's own: its loop is replaced.
    """
    return install(reactor) if _may_be_fast(reactor, config, log) else (reactor, by_write)


def fast_or_plain_sending(reactor: Any, config: Config, log: Any) -> SenderOf:
    """How connections send. That concerns no connection but the node's own, and leaves ``reactor`` as it is."""
    return send_at_once if _may_be_fast(reactor, config, log) else by_write


def _may_be_fast(reactor: Any, config: Config, log: Any) -> bool:
    if not config.fast_reactor:
        return False
    missing = missing_names(reactor)
    if missing:
        log.warning("fast_reactor_off", reason=f"this version of Twisted has no {', '.join(missing)}")
    return not missing
