"""A disk is lost under load: does another node take the place of its node, and does the old one stay out for ever?"""

from __future__ import annotations

import shutil
from functools import partial

from dkv.cli.joining import invitation_of
from dkv.cli.layout import CONFIG_NAME
from dkv.cli.scenarios.changing import MemberChanges
from dkv.cli.scenarios.stage import Stage
from dkv.cli.scenarios.traffic import Traffic
from dkv.client.blocking import NoAnswer, NotSent, ServerError

NEEDS_OWN = "it destroys a disk"
REMOVED = "this node was removed from the cluster"


def play(stage: Stage) -> None:
    """Kill the leader, remove its directory, and put a new node in its place while clients of all nodes go on."""
    report = stage.report
    leader = stage.leader()
    victim = leader or stage.numbers[0]
    report.step(f"node {leader} leads" if leader else f"nobody leads in classic mode: node {victim} is the victim")
    changes, traffic = MemberChanges(stage), Traffic(stage)
    traffic.begin(stage.numbers)
    traffic.wait_acknowledged()
    stage.kill(victim)
    shutil.rmtree(stage.directory / f"node{victim}")
    traffic.leave(victim)
    stage.drop(victim)
    report.step(f"node {victim} killed with kill -9 under load, and its data directory removed")
    traffic.wait_acknowledged()
    (new,) = changes.join(1)
    changes.change("replace", str(victim))
    traffic.begin([new])
    traffic.wait_acknowledged()
    _check_refused(stage, changes, victim)
    traffic.wait_acknowledged()
    traffic.judge()
    _check_survives(stage, new)


def _check_refused(stage: Stage, changes: MemberChanges, victim: int) -> None:
    """The old id comes back on an empty disk: it is given no directory, and one that was made by force is refused."""
    report, member = stage.report, next(iter(stage.endpoints.values()))
    words = ("init", "--config", str(stage.directory / CONFIG_NAME), "--node", str(victim))
    directory = ("--data-dir", str(stage.directory / f"node{victim}"))
    status, _ = changes.attempt(*words, *directory, "--join", str(member))
    report.check(f"dkv init --join for a new directory of node {victim} is refused: exit status", status, 2)
    changes.run(*words, *directory, "--cluster-key", invitation_of(member).cluster_key.hex())
    old = stage.nodes[victim]
    old.start()
    stage.add(old)
    stage.wait(partial(_says_removed, stage, victim), f"node {victim} says that it was removed")
    report.step(f"made by force and started, node {victim} refuses writes: it was removed")
    stage.stop(victim)
    stage.drop(victim)


def _says_removed(stage: Stage, number: int) -> bool:
    """Whether a node refuses a write since it was removed; a failed step if it takes the write."""
    try:
        reply = stage.call(number, "PUT", stage.key("refused"), "old")
    except ServerError as error:
        return REMOVED in error.text
    except (NotSent, NoAnswer):
        return False
    stage.report.fail(f"node {number} took a write under an id that was removed: {reply!r:.60}")


def _check_survives(stage: Stage, new: int) -> None:
    """With the new node the cluster survives a failure again."""
    other = stage.others(new)[0]
    stage.kill(other)
    key = stage.key("after")
    stage.wait(lambda: stage.serves(new), f"node {new} serves without node {other}")
    stage.report.check(f"node {other} killed as well; PUT on node {new}", stage.call(new, "PUT", key, "1"), "OK")
