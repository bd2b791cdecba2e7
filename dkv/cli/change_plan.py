"""The plan of a change of members: each step in words, and the members as they will be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dkv.cli.output import Failure, Status
from dkv.client.blocking import Endpoint


@dataclass(frozen=True, slots=True)
class Seen:
    """The members as the node that knows the newest set has them, and what each reachable node says of itself.

    ``slot`` is that of the entry which made the newest set; ``pending`` says that it is not in force yet.
    ``voters`` and ``standbys`` are those of the newest set.
    """

    slot: int
    pending: bool
    ids_through: int
    voters: frozenset[int]
    standbys: frozenset[int]
    members: Mapping[int, Mapping[str, Any]]
    told: Mapping[int, Mapping[str, Any]]
    endpoints: Mapping[int, Endpoint]
    leader: int
    behind: Mapping[int, int | None]
    """By how many slots the members are behind the node that leads, or else that was asked."""

    def whom_to_ask(self) -> list[Endpoint]:
        """The nodes that may take an order: the leader, or all members that answer where nobody leads."""
        if self.leader in self.endpoints:
            return [self.endpoints[self.leader]]
        return [self.endpoints[node] for node in sorted(self.endpoints) if node in self.members]


def seen(statuses: Iterable[tuple[Endpoint, Mapping[str, Any]]]) -> Seen | None:
    """The members by the answers to DKV.STATUS; None if no node says who they are."""
    told: dict[int, Mapping[str, Any]] = {}
    endpoints: dict[int, Endpoint] = {}
    for endpoint, fields in statuses:
        if isinstance(fields.get("membership_slot"), int) and isinstance(fields.get("node"), int):
            told.setdefault(fields["node"], fields)
            endpoints.setdefault(fields["node"], endpoint)
    if not told:
        return None
    best = max(told.values(), key=lambda fields: (fields["membership_slot"], fields["applied_through"]))
    members = {member["id"]: member for member in best["members"]}
    leaders = [fields["leader"] for fields in told.values() if fields["leader"] and fields["leader"] == fields["node"]]
    return Seen(
        best["membership_slot"],
        best["pending_from_slot"] is not None,
        best["ids_through"],
        frozenset(node for node, member in members.items() if kind_after(member) == "voter"),
        frozenset(node for node, member in members.items() if kind_after(member) == "standby"),
        members,
        told,
        endpoints,
        leaders[0] if leaders else 0,
        _behind(told[leaders[0]] if leaders else best),
    )


def _behind(fields: Mapping[str, Any]) -> dict[int, int | None]:
    return {int(node): lag for node, lag in fields["behind"].items()} | {fields["node"]: 0}


def kind_after(member: Mapping[str, Any]) -> str:
    """The kind that a member has in the newest set, as DKV.STATUS calls it."""
    return str(member["becomes"] or member["kind"])


@dataclass(frozen=True, slots=True)
class MemberStep:
    """One part of a change: its words for DKV.MEMBER CHANGE, and those for a person."""

    words: tuple[bytes, ...]
    text: str
    adds: int = 0
    incarnation: str = ""
    """Of the directory of the node that it adds: another cluster may have a node with the same id."""
    promotes: int = 0
    removes: int = 0
    moves: tuple[int, str, str] | None = None

    def is_done(self, now: Seen) -> bool:
        """Whether the newest set has it already. A node that was removed has an id that was used, and is no member."""
        if self.adds:
            known = now.members.get(self.adds, {}).get("incarnation")
            return self.adds in now.voters | now.standbys and known == self.incarnation
        if self.promotes:
            return self.promotes in now.voters
        if self.removes:
            return self.removes not in now.voters | now.standbys and self.removes <= now.ids_through
        assert self.moves is not None
        node, peer, client = self.moves
        member = now.members.get(node, {})
        return (member.get("peer"), member.get("client")) == (peer, client)


def add(node: int, incarnation: str, peer: str, client: str) -> MemberStep:
    """A new node becomes a standby."""
    words = (b"ADD", b"%d" % node, incarnation.encode(), peer.encode(), client.encode())
    text = f"node {node} joins as a standby (peers {peer}, clients {client or '-'})"
    return MemberStep(words, text, adds=node, incarnation=incarnation)


def promote(node: int) -> MemberStep:
    """A standby becomes a voter."""
    return MemberStep((b"PROMOTE", b"%d" % node), f"node {node} becomes a voter", promotes=node)


def remove(node: int) -> MemberStep:
    """A member leaves."""
    return MemberStep(
        (b"REMOVE", b"%d" % node), f"node {node} leaves, and never comes back under this id", removes=node
    )


def move(node: int, peer: str, client: str) -> MemberStep:
    """A member has other addresses."""
    words = (b"MOVE", b"%d" % node, peer.encode(), client.encode())
    return MemberStep(
        words, f"node {node} is found at {peer} by peers, at {client} by clients", moves=(node, peer, client)
    )


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """The steps of one entry, and the voters and standbys before and after it."""

    before: Seen
    steps: tuple[MemberStep, ...]

    @property
    def voters(self) -> frozenset[int]:
        """The voters afterwards."""
        promoted = {step.promotes for step in self.steps if step.promotes}
        return (self.before.voters | promoted) - self.removed

    @property
    def standbys(self) -> frozenset[int]:
        """The standbys afterwards."""
        added = {step.adds for step in self.steps if step.adds}
        return (self.before.standbys | added) - self.voters - self.removed

    @property
    def removed(self) -> frozenset[int]:
        """The nodes that leave."""
        return frozenset(step.removes for step in self.steps if step.removes)

    def words(self) -> list[bytes]:
        """The words behind DKV.MEMBER CHANGE."""
        return [b"%d" % self.before.slot, *(word for step in self.steps for word in step.words)]

    def lines(self) -> list[str]:
        """The plan for a person: what is, what is done, and what will be true."""
        return [
            f"now:        {_described(self.before.voters, self.before.standbys)}",
            *(f"change:     {step.text}" for step in self.steps),
            f"afterwards: {_described(self.voters, self.standbys)}",
        ]

    def needs_yes(self) -> str | None:
        """Why a person should think twice, if there is a reason."""
        if self.voters == self.before.voters or len(self.voters) % 2:
            return None
        count = len(self.voters)
        survived = failures(failures_survived(count))
        return (
            f"with {count} voters the cluster survives {survived}, as with {count - 1}, and each write needs one node"
            " more: an odd number is better"
        )

    def left(self) -> ChangePlan:
        """Without the steps that are done already."""
        return replace(self, steps=tuple(step for step in self.steps if not step.is_done(self.before)))


def refuse_impossible(plan: ChangePlan) -> None:
    """``Failure`` for what can be seen to be refused: better words than the node's, and nothing is asked for."""
    now = plan.before
    members = now.voters | now.standbys | {step.adds for step in plan.steps}
    for step in plan.steps:
        node = step.promotes or step.removes or (step.moves[0] if step.moves else 0)
        if node and node not in members:
            known = " ".join(map(str, sorted(now.voters | now.standbys)))
            hint = "; `dkv init --join` makes a new node a standby first" if step.promotes else ""
            raise refused(f"node {node} is no member; the members are {known}{hint}")
        if step.adds and step.adds <= now.ids_through:
            raise refused(
                f"id {step.adds} was used before, and an id is never used again: make the new node's directory with"
                f" id {now.ids_through + 1}"
            )
    if not plan.voters:
        raise refused("no voter would be left; add and promote another node first")


def refused(text: str) -> Failure:
    """A change that is not asked for."""
    return Failure(Status.REFUSED, "MEMBERS", f"refused: {text}; no member was changed")


def failures_survived(voters: int) -> int:
    """How many voters may fail at once while the others go on."""
    return max(voters - 1, 0) // 2


def failures(count: int) -> str:
    """So many failures, in words."""
    return "no failure" if count == 0 else "1 failure" if count == 1 else f"{count} failures"


def _described(voters: frozenset[int], standbys: frozenset[int]) -> str:
    text = (
        f"voters {' '.join(map(str, sorted(voters)))} (the cluster survives {failures(failures_survived(len(voters)))})"
    )
    return text + (f", standbys {' '.join(map(str, sorted(standbys)))}" if standbys else "")


def plan_fields(plan: ChangePlan) -> dict[str, Any]:
    """The plan for JSON."""
    return {
        "base": plan.before.slot,
        "changes": [step.text for step in plan.steps],
        "voters": sorted(plan.voters),
        "standbys": sorted(plan.standbys),
        "failures_survived": failures_survived(len(plan.voters)),
    }


def plan_json(plan: ChangePlan) -> str:
    """The plan as one line."""
    return json.dumps({"plan": plan_fields(plan)})
