"""What this node knows of its peers, and its judgement of what they say of themselves.

A Hello is refused if its sender is no member by the log that this node has applied, or goes by other rules. It is
refused *for good* if the sender's directory is shown to have forgotten something: a copy of it was put back, or runs
twice, or its disk lied. A node that let it in would count votes and number batches a second time (B34).

A sender who is no member was *removed* if the log has had a member of this id or of a higher one: an id is never used
again. A higher id may be one that this node has not applied yet, so its sender is to try again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dkv.ballot import ZERO, Ballot
from dkv.configurations import Configurations, first_configurations
from dkv.identity import NEVER, STARTS_KEPT, Acquaintance, Identity, Start, Votes, members_hash
from dkv.routes import VOTES
from dkv.wire.codec import PROTOCOL, Hello


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a Hello is refused, in words for both operators.

    ``for_good`` if its sender must never take part again; ``removed_at`` is the slot by which it was removed, or None.
    """

    reason: str
    for_good: bool = False
    removed_at: int | None = None


def hello_of(identity: Identity, mode: str, frame_bytes_max: int, votes: Votes) -> Hello:
    """What a node says in the life that ``identity`` names; ``votes`` are those on its disk as that life began."""
    return Hello(
        PROTOCOL,
        identity.cluster,
        identity.node,
        identity.incarnation,
        mode,
        identity.cluster_key,
        members_hash(identity.members),
        frame_bytes_max,
        identity.starts,
        votes,
    )


class Acquaintances:
    """Judges Hellos for the node whose own is ``me``; ``known`` is what its disk keeps of nodes that it met.

    Until ``members_are`` says more, it and its ``peers`` are taken for the members.
    """

    def __init__(self, me: Hello, peers: Iterable[int], known: Mapping[int, Acquaintance]) -> None:
        self._me = me
        self.peers = frozenset(peers)
        """The nodes that this one talks with."""
        self._configurations = first_configurations((me.node, *self.peers))
        self._applied = 0
        self._known = dict(known)
        self._told_ballot: dict[int, Ballot] = {}
        self._told_count: dict[int, int] = {}

    def members_are(self, configurations: Configurations, applied: int, peers: Iterable[int]) -> None:
        """The members by the log up to slot ``applied``; ``peers`` are the nodes that this one wants to talk with."""
        self._configurations, self._applied, self.peers = configurations, applied, frozenset(peers)

    def meet(self, hello: Hello) -> Acquaintance | None:
        """Take in a Hello without objection: what is known of its sender now; None if that life was met before."""
        known = self._known.get(hello.node)
        if known is not None and known.start == hello.start:
            return None
        votes = hello.votes if known is None else self._votes(hello.node, known).joined(hello.votes)
        met = self._known[hello.node] = Acquaintance(hello.incarnation, hello.start, votes)
        return met

    def heard(self, node: int, message: Any) -> None:
        """Take in what a message of ``VOTES`` says of its sender's disk, before anybody counts it."""
        if message.ballot > self._told_ballot.get(node, ZERO):
            self._told_ballot[node] = message.ballot
        if VOTES[type(message)] and message.votes > self._told_count.get(node, 0):
            self._told_count[node] = message.votes

    def _votes(self, node: int, known: Acquaintance) -> Votes:
        """What the disk of ``node`` must hold, by what is ``known`` of it and by what it has told since."""
        return known.votes.joined(Votes(self._told_ballot.get(node, ZERO), self._told_count.get(node, 0)))

    def objection(self, hello: Hello, target: int | None = None, living: Iterable[Start] = ()) -> Objection | None:
        """Why this node will not talk to the sender of ``hello``; None if it will.

        ``target`` is the node that this node meant to dial; ``living`` are the lives of the sender that are connected.
        """
        reason = self.other_protocol(hello) or self._other_cluster(hello)
        if reason is not None:
            return Objection(reason)
        removal = self._removal(hello.node) if hello.node not in self.peers else None
        if removal is not None:
            return removal
        reason = self._other_member(hello, target) or self._other_rules(hello)
        if reason is not None:
            return Objection(reason)
        known = self._known.get(hello.node)
        forgotten = None if known is None else self._forgotten(hello, known)
        if forgotten is not None:
            return Objection(f"node {hello.node} {forgotten}", for_good=True)
        if any(start != hello.start for start in living):
            return Objection(
                f"node {hello.node} was started again (start {hello.start.boot}) while another process of it is "
                f"connected with node {self._me.node}: it has to wait until that one is gone"
            )
        return None

    def other_protocol(self, hello: Hello) -> str | None:
        """Why the sender of a Hello cannot be understood; None if it can. This is known before it proves anything."""
        if hello.protocol == PROTOCOL:
            return None
        they, we = f"node {hello.node}", f"node {self._me.node}"
        return f"{they} speaks protocol {hello.protocol}, {we} protocol {PROTOCOL}: run the same version on both"

    def _other_cluster(self, hello: Hello) -> str | None:
        me = self._me
        they, we = f"node {hello.node}", f"node {me.node}"
        if hello.cluster != me.cluster:
            return (
                f"{they} belongs to cluster {hello.cluster!r}, {we} to cluster {me.cluster!r}:"
                " check the data directories and the addresses in the configurations"
            )
        if hello.cluster_key != me.cluster_key:
            return (
                f"{they} has another cluster key than {we}: there are two clusters named {me.cluster!r}, and an address"
                " in a configuration is to be corrected; or one of the two is new and was initialised without the"
                " --cluster-key of the others, or restored from another backup, and that is to be done again"
            )
        return None

    def _other_member(self, hello: Hello, target: int | None) -> str | None:
        me = self._me
        they, we = f"node {hello.node}", f"node {me.node}"
        if hello.node == me.node:
            return f"{they} is this node's own id: two processes run as it, or its address is given to a peer"
        if hello.node not in self.peers:
            return (
                f"{they} is not known to {we} as a member yet: `dkv member add` lets a new node in, and if {we} was"
                f" down while members changed, list the present ones in the config file of {we} and start it again"
            )
        if target not in (None, hello.node):
            return f"{they} answers at the address of node {target}: correct the addresses in the configuration"
        if hello.members_hash != me.members_hash:
            return (
                f"{they} began with other first members than {we}: the two were initialised with different config"
                " files; initialise the one that is new again, with the file that the cluster was first started with"
                " or with `dkv init --join`"
            )
        incarnation = self.incarnation(hello.node)
        if incarnation not in (None, hello.incarnation):
            return (
                f"{they} has incarnation {hello.incarnation:016x}, {we} knows it as {incarnation:016x}:"
                " it lost its data directory or runs on a new one; let a node with a new id take its place:"
                f" `dkv replace {hello.node}`"
            )
        return None

    def incarnation(self, node: int) -> int | None:
        """The incarnation of node ``node`` as the log says it, else the one that was met first; None if neither."""
        record = self._configurations.record(node)
        if record is not None and record.incarnation:
            return record.incarnation
        known = self._known.get(node)
        return None if known is None else known.incarnation

    def _removal(self, node: int) -> Objection | None:
        """Why this node does not talk with another one that was removed; None if it was not."""
        if node == self._me.node or not self._configurations.was_removed(node, self._applied):
            return None
        reason = (
            f"node {node} is no member of cluster {self._me.cluster!r} any more, and its id is never used again:"
            f" a node that is to take its place gets a new id, by `dkv replace {node}` or `dkv init --join`"
        )
        return Objection(reason, removed_at=self._configurations.left_at(node))

    def _other_rules(self, hello: Hello) -> str | None:
        me = self._me
        they, we = f"node {hello.node}", f"node {me.node}"
        if hello.mode != me.mode:
            return f"{they} runs in mode {hello.mode!r}, {we} in mode {me.mode!r}: set the same mode for all members"
        if hello.frame_bytes_max != me.frame_bytes_max:
            return (
                f"{they} has limits.frame_bytes_max = {hello.frame_bytes_max}, {we} {me.frame_bytes_max}: one would"
                " send what the other does not take; set the same value for all members"
            )
        if not hello.starts:
            return f"{they} names no start of its own: run the same version on both"
        return None

    def _forgotten(self, hello: Hello, known: Acquaintance) -> str | None:
        """What the sender's directory should know and does not, in words that follow its name; None if it knows all.

        A life that was met before was judged at that time, and has voted since.
        """
        met, now, we = known.start, hello.start, f"node {self._me.node}"
        votes = self._votes(hello.node, known)
        if met in (NEVER, now):
            pass  # Nothing is known of its lives, or this very one was let in.
        elif now.boot < met.boot:
            return f"runs as start {now.boot}, but {we} has met start {met.boot}: a later start has taken its place"
        elif now.boot == met.boot:
            return f"runs twice on one directory, or on a copy of it: {we} has met another process as start {met.boot}"
        elif met not in hello.starts and (len(hello.starts) < STARTS_KEPT or met.boot >= hello.starts[0].boot):
            return f"runs on an older copy of its directory: {we} has met start {met.boot}, of which it knows nothing"
        if met != now and not hello.votes.covers(votes):
            return (
                f"has forgotten votes: it told {we} of ballot {votes.ballot} and {votes.count} votes, and"
                f" its disk holds ballot {hello.votes.ballot} and {hello.votes.count} votes: an older copy of its"
                " directory was put back, or its disk loses what it says is written"
            )
        return None
