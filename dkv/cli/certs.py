"""``dkv certs``: a CA for one cluster, and the certificates of its nodes and clients."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from dkv.cli.named_commands import NamedCommands
from dkv.cli.nearest import did_you_mean
from dkv.cli.output import Failure, Status, counted, say
from dkv.cli.table import Table, cell
from dkv.cli.types import PathName, Whole
from dkv.config.config import NODE_ID_MAX, Config, ConfigError, Member, load_config
from dkv.config.listen_endpoint import dialled_address

if TYPE_CHECKING:
    from dkv.tls.authority_files import CertificateDirectory

DIRECTORY = "certs"
CLIENT = "admin"
DAYS = 365
DAYS_MAX = 36_500
NODES = 3
NODES_MAX = 100
LOOPBACK = ("localhost", "127.0.0.1", "::1")

FILES = {"ca": "ca.pem", "certificate": "node{id}.pem", "key": "node{id}.key", "crl": "crl.pem"}
"""The settings of [tls] that name files, and the names of these here."""

STATUSES = "Exit status: 0 done, 1 nothing was changed, and the message says why, 2 usage."

NODE = Whole(1, NODE_ID_MAX)


class Commands(NamedCommands):
    """Those of certificates."""

    meant: ClassVar[Mapping[str, str]] = {
        "create": "new",
        "init": "new",
        "ca": "new-ca",
        "list": "show",
        "user": "client",
        "rotate": "renew",
    }


@contextmanager
def opened(path: Path, new: bool = False) -> Iterator[CertificateDirectory]:
    """The directory of certificates at ``path``; whatever is wrong with it becomes a ``Failure`` of one line.

    It must be one, unless it is ``new``.
    """
    try:
        from dkv.tls.authority import AuthorityError
        from dkv.tls.authority_files import CA, CertificateDirectory
    except ImportError as error:
        message = f"this command needs {error.name}, which the extra 'tls' of this package brings along"
        raise Failure(Status.FAILED, "EXTRA", message) from None
    if not new and not os.path.lexists(path / CA):
        message = f"there are no certificates in {path}: `dkv certs new` makes them, and --dir names another directory"
        raise Failure(Status.FAILED, "CERTIFICATES", message)
    try:
        yield CertificateDirectory(path)
    except AuthorityError as error:
        raise Failure(Status.FAILED, "CERTIFICATES", str(error)) from None


def in_directory(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option ``--dir``."""
    return click.option(
        "--dir", "path", type=PathName(), default=DIRECTORY, show_default=True, help="The directory of certificates."
    )(command)


def lasting(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the option ``--days``."""
    return click.option(
        "--days",
        type=Whole(1, DAYS_MAX),
        default=DAYS,
        show_default=True,
        help="How long what is issued is valid, though not longer than the CA.",
    )(command)


@click.group(cls=Commands, short_help="Make certificates for a cluster, renew and revoke them.")
def certs() -> None:
    """Make the certificates of a cluster: a CA of its own, and certificates of nodes and clients.

    `dkv certs new` makes all that a cluster needs in one directory. Nodes take new files within seconds of their
    change, without a restart. The private keys there, above all that of the CA (ca.key), belong to nobody else: copy to
    each node's machine only ca.pem, crl.pem and the two files of that node.

    docs/security.md tells how a running cluster goes over to TLS, and how a CA is replaced.
    """


@certs.command("new", short_help="Make a CA, and the certificates of all nodes and of a client.", epilog=STATUSES)
@click.option(
    "--config",
    type=PathName(),
    envvar="DKV_CONFIG",
    show_envvar=True,
    help="The cluster's config file: it names the cluster, the nodes and their hosts.",
)
@click.option("--cluster", metavar="NAME", help="The cluster's name, if there is no config file yet.")
@click.option(
    "--nodes", type=Whole(1, NODES_MAX), help=f"With --cluster: how many nodes, on this machine.  [default: {NODES}]"
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="A further host name or address of every node.")
@click.option(
    "--client", "clients", metavar="NAME", multiple=True, default=(CLIENT,), show_default=True, help="A client's name."
)
@lasting
@click.option(
    "--dir",
    "path",
    type=PathName(),
    help=f"The new directory.  [default: where [tls] of the config file looks for it, else {DIRECTORY}]",
)
def new(
    path: Path | None,
    config: Path | None,
    cluster: str | None,
    nodes: int | None,
    hosts: tuple[str, ...],
    clients: tuple[str, ...],
    days: int,
) -> int:
    """Make a new directory with a CA, the certificates and keys of all nodes, those of a client, and an empty list of
    what is revoked. Then print the lines that the config file needs, if it has no [tls] yet.

    Give --host and --client several times for several of them. The host names of a node are those under which the
    config file lets others reach it.
    """
    loaded = None
    if cluster is None:
        if config is None:
            raise click.UsageError("name the cluster's config file with --config, or a new cluster with --cluster NAME")
        if nodes is not None:
            raise click.UsageError("--nodes belongs to --cluster: the config file lists the nodes")
        loaded = _load(config)
        cluster = loaded.cluster
        names = {member.id: _hosts(member) for member in loaded.members}
        path = _place(loaded, path)
    else:
        names = {number: list(LOOPBACK) for number in range(1, (nodes or NODES) + 1)}
        path = path or Path(DIRECTORY)
    names = {node: list(dict.fromkeys([*each, *hosts])) for node, each in names.items()}
    with opened(path, new=True) as directory:
        directory.create(path, cluster, names, list(dict.fromkeys(clients)), days)
    say(f"made {path}/ca.pem, the CA of cluster {cluster!r}; with its key, {path}/ca.key, one can be any node or user")
    for node, each in names.items():
        say(f"made {path}/node{node}.pem and .key for {', '.join(each) or 'a node without host names'}")
    for client in dict.fromkeys(clients):
        say(f"made {path}/{client}.pem and .key for a client that is the user {client!r}")
    say(f"made {path}/crl.pem, the list of what is revoked: nothing yet")
    if loaded is None or loaded.tls is None:
        _say_lines(path, None if loaded is None else config)
    return Status.DONE


@certs.command("node", short_help="Make the certificate of one more node.", epilog=STATUSES)
@click.argument("node", metavar="ID", type=NODE)
@click.option(
    "--host", "hosts", metavar="NAME", multiple=True, required=True, help="A host name or an address of the node."
)
@lasting
@in_directory
def add_node(path: Path, node: int, hosts: tuple[str, ...], days: int) -> int:
    """Make the certificate and the key of node ID, which joins the cluster. Give --host several times for several
    names."""
    with opened(path) as directory:
        directory.add_node(node, hosts, days)
    say(f"made {path}/node{node}.pem and {path}/node{node}.key for {', '.join(dict.fromkeys(hosts))}")
    return Status.DONE


@certs.command("client", short_help="Make the certificate of a client.", epilog=STATUSES)
@click.argument("name", metavar="NAME")
@lasting
@in_directory
def add_client(path: Path, name: str, days: int) -> int:
    """Make the certificate and the key of a client. The user NAME of the users file needs no password with it, if the
    file says certificate = "NAME"."""
    with opened(path) as directory:
        directory.add_client(name, days)
    say(f"made {path}/{name}.pem and {path}/{name}.key for a client that is the user {name!r}")
    return Status.DONE


def complete_names(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The names in the directory that begin as ``begun``, for a shell."""
    try:
        found = sorted(each.stem for each in Path(context.params.get("path") or DIRECTORY).iterdir())
    except OSError:
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(begun) and name not in ("ca", "crl", "issued")]


@certs.command("renew", short_help="Replace certificates before they expire.", epilog=STATUSES)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_names)
@click.option("--left", type=Whole(0, DAYS_MAX), metavar="DAYS", help="Only those that expire within so many days.")
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="A host name or address in place of a node's.")
@lasting
@in_directory
def renew(path: Path, names: tuple[str, ...], left: int | None, hosts: tuple[str, ...], days: int) -> int:
    """Issue the certificates NAME, such as node1 or admin, once more: the same names, a new key, by the newest CA.

    Without NAME these are all that are not revoked. The files are replaced; what was issued before stays valid until it
    expires, or is revoked.
    """
    if hosts and len(names) != 1:
        raise click.UsageError("--host is for one node: name it, such as node1")
    with opened(path) as directory:
        known = directory.names()
        check_known(names, known)
        state = {each.name: each for each in directory.listed()}
        now = datetime.now(UTC)
        chosen = names or tuple(name for name in known if state[name].state != "revoked")
        if left is not None:
            chosen = tuple(
                name for name in chosen if (days_left := state[name].days_left(now)) is None or days_left <= left
            )
        for name in chosen:
            directory.renew(name, days, hosts)
            say(f"renewed {path}/{name}.pem and {path}/{name}.key")
    if not chosen:
        say("nothing to renew")
    return Status.DONE


@certs.command("revoke", short_help="Revoke all certificates of a node or a client.", epilog=STATUSES)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)
@in_directory
def revoke(path: Path, names: tuple[str, ...]) -> int:
    """Write a list, crl.pem, by which nodes refuse every certificate that was ever issued to NAME. Nodes whose config
    file names the list take it within seconds.

    To give NAME another one, renew it after that.
    """
    with opened(path) as directory:
        check_known(names, directory.names())
        for name in names:
            number = directory.revoke(name)
            say(f"revoked {counted(number, 'certificate')} of {name}" if number else f"{name} has none left to revoke")
    say(f"copy {path}/crl.pem to every node")
    return Status.DONE


@certs.command("new-ca", short_help="Add a new CA beside the present one.", epilog=STATUSES)
@in_directory
def new_ca(path: Path) -> int:
    """Make a new CA, which issues all further certificates. Those of the present one stay valid: ca.pem holds
    both until `dkv certs drop-ca`.

    First give the new ca.pem and crl.pem to all nodes and clients. Then renew all certificates, and give them out.
    """
    with opened(path) as directory:
        directory.add_authority()
    say(f"{path}/ca.pem has a new CA beside the old one: give it and crl.pem to all nodes and clients")
    say("then `dkv certs renew`, and give out the new certificates; `dkv certs drop-ca` ends the change")
    return Status.DONE


@certs.command("drop-ca", short_help="Remove the old CA once all certificates are of the new one.", epilog=STATUSES)
@in_directory
def drop_ca(path: Path) -> int:
    """Leave only the newest CA in ca.pem. It is refused while a certificate here is of an older one."""
    with opened(path) as directory:
        gone = directory.drop_authorities()
    say(f"removed {counted(gone, 'old CA')}; give ca.pem and crl.pem to all" if gone else "there is only one CA")
    return Status.DONE


@certs.command(
    "show",
    short_help="Show what is there, and when it expires.",
    epilog="Exit status: 0 nothing has expired or is missing, 1 something has or is, or the directory cannot be read, "
    "2 usage.",
)
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
@in_directory
def show(path: Path, output: str) -> int:
    """Show the CA, the list of what is revoked and all certificates, each with the days that are left.

    With --output json it is a list of objects: "name", "kind", "holder", "issuer", "expires", "days_left", "state".
    """
    now = datetime.now(UTC)
    with opened(path) as directory:
        listed = directory.listed()
    if output == "json":
        fields = [
            {
                "name": each.name,
                "kind": each.kind,
                "holder": each.uri or None,
                "issuer": each.issuer,
                "expires": None if each.ends is None else each.ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "days_left": each.days_left(now),
                "state": each.state,
            }
            for each in listed
        ]
        say(json.dumps(fields))
    else:
        table = Table("NAME", "HOLDER", "DAYS LEFT", "EXPIRES", "STATE", "ISSUER", spare=("ISSUER", "EXPIRES"))
        table.add(
            [
                cell(each.name),
                cell(each.uri),
                cell(each.days_left(now)),
                cell(None if each.ends is None else f"{each.ends:%Y-%m-%d}"),
                cell(each.state, None if each.state == "ok" else "red"),
                cell(each.issuer),
            ]
            for each in listed
        )
    return Status.FAILED if any(each.state in ("expired", "missing") for each in listed) else Status.DONE


def check_known(names: tuple[str, ...], known: list[str]) -> None:
    """``Failure`` if one of ``names`` has no certificate in the directory."""
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"there is no certificate of {name!r} here. {hint}".rstrip()
            raise Failure(Status.FAILED, "CERTIFICATES", message)


def _load(path: Path) -> Config:
    try:
        return load_config(str(path), os.environ)
    except ConfigError as error:
        raise Failure(Status.USAGE, "USAGE", str(error)) from None


def _hosts(member: Member) -> list[str]:
    """The hosts under which others reach a member; those on this machine alone go by all their names."""
    addresses = [dialled_address(each.advertise) for each in member.endpoints().values()]
    hosts = [address[0] for address in addresses if address is not None]
    return [*hosts, *(LOOPBACK if set(hosts) & set(LOOPBACK) else ())]


def _place(config: Config, path: Path | None) -> Path:
    """The directory for the certificates of a config file; ``Failure`` if its [tls] would not find them there."""
    if config.tls is None:
        return path or Path(DIRECTORY)
    named = Path(os.path.relpath(Path(config.tls.ca).parent))
    path = path or (Path(config.tls.ca).parent if named.parts[:1] == ("..",) else named)
    for name, file in FILES.items():
        said, made = getattr(config.tls, name), str(path.absolute() / file)
        if said is not None and said != made:
            message = f"[tls] of the config file says {name} = {said!r}, but this would make {made}: change that line"
            raise Failure(Status.USAGE, "USAGE", message)
    return path


def _say_lines(path: Path, config: Path | None) -> None:
    """The lines for the config file, with paths as it needs them."""
    absolute = path.absolute()
    home = None if config is None else config.absolute().parent
    place = absolute.relative_to(home) if home is not None and absolute.is_relative_to(home) else absolute
    say("")
    say(
        f"Put these lines at the end of {config or 'the config file'}, and client_tls beside or instead of each client:"
    )
    say("")
    say("[tls]")
    for name, file in FILES.items():
        say(f"{name} = {json.dumps(str(place / file))}")
    say('peers = "require"  # a cluster that runs without TLS begins with "allow": see docs/security.md')
