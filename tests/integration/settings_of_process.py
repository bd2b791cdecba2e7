"""What belongs to a whole process, and a node in a program of somebody else's must leave as it is."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import warnings
from typing import Any

import structlog
from prometheus_client import REGISTRY
from twisted.internet import reactor as the_reactor
from twisted.logger import globalLogPublisher

reactor: Any = the_reactor
LIMITS = [name for name in dir(resource) if name.startswith("RLIMIT_")]


def settings() -> dict[str, Any]:
    """What belongs to the whole process, and a node must leave as it is."""
    umask = os.umask(0o22)
    os.umask(umask)
    return {
        "umask": umask,
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "switch interval": sys.getswitchinterval(),
        "garbage collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_debug()),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook),
        "atexit": atexit._ncallbacks(),
        "reactor": (type(reactor), reactor.seconds, reactor.nameResolver),
        "reactor's own": sorted(set(vars(reactor)) & {"seconds", "doIteration", "callLater"}),
        "triggers": str(reactor._eventTriggers.keys()),
        "pool of threads": (reactor.getThreadPool().min, reactor.getThreadPool().max),
        "log observers": list(globalLogPublisher._observers),
        "logging": (list(logging.root.handlers), logging.root.level),
        "structlog": repr(structlog.get_config()),
        "prometheus": sorted(REGISTRY._names_to_collectors),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "warnings": list(warnings.filters),
        "sockets": (socket.getdefaulttimeout(), socket.getaddrinfo),
        "standard streams": (sys.stdin, sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
    }
