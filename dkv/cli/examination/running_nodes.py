"""The nodes that run: whether all can be reached, are ready, warn of nothing, and agree with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from dkv.cli.clock_lines import clocks_off
from dkv.cli.examination.findings import Finding, problem
from dkv.cli.status_table import Found
from dkv.client.admission import wants_user
from dkv.config.config import Config

_SAME = {"cluster": "cluster", "mode": "mode", "version": "version of dkv"}
"""What must be the same everywhere, and what it is called."""


def examine_nodes(found: Sequence[Found], config: Config | None, known: Collection[str]) -> Iterator[Finding]:
    """What is wrong with the nodes that were asked for their status. What they warn of is left out where it is
    ``known``."""
    told = [each.fields for each in found if not each.problem]
    for each in found:
        if each.problem:
            endpoint = str(each.answer.endpoint)
            hint = " (see --user)" if wants_user(each.problem) else ""
            yield problem("nodes" if endpoint in each.problem else endpoint, each.problem + hint)
    for fields in told:
        yield from _one(fields, known)
    for name, noun in _SAME.items():
        yield from _differing(told, noun, lambda fields, name=name: str(fields.get(name)))
    yield from _differing(told, "set of members", _members)
    if config is not None:
        for fields in told:
            cluster = fields.get("cluster")
            if cluster != config.cluster:
                text = f"it belongs to cluster {cluster!r}, and the config file is that of {config.cluster!r}"
                yield problem(_name(fields), text)
    for line in clocks_off(told):
        yield problem("clocks", f"{line}: keys expire by that time; let NTP set the clock")


def _one(fields: dict[str, Any], known: Collection[str]) -> Iterator[Finding]:
    """What a node tells of itself."""
    name = _name(fields)
    failing, warnings, differs = fields.get("failing"), fields.get("warnings"), fields.get("config_differs")
    for why in failing.values() if isinstance(failing, dict) else []:
        yield problem(name, f"it is not ready: {why}")
    for warning in warnings if isinstance(warnings, list) else []:
        if isinstance(warning, dict) and warning.get("text") not in known:
            yield problem(name, str(warning.get("text")))
    if isinstance(differs, str):
        yield problem(name, differs)
    if fields.get("faults"):
        yield problem(name, "a fault order is in force: dkv drop-rules clear")


def _differing(told: Sequence[dict[str, Any]], noun: str, value_of: Any) -> Iterator[Finding]:
    """One finding if not all nodes say the same."""
    saying: defaultdict[str, list[str]] = defaultdict(list)
    for fields in told:
        saying[value_of(fields)].append(str(fields.get("node")))
    if len(saying) > 1:
        sides = "; ".join(f"{value} on node {', '.join(nodes)}" for value, nodes in saying.items())
        yield problem("nodes", f"not all have the same {noun}: {sides}")


def _members(fields: dict[str, Any]) -> str:
    members = fields.get("members")
    if not isinstance(members, list):
        return "none"
    return ", ".join(f"{each.get('kind')} {each.get('id')}" for each in members if isinstance(each, dict)) or "none"


def _name(fields: dict[str, Any]) -> str:
    return f"node {fields.get('node')}"
