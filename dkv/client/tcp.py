"""A TCP connection to a node, by its name or its address."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address
from queue import Empty, SimpleQueue

from dkv.client.endpoint import Endpoint

SLOW = "it takes too long"


def opened_stream(endpoint: Endpoint, seconds: float) -> socket.socket:
    """A connection to the endpoint's first address that takes one; the last address's error if none does."""
    failure = OSError("its name has no address")
    for address in _addresses(endpoint, seconds):
        try:
            return socket.create_connection(address, seconds)
        except OSError as error:
            failure = error
    raise failure


def _addresses(endpoint: Endpoint, seconds: float) -> list[tuple[str, int]]:
    """The addresses of a name; ``OSError`` or ``UnicodeError`` if it has none, or none is found within ``seconds``.

    A name server that hangs keeps ``getaddrinfo`` busy for half a minute, and nothing can interrupt it. So it runs
    on a thread, which is left behind then.
    """
    host, port = endpoint.host, endpoint.port
    try:
        ip_address(host.partition("%")[0])
        return [(host, port)]
    except ValueError:
        pass  # it is a name
    found: SimpleQueue[list[tuple[str, int]] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            found.put([(str(each[4][0]), port) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # not lost with its thread: raised below
            found.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        addresses = found.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(addresses, Exception):
        raise addresses
    return addresses


def reason_of(error: OSError | UnicodeError) -> str:
    """Why something failed, in words."""
    if isinstance(error, TimeoutError):
        return SLOW
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
