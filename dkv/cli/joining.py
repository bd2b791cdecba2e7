"""How a new node joins a cluster: what a member tells it, whether its config file agrees, and its entry of the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dkv.cli.access import ANSWER_SECONDS, Access
from dkv.cli.change_plan import add
from dkv.cli.change_run import Changer
from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.config.config import Config
from dkv.config.listen_endpoint import ListenEndpoint, shortest
from dkv.identity import Identity
from dkv.storage.data_directory import DirectoryError
from dkv.storage.stopped import stopped_node

ASK_SECONDS = 5.0
ADD_SECONDS = 20.0
"""How long the cluster has to take the new node in. The command may be given again, so it need not wait out a fault."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """The cluster as a member of it knows it.

    ``peers`` has the present members' addresses for each other by id, and ``incarnations`` those of their directories
    in hex, None where the member that was asked does not know one.
    """

    cluster: str
    cluster_key: bytes
    first_members: tuple[int, ...]
    ids_through: int
    peers: Mapping[int, str]
    incarnations: Mapping[int, str | None]


def invitation_of(member: Endpoint) -> Invitation:
    """The invitation that the node at ``member`` gives; ``Failure`` if it does not answer, or is no member."""
    try:
        with connect(member, ASK_SECONDS, ASK_SECONDS) as connection:
            reply = connection.call(b"DKV.MEMBER", b"JOIN")
    except (NotSent, NoAnswer) as error:
        text = f"{error}; --join takes the port for clients of a member that runs"
        raise Failure(Status.FAILED, "UNREACHABLE", text) from None
    except ServerError as error:
        raise Failure(Status.FAILED, error.word, f"{member} refused: {error.text}") from None
    invitation = _read(reply)
    if invitation is None:
        raise Failure(Status.FAILED, "ODD_ANSWER", f"{member} does not answer as a node of dkv would")
    return invitation


def unstarted(directory: str, invitation: Invitation, node: int) -> Identity | None:
    """The identity in ``directory`` if it was made for this node of this cluster, and the node never started on it."""
    try:
        with stopped_node(directory) as stopped:
            made = stopped.identity
    except DirectoryError:
        return None
    wanted = (invitation.cluster, node, invitation.cluster_key)
    return made if (made.cluster, made.node, made.cluster_key) == wanted and not made.starts else None


def check_joiner(invitation: Invitation, config: Config, node: int, made: Identity | None) -> None:
    """``Failure`` if a node of that id and with that config file could not join.

    ``made`` is the identity in its directory if the command was given before. The node may be a member by it already.
    """
    cluster = invitation.cluster
    if config.cluster != cluster:
        raise _wrong(f"the config file is that of cluster {config.cluster!r}, and that node belongs to {cluster!r}")
    free = invitation.ids_through + 1
    is_member = node in invitation.peers
    if is_member and (made is None or invitation.incarnations[node] != _in_hex(made)):
        raise _wrong(
            f"node {node} is a member of cluster {cluster!r}. If its data directory is lost, a node with a new id takes"
            f" its place: give the new one id {free} in the config file, start it, and use `dkv replace {node}`"
        )
    if node < free and not is_member:
        raise _wrong(
            f"node {node} would have an id that cluster {cluster!r} has passed, and no id is used twice: give it id "
            f"{free} or higher in the config file. `dkv replace` puts it in the place of another node"
        )
    listed = {member.id for member in config.members}
    own = _address(config.member(node).peer)
    missing = [
        f"{each} at {peer or '?'}" for each, peer in invitation.peers.items() if each not in listed and peer != own
    ]
    if missing:
        raise _wrong(
            "the config file has to list all members but one whose address the new node takes over, and these are not"
            f" in it: node {', '.join(missing)}"
        )


def add_joiner(member: Endpoint, config: Config, made: Identity) -> None:
    """Make the node of the directory that was ``made`` a standby of the cluster of ``member``, if it is none yet.

    The leader is found by the addresses that ``member`` tells. ``Failure`` if the node is not added, or nobody knows.
    """
    own = config.member(made.node)
    step = add(made.node, _in_hex(made), _address(own.peer), _address(own.client))
    to = Access((member,), as_json=False, answer_seconds=ANSWER_SECONDS)
    try:
        Changer(to, ADD_SECONDS, yes=False, dry_run=False).change((step,))
    except Failure as failure:
        text = (
            f"the directory of node {made.node} is made, and the cluster has not confirmed that it is a standby:"
            f" {failure.message}; give the same command again, or start the node and use `dkv member add`"
        )
        raise Failure(failure.status, failure.word, text) from None


def _in_hex(made: Identity) -> str:
    return f"{made.incarnation:016x}"


def _address(endpoint: ListenEndpoint) -> str:
    """The address that the node advertises, as an operator writes it; "" if it does not say how others reach it."""
    return shortest(endpoint) or endpoint.advertise


def _read(reply: Reply) -> Invitation | None:
    """The invitation in an answer to ``DKV.MEMBER JOIN``; None if it is not one."""
    try:
        told = json.loads(reply if isinstance(reply, bytes) else b"")
        return Invitation(
            str(told["cluster"]),
            bytes.fromhex(told["cluster_key"]),
            tuple(map(int, told["first_members"])),
            int(told["ids_through"]),
            {int(each["id"]): str(each["peer"]) for each in told["members"]},
            {int(each["id"]): each["incarnation"] for each in told["members"]},
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _wrong(text: str) -> Failure:
    return Failure(Status.USAGE, "USAGE", text)
