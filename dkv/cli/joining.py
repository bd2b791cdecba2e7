"""What a new node has to know of the cluster that it joins: asked of a member, and compared with its config file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.config.config import Config

ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Invitation:
    """The cluster as a member of it knows it. ``peers`` has the present members' addresses for each other, by id."""

    cluster: str
    cluster_key: bytes
    first_members: tuple[int, ...]
    ids_through: int
    peers: Mapping[int, str]


def invitation_of(member: Endpoint) -> Invitation:
    """What the node at ``member`` says to a node that wants to join; ``Failure`` if it does not, or is no member."""
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


def check_joiner(invitation: Invitation, config: Config, node: int) -> None:
    """``Failure`` if a node of that id and with that config file could not join."""
    cluster = invitation.cluster
    if config.cluster != cluster:
        raise _wrong(f"the config file is that of cluster {config.cluster!r}, and that node belongs to {cluster!r}")
    free = invitation.ids_through + 1
    if node in invitation.peers:
        raise _wrong(
            f"node {node} is a member of cluster {cluster!r}. If its data directory is lost, a node with a new id takes"
            f" its place: give the new one id {free} in the config file, start it, and use `dkv replace {node}`"
        )
    if node < free:
        raise _wrong(
            f"node {node} would have an id that cluster {cluster!r} has passed, and no id is used twice: give it id "
            f"{free} or higher in the config file. `dkv replace` puts it in the place of another node"
        )
    listed = {member.id for member in config.members}
    missing = [f"{each} at {peer or '?'}" for each, peer in invitation.peers.items() if each not in listed]
    if missing:
        raise _wrong(f"the config file has to list all members, and these are not in it: node {', '.join(missing)}")


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
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _wrong(text: str) -> Failure:
    return Failure(Status.USAGE, "USAGE", text)
