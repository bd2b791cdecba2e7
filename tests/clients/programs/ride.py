"""What every program takes: the addresses and options that it is given, and the ride at its end (``riding``)."""

from __future__ import annotations

import sys

from tests.clients.programs.riding import ride, ride_async

__all__ = ["ADDRESSES", "HOST", "NAME", "OPTIONS", "PORT", "URL", "ride", "ride_async"]

ADDRESSES = [(host, int(port)) for host, _, port in (word.rpartition(":") for word in sys.argv[1].split(","))]
"""All nodes. Who knows one address takes the first."""
HOST, PORT = ADDRESSES[0]
URL = f"redis://{HOST}:{PORT}"
NAME = sys.argv[2]
"""The cluster's name, which Sentinel's clients ask for."""
OPTIONS = sys.argv[3:]
