"""A member moves, and three new nodes take the places of all: do clients find the members where they are?"""

from __future__ import annotations

from dkv.cli.scenarios.changing import MemberChanges
from dkv.cli.scenarios.stage import Stage
from dkv.cli.scenarios.traffic import Traffic, nodes
from dkv.client.addresses import present
from dkv.client.blocking import Endpoint

NEEDS_OWN = "it moves and replaces nodes"
LOOK_SECONDS = 5.0


def play(stage: Stage) -> None:
    """Move one member to other addresses, then replace all, while clients go on that were given one address each."""
    report = stage.report
    changes, traffic = MemberChanges(stage), Traffic(stage)
    leader = stage.leader()
    moves = stage.others(leader)[0]
    old = list(stage.numbers)
    stays = next(number for number in stage.others(moves) if number != leader)
    traffic.begin(stage.others(moves))
    traffic.follow(old)
    traffic.wait_acknowledged()
    report.step(f"clients go on: of {nodes(stage.others(moves))}, and of whatever members they find")
    before = stage.endpoints[moves]
    stage.stop(moves)
    changes.move(moves)
    _check_found(stage, stays, moves, before)
    traffic.begin([moves])
    traffic.wait_acknowledged()
    new = changes.join(len(old))
    changes.change("replace", *map(str, old), *(word for each in new for word in ("--with", str(each))))
    key, value = stage.key("typed").decode(), "by a person"
    address = str(stage.endpoints[stays])
    changes.run("put", key, value, "--endpoints", address)
    report.check(
        f"dkv get --endpoints with the address of node {stays}", changes.run("get", key, "--endpoints", address), value
    )
    for number in old:
        traffic.leave(number)
        stage.stop(number)
        stage.drop(number)
    report.step(f"{nodes(old)} switched off, as the command allowed")
    traffic.begin(new)
    traffic.wait_acknowledged()
    traffic.judge()


def _check_found(stage: Stage, asked: int, moved: int, before: Endpoint) -> None:
    """A node that did not move says where the one is that did."""
    found = present([stage.endpoints[asked]], LOOK_SECONDS)
    seen = "no" if stage.endpoints[moved] not in found else "and its old address too" if before in found else "yes"
    stage.report.check(f"node {asked} tells clients where node {moved} is now", seen, "yes")
