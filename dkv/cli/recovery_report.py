"""A plan of ``dkv recover`` in words, and as JSON."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from dkv.cli.output import say
from dkv.cli.table import Table, cell
from dkv.identity import in_words
from dkv.storage.recovery_plan import LogsCompared, RecoveryPlan
from dkv.storage.restored import restored_through
from dkv.storage.survivors import Survivor

DIGEST_SHOWN = 16
"""How many hex digits of a digest are shown to people; JSON has all."""


def say_plan(plan: RecoveryPlan) -> None:
    """Print the plan for people."""
    cluster = plan.survivors[0].stopped.identity.cluster
    voters = plan.members.newest.voters
    say(f"cluster {cluster!r}: voters {in_words(voters)}; of these {_count(voters & plan.nodes)} here")
    table = Table("NODE", "KIND", "CHOSEN", "ACCEPTED", "APPLIED", "COMPACTED", "DIGEST", "DIRECTORY", cut_last=True)
    table.add([_row(plan, each) for each in plan.survivors])
    for each in plan.comparisons:
        if each.same is not True:
            say(_difference(each))
    for line in (_recommendation(plan), *_kept(plan), _missing(plan)):
        say(line)


def _row(plan: RecoveryPlan, survivor: Survivor) -> list[Any]:
    kind = plan.kind(survivor.node)
    digest = plan.digests[survivor.node][survivor.chosen_through].hex()[:DIGEST_SHOWN]
    marks = (survivor.chosen_through, survivor.accepted_through, survivor.applied_through, survivor.compacted_through)
    return [cell(each) for each in (survivor.node, kind, *marks, digest, survivor.stopped.directory)]


def _difference(comparison: LogsCompared) -> str:
    one, two = comparison.nodes
    if comparison.same is None:
        return f"nodes {one} and {two} cannot be compared: one log begins behind the end of the other"
    return f"the logs of nodes {one} and {two} differ, in slot {comparison.slot} or before"


def _recommendation(plan: RecoveryPlan) -> str:
    if plan.source is None:
        return (
            "none is recommended: find out which log is right, by `dkv inspect`, and name its node with --from; "
            "survivors whose logs differ from that one are left out then"
        )
    node = plan.source.node
    if plan.most_complete is None:
        return f"node {node} is taken, as --from says, and nobody can tell whether its log is the right one"
    if plan.source is plan.most_complete:
        return f"node {node} is the most complete"
    return f"node {node} is taken, as --from says; node {plan.most_complete.node} is the most complete"


def _kept(plan: RecoveryPlan) -> list[str]:
    """Sentences about the slots that no node here knows to be chosen: whether they are kept or lost."""
    if plan.source is None:
        return []
    chosen, kept = plan.source.chosen_through, plan.kept_through
    lines = [f"kept: all slots up to {kept}"]
    if kept > chosen:
        lines.append(
            f"not known to node {plan.source.node} as chosen: {_slots((chosen + 1, kept))}; writes there may have been"
            " acknowledged, or not"
        )
    lines += [
        f"lost: {_slots(each)}, behind slots that are missing here: their writes may have been acknowledged"
        for each in plan.left_out
    ]
    return lines


def _missing(plan: RecoveryPlan) -> str:
    """What the absence of the missing nodes means."""
    if plan.is_majority:
        return "these nodes are a majority: start them, and recover nothing"
    missing = f"missing: {_nodes(plan.missing)}"
    if plan.missing_may_have_chosen:
        return (
            f"{missing}, a majority by themselves: they may have acknowledged writes that no node here has, and these "
            f"are lost; nobody can tell whether there were any"
        )
    return f"{missing}, no majority by themselves: every acknowledged write has reached a node that is here"


def advice(plan: RecoveryPlan) -> str:
    """What a user who has applied the plan should know."""
    return (
        f"slots go on above {restored_through(plan.kept_through)}; the new cluster refuses all nodes of the old one: "
        f"never start these again, and keep their directories"
    )


def plan_fields(plan: RecoveryPlan) -> dict[str, Any]:
    """The plan for JSON."""
    newest = plan.members.newest
    return {
        "cluster": plan.survivors[0].stopped.identity.cluster,
        "voters": sorted(newest.voters),
        "standbys": sorted(newest.standbys),
        "missing": sorted(plan.missing),
        "is_majority": plan.is_majority,
        "missing_may_have_chosen": plan.missing_may_have_chosen,
        "survivors": [_survivor_fields(plan, each) for each in plan.survivors],
        "comparisons": [{"nodes": list(each.nodes), "slot": each.slot, "same": each.same} for each in plan.comparisons],
        "most_complete": None if plan.most_complete is None else plan.most_complete.node,
        "source": None if plan.source is None else plan.source.node,
        "chosen_through": None if plan.source is None else plan.source.chosen_through,
        "kept_through": None if plan.source is None else plan.kept_through,
        "lost": [] if plan.source is None else [list(each) for each in plan.left_out],
    }


def applied_fields(plan: RecoveryPlan, path: Path, node: int, keys: int) -> dict[str, Any]:
    """For JSON: what was made, and of what."""
    made = {"directory": str(path), "node": node, "keys": keys, "applied_through": restored_through(plan.kept_through)}
    return {"made": made} | plan_fields(plan)


def _survivor_fields(plan: RecoveryPlan, survivor: Survivor) -> dict[str, Any]:
    stopped = survivor.stopped
    return {
        "node": survivor.node,
        "kind": plan.kind(survivor.node),
        "directory": stopped.directory,
        "format": stopped.format_version,
        "incarnation": f"{stopped.identity.incarnation:016x}",
        "chosen_through": survivor.chosen_through,
        "accepted_through": survivor.accepted_through,
        "applied_through": survivor.applied_through,
        "compacted_through": survivor.compacted_through,
        "digests": {str(slot): digest.hex() for slot, digest in sorted(plan.digests[survivor.node].items())},
    }


def _count(nodes: Collection[int]) -> str:
    return "1 is" if len(nodes) == 1 else f"{len(nodes)} are"


def _nodes(nodes: Collection[int]) -> str:
    return f"node{'s' if len(nodes) > 1 else ''} {in_words(nodes)}"


def _slots(span: tuple[int, int]) -> str:
    first, last = span
    return f"slot {first}" if first == last else f"slots {first}-{last}"
