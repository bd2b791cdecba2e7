"""INFO: the state of a node in Redis's words, for ``redis-cli --stat``, exporters, and libraries that connect.

Every value is true, and a field without a true value is left out. The section ``Keyspace`` counts what this node has
applied, as DBSIZE does.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha1

from dkv import __version__
from dkv.console.surroundings import Holdings
from dkv.identity import Identity
from dkv.kv.codes import DATABASES
from dkv.net.clients import Clients
from dkv.pubsub_messages import CHANNEL, PATTERN
from dkv.security.rights import Rights
from dkv.settings import KIB, MIB

REDIS_VERSION = "7.2.4"
"""The version of Redis whose commands clients may expect, as far as strings go; Valkey names the same.

To a later one libraries send words that dkv lacks: redis-om sends HTTL to 7.4, and redis-py offers client-side caching.
"""

_SECONDS_PER_DAY = 86_400

KEYSPACE = "Keyspace"
FOR_EVERYBODY = ("Server", "Persistence", "Replication", "Cluster")

Fields = Mapping[str, object]
Sections = Mapping[str, Fields]


def info_sections(
    status: Fields,
    identity: Identity,
    clients: Clients,
    holdings: Holdings,
    tcp_port: int | None,
    uptime_seconds: float,
    replication: Fields,
) -> Sections:
    """The fields of INFO, by section.

    ``status`` is the node's own, for the section ``dkv``, and ``replication`` has what it says of the other nodes.
    ``holdings`` is its state machine. ``tcp_port`` is None if clients do not connect by TCP, which Redis calls port 0.
    """
    system = os.uname()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    memory = _resident_bytes()
    return {
        "Server": {
            "redis_version": REDIS_VERSION,
            "redis_mode": "standalone",
            "dkv_version": __version__,
            "os": f"{system.sysname} {system.release} {system.machine}",
            "arch_bits": 64 if sys.maxsize > 2**32 else 32,
            "process_id": os.getpid(),
            "run_id": run_id_of(identity),
            "tcp_port": tcp_port or 0,
            "uptime_in_seconds": int(uptime_seconds),
            "uptime_in_days": int(uptime_seconds / _SECONDS_PER_DAY),
        },
        "Clients": {
            "connected_clients": clients.connections,
            "maxclients": clients.connections_max,
            "blocked_clients": 0,
            "pubsub_clients": clients.deliveries.exchange.subscribers,
        },
        "Memory": {
            "used_memory": memory,
            "used_memory_human": f"{memory / MIB:.2f}M",
            "used_memory_rss": memory,
            "used_memory_peak": max(usage.ru_maxrss * KIB, memory),
            "maxmemory": 0,
            "maxmemory_policy": "noeviction",
        },
        "Persistence": {
            "loading": status["loading"],
            "aof_enabled": 1,
            "aof_rewrite_in_progress": 0,
            "aof_last_write_status": "ok",  # a node whose disk fails has ended
            "rdb_bgsave_in_progress": 0,
        },
        "Stats": _stats(clients, holdings),
        "Replication": replication,
        "CPU": {"used_cpu_sys": f"{usage.ru_stime:.6f}", "used_cpu_user": f"{usage.ru_utime:.6f}"},
        "Cluster": {"cluster_enabled": 0},
        KEYSPACE: {
            f"db{number}": f"keys={keys},expires={mortal},avg_ttl=0"  # 0: not known, in Redis too
            for number, keys, mortal in holdings.counted()
        },
        "Dkv": status,
    }


def _stats(clients: Clients, holdings: Holdings) -> Fields:
    meter, exchange = clients.meter, clients.deliveries.exchange
    return {
        "total_connections_received": meter.connections,
        "total_commands_processed": meter.requests - clients.inputs_refused,
        "instantaneous_ops_per_sec": round(meter.requests_per_second),
        "total_net_input_bytes": meter.input_bytes,
        "total_net_output_bytes": meter.output_bytes,
        "rejected_connections": clients.connections_refused,
        "expired_keys": holdings.expired,
        "evicted_keys": 0,
        "pubsub_channels": exchange.names_here(CHANNEL),
        "pubsub_patterns": exchange.names_here(PATTERN),
    }


def info_text(sections: Sections, names: Iterable[bytes]) -> bytes:
    """``# Section`` headings and ``field:value`` lines, with CRLF; all sections unless some are named."""
    wanted = {name.decode("utf-8", "replace").lower() for name in names}
    everything = not wanted or bool(wanted & {"all", "default", "everything"})
    texts = [
        "".join([f"# {name}\r\n", *(f"{field}:{value}\r\n" for field, value in fields.items())])
        for name, fields in sections.items()
        if everything or name.lower() in wanted
    ]
    return "\r\n".join(texts).encode("utf-8", "backslashreplace")


def sections_for(rights: Rights, sections: Sections) -> Sections:
    """What a user may be told who is not allowed everything.

    The inside of the node is for those who are allowed ``admin``, and the number of keys in a database for those who
    may read all of them. Libraries ask for the rest when they connect.
    """
    is_admin = rights.allows("admin")
    told = {name: fields for name, fields in sections.items() if is_admin or name in FOR_EVERYBODY}
    numbers = [db for db in range(DATABASES) if rights.allows("read") and rights.allows_all_keys(db)]
    counted = sections.get(KEYSPACE, {})
    told[KEYSPACE] = {name: counted[name] for name in map("db{}".format, numbers) if name in counted}
    return told


def run_id_of(identity: Identity) -> str:
    """40 hexadecimal digits, as in Redis; they differ for each start of each node."""
    life = f"{identity.cluster} {identity.node} {identity.incarnation} {identity.boot}"
    return sha1(life.encode(), usedforsecurity=False).hexdigest()


def _resident_bytes() -> int:
    """The bytes of the process in memory, mapped files included."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
