"""One node becomes three, five, and three again, under load: does each size survive the kills that it should?"""

from __future__ import annotations

from dkv.cli.scenarios.changing import MemberChanges
from dkv.cli.scenarios.stage import Stage
from dkv.cli.scenarios.traffic import Traffic, nodes

NEEDS_OWN = "it begins with one node and kills nodes"
BEGINS_WITH = 1


def play(stage: Stage) -> None:
    """Let nodes join and leave while clients of all of them go on, and kill as many as each size survives."""
    changes, traffic = MemberChanges(stage), Traffic(stage)
    traffic.begin(stage.numbers)
    traffic.wait_acknowledged()
    for _ in range(2):
        new = changes.join(2)
        changes.change("member", "promote", *map(str, new))
        traffic.begin(new)
        _survive(stage, traffic)
    leader = stage.leader() or stage.numbers[0]
    leaving = [leader, stage.others(leader)[0]]
    changes.change("member", "remove", *map(str, leaving))
    for number in leaving:
        traffic.leave(number)
        stage.stop(number)
        stage.drop(number)
    stage.report.step(f"{nodes(leaving)} switched off, as the command allowed" + _who_led(stage, leaving[0]))
    _survive(stage, traffic)
    traffic.judge()


def _who_led(stage: Stage, leader: int) -> str:
    return f"; node {leader} led until then" if stage.leader() else ""


def _survive(stage: Stage, traffic: Traffic) -> None:
    """Kill as many nodes as may fail, the leader first. The others go on; then those killed come back."""
    size = len(stage.numbers)
    leader = stage.leader() or stage.numbers[0]
    victims = [leader, *stage.others(leader)][: (size - 1) // 2]
    traffic.wait_acknowledged()
    for number in victims:
        stage.kill(number)
        traffic.leave(number)
    traffic.wait_acknowledged()
    stage.report.step(f"{nodes(victims)} of {size} killed with kill -9: the others go on")
    for number in victims:
        stage.nodes[number].start()
    for number in victims:
        stage.wait_ready(number)
    stage.wait_even(stage.numbers)
    traffic.begin(victims)
    traffic.wait_acknowledged()
    stage.report.step(f"{nodes(victims)} started again, and caught up")
