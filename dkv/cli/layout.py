"""The files of ``dkv cluster``: a config, and a directory and a log per node. All are prepared, or none."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dkv.cli.local_tls import DIRECTORY as CERTIFICATES
from dkv.cli.local_tls import admission, local_settings, make_certificates
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint
from dkv.config.config import Config, ConfigError, Member, load_config, render_config
from dkv.config.listen_endpoint import listening_address, parse_endpoint
from dkv.config.tls_settings import TlsSettings
from dkv.settings import LEADER, Limits, Timings
from dkv.storage.data_directory import DirectoryError, draw_cluster_key, empty_directory, initialise

NODES = 3
BASE_PORT = 5001
PEER_PORTS_FROM = 100
"""The port for peers is this much above the port for clients."""
ADMIN_PORTS_FROM = 200
"""And so much the port for operators."""

CLUSTER = "local"
HOST = "127.0.0.1"
CONFIG_NAME = "cluster.toml"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of a local cluster's files."""

    directory: Path
    config_path: Path
    config: Config

    def node_directory(self, node: int) -> Path:
        """The data directory of a node."""
        return self.directory / f"node{node}"

    def node_arguments(self, node: int) -> list[str]:
        """The arguments with which twistd runs a node."""
        config, directory = str(self.config_path.absolute()), str(self.node_directory(node).absolute())
        return ["-n", "--pidfile=", "dkvnode", "--config", config, "--node", str(node), "--data-dir", directory]

    def log_path(self, node: int) -> Path:
        """The file of a node's log."""
        return self.directory / f"node{node}.log"


def prepare(
    directory: Path,
    config_path: Path | None,
    nodes: int | None,
    base_port: int | None,
    mode: str | None = None,
    tls: bool = False,
) -> Layout:
    """The layout under ``directory``, ready to run; ``Failure`` says in one line what is wrong and what to do.

    Without ``config_path`` the config is the one in the directory. It is made if everything is new, with certificates
    if ``tls``; else ``nodes``, ``base_port``, ``mode`` and ``tls`` must agree with it. New data directories are
    initialised, all of them or none.
    """
    own = directory / CONFIG_NAME
    make_config = config_path is None and not own.exists()
    if make_config:
        settings = local_settings(directory) if tls else None
        layout = Layout(directory, own, new_config(nodes or NODES, base_port or BASE_PORT, mode or LEADER, settings))
    else:
        layout = Layout(directory, config_path or own, _load(config_path or own))
        _check_agreement(layout, nodes, base_port, mode, tls)
    new = _all_new(layout)
    if make_config and not new:
        raise _wrong(
            f"{directory} has data directories of nodes but no {CONFIG_NAME}; name the config file that they belong "
            f"to with --config, or another directory with --data-dir"
        )
    check_ports(layout.config)
    if new:
        _make(layout, make_config)
    return layout


def new_config(nodes: int, base_port: int, mode: str = LEADER, tls: TlsSettings | None = None) -> Config:
    """A config of ``nodes`` members on this machine that agree by ``mode``, with clients at ``base_port`` and above;
    with ``tls`` all their ports have it."""
    members = tuple(local_member(number, base_port + number - 1, tls is not None) for number in range(1, nodes + 1))
    return Config(CLUSTER, mode, members, Limits(), Timings(), allow_faults=True, tls=tls)


def local_member(number: int, port: int, tls: bool = False) -> Member:
    """A member on this machine, with clients at ``port``."""
    ports = (port, port + PEER_PORTS_FROM, port + ADMIN_PORTS_FROM)
    endpoints = (parse_endpoint(f"{HOST}:{each}") for each in ports)
    return Member(number, *endpoints, client_is_tls=tls, admin_is_tls=tls)


def listening(bind: str) -> Endpoint | None:
    """The address that a server endpoint string listens on, if it is TCP; a host of "" is every address."""
    address = listening_address(bind)
    return None if address is None else Endpoint(*address)


def client_endpoint(config: Config, member: Member) -> Endpoint:
    """The endpoint where a client on this machine reaches a member; ``Failure`` if it is not a TCP port."""
    endpoint = listening(member.client.bind)
    if endpoint is None:
        raise _wrong(
            f"node {member.id} takes clients at {member.client.bind!r}, but `dkv cluster` needs host:port; start the "
            f"nodes of this config by themselves, with twistd dkvnode"
        )
    return _local(endpoint).admitting(admission(config, member.id, member.client_is_tls))


def operators_endpoint(config: Config, member: Member) -> Endpoint | None:
    """The same for operators; None if a member has no such port, or it is not a TCP port."""
    endpoint = None if member.admin is None else listening(member.admin.bind)
    return None if endpoint is None else _local(endpoint).admitting(admission(config, member.id, member.admin_is_tls))


def _local(endpoint: Endpoint) -> Endpoint:
    """Where this machine reaches a port of its own."""
    return Endpoint({"": HOST, "::": "::1"}.get(endpoint.host, endpoint.host), endpoint.port)


def check_ports(config: Config) -> None:
    """``Failure`` if a node could not listen on one of its ports. All ports are held until all are known to be free."""
    with ExitStack() as held:
        for member in config.members:
            client_endpoint(config, member)
            for each in member.endpoints().values():
                endpoint = listening(each.bind)
                if endpoint is not None:
                    try:
                        held.enter_context(_bound(endpoint))
                    except OSError as error:
                        raise Failure(
                            Status.FAILED,
                            "PORT",
                            f"node {member.id} cannot listen on port {endpoint.port} of "
                            f"{endpoint.host or 'this machine'}: {error.strerror}; stop what uses it, or choose other "
                            f"ports (--base-port for a new cluster, or the config file)",
                        ) from None


def _bound(endpoint: Endpoint) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        endpoint.host or "0.0.0.0", endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    stream = socket.socket(family, kind, protocol)
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the node does: old connections may linger
        stream.bind(address)
    except OSError:
        stream.close()
        raise
    return stream


# --- checks ---


def _load(path: Path) -> Config:
    try:
        return load_config(str(path), os.environ)
    except ConfigError as error:
        raise _wrong(str(error)) from None


def _check_agreement(layout: Layout, nodes: int | None, base_port: int | None, mode: str | None, tls: bool) -> None:
    members = layout.config.members
    if nodes not in (None, len(members)):
        raise _disagrees(layout, f"{len(members)} nodes", f"--nodes {nodes}")
    port = client_endpoint(layout.config, members[0]).port
    if base_port not in (None, port):
        raise _disagrees(layout, f"port {port} for the clients of its first node", f"--base-port {base_port}")
    if mode not in (None, layout.config.mode):
        raise _wrong(
            f"{layout.config_path} says mode = {layout.config.mode!r}; to switch this cluster, stop it, write "
            f'mode = "{mode}" into that file and start it again'
        )
    if tls and layout.config.tls is None:
        raise _disagrees(layout, "nothing of TLS", "--tls")


def _disagrees(layout: Layout, says: str, option: str) -> Failure:
    return _wrong(f"{layout.config_path} says {says}; leave out {option}, or start a new cluster in another --data-dir")


def _all_new(layout: Layout) -> bool:
    """Whether no node has data yet; ``Failure`` if only some have."""
    paths = [layout.node_directory(member.id) for member in layout.config.members]
    new = [path for path in paths if _is_new(path)]
    if new and len(new) < len(paths):
        used = " ".join(str(path) for path in paths if path not in new)
        raise _wrong(
            f"no data in {' '.join(map(str, new))}, but in {used}; put back what is missing, for a node must not vote "
            "without what it knew; if the cluster there has another number of nodes, leave out --nodes or name its "
            "--config; a new cluster wants another --data-dir"
        )
    return bool(new)


def _is_new(path: Path) -> bool:
    try:
        return not any(path.iterdir())
    except FileNotFoundError:
        return True
    except OSError as error:
        raise Failure(Status.FAILED, "DIRECTORY", f"cannot read {path}: {error.strerror}") from None


def _wrong(message: str) -> Failure:
    return Failure(Status.USAGE, "USAGE", message)


# --- making ---


def _make(layout: Layout, make_config: bool) -> None:
    """Write the config if it is new, then initialise every data directory; a failure leaves all as it was."""
    with ExitStack() as undo:
        try:
            _make_directory(layout.directory, undo)
            if make_config:
                undo.callback(layout.config_path.unlink, missing_ok=True)
                with open(layout.config_path, "w", encoding="utf-8") as file:
                    file.write(render_config(layout.config))
                    file.flush()
                    os.fsync(file.fileno())  # the data is useless without it; initialise syncs its name
            if make_config and layout.config.tls is not None:
                make_certificates(layout.directory, layout.config)
                undo.callback(shutil.rmtree, layout.directory / CERTIFICATES)
            ids, cluster_key = [member.id for member in layout.config.members], draw_cluster_key()
            for member in layout.config.members:
                path = layout.node_directory(member.id)
                _make_directory(path, undo)
                initialise(str(path), layout.config.cluster, member.id, ids, cluster_key)
                undo.callback(empty_directory, str(path))
        except OSError as error:
            reason = f"cannot write {error.filename or layout.directory}: {error.strerror}"
            raise Failure(Status.FAILED, "DIRECTORY", reason) from None
        except DirectoryError as error:
            raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
        undo.pop_all()


def _make_directory(path: Path, undo: ExitStack) -> None:
    """Make ``path`` and its parents; ``undo`` will remove the directories that were not there."""
    for each in (*reversed(path.parents), path):
        if not each.exists():
            each.mkdir()
            undo.callback(each.rmdir)
