"""What redis-py's connections to several nodes have in common, blocking or not: where they lead, and when to leave."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import redis

from dkv.client.blocking import Endpoint
from dkv.client.redis.endings import leaves_the_node
from dkv.client.redis.node_order import NodeOrder

ANSWER_SECONDS = 6.0
"""How long an answer may take before another node is asked: a little longer than a node lets a request wait itself."""

CONNECT_SECONDS = 1.0

LISTENING_RETRIES = 10
"""How often the connection of a subscriber is made anew, with pauses, before the program is told."""

LISTENING_PAUSES = {"cap": 1.0, "base": 0.05}

REDIS_PORT = 6379

SCANS_ANEW = 10
"""How often ``scan_iter`` begins anew, because the node that had given the cursor failed."""

INVALID_CURSOR = "invalid cursor"
"""What a node says to a cursor of another one; redis-py takes the "ERR" off."""

NAME = "dkv_name"
"""The option that tells ``parse_response`` the name of a command that was sent behind a token."""

Nodes = Iterable[Endpoint | str]
"""The nodes of one cluster, each an ``Endpoint`` or a text such as "host:5001"."""


class OnNodes:
    """Where a connection leads, and since when. All connections of a pool share ``nodes``."""

    nodes: NodeOrder
    host: str
    port: int

    def begin(self, nodes: NodeOrder) -> None:
        """It is not connected."""
        self.nodes = nodes
        self.marker: object | None = None
        """The connection as it is now: another object each time it is made, None while there is none."""
        self._failures = 0

    @property
    def endpoint(self) -> Endpoint:
        """The node that it leads to."""
        return Endpoint(self.host, int(self.port))

    @property
    def is_left(self) -> bool:
        """Whether the node has failed, on any connection, since this one was made."""
        return self.marker is not None and self.nodes.failures(self.endpoint) != self._failures

    def aim(self, endpoint: Endpoint) -> None:
        """Connect to this node next."""
        self.host, self.port = endpoint.host, endpoint.port
        self._failures = self.nodes.failures(endpoint)


def note_failure(connection: object, error: Exception) -> None:
    """If ``error`` is about the node and not about the request, the node is asked last from now on."""
    if isinstance(connection, OnNodes) and leaves_the_node(error):
        connection.nodes.failed(connection.endpoint)


def marker_of(connection: object) -> object:
    """The connection as it is now: another object each time it is made, None while there is none.

    redis-py's own connections make themselves anew without a word. Their socket tells, or their stream.
    """
    if isinstance(connection, OnNodes):
        return connection.marker
    inner = getattr(connection, "_conn", connection)
    return getattr(inner, "_sock", None) or getattr(inner, "_writer", None)


def give_nodes(pool: Any, nodes: Nodes, classes: Mapping[Any, Any], retry: object) -> None:
    """Make the connections of ``pool``, which has none yet, go to ``nodes``, or else to its own host and port.

    ``classes`` has the class of connections to nodes for each of redis-py's. ``retry`` takes the place of redis-py's
    own repeats: the client sends a request again, and knows which ones may be.
    """
    options = pool.connection_kwargs
    known = classes.get(pool.connection_class)
    if known is not None:
        own = Endpoint(options.get("host", "localhost"), int(options.get("port", REDIS_PORT)))
        options["nodes"] = NodeOrder(list(nodes) or [own])
        pool.connection_class = known
    elif nodes:
        raise ValueError(f"connections of the class {pool.connection_class.__name__} go to one server")
    options["retry"] = retry
    options.pop("retry_on_timeout", None)
    options.pop("retry_on_error", None)


def checking_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for TLS, by which a node's certificate must name its host unless they say otherwise.

    Before redis-py 6 its own default is to take any certificate of the CA.
    """
    checks = options.get("ssl_cert_reqs", ssl.CERT_REQUIRED) not in (None, "none", ssl.CERT_NONE)
    return {"ssl_check_hostname": checks, **options}


def get_connection(pool: Any) -> Any:
    """A connection of the pool. Before redis-py 5.3 the name of a command had to be given, for nothing."""
    return pool.get_connection("MULTI") if _NAMED else pool.get_connection()


def listening_options(pool: Any) -> dict[str, Any]:
    """The options of ``pool`` for subscribers. Before redis-py 8, one that hears nothing for a while would hang up."""
    options = dict(pool.connection_kwargs)
    if _VERSION < (8,):
        options["socket_timeout"] = None
    return options


_VERSION = tuple(map(int, redis.__version__.split(".")[:2]))
_NAMED = _VERSION < (5, 3)
