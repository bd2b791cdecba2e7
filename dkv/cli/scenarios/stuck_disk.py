"""The disk of the leader hangs under load: how long do clients wait, does it show, and is anything lost?"""

from __future__ import annotations

import time

from dkv.cli.scenarios.load import Appender, lost_or_doubled, wait_acknowledged
from dkv.cli.scenarios.stage import Stage

NEEDS_OWN = "it makes a disk hang"
WRITERS_PER_NODE = 2
ACKNOWLEDGED = 20
HANG_SECONDS = 60
RESUME_SECONDS = 10.0


def play(stage: Stage) -> None:
    """Let the disk of the leader, or of the first node in classic mode, finish nothing while clients write."""
    report = stage.report
    leader = stage.leader()
    victim = leader or stage.numbers[0]
    others = stage.others(victim)
    report.step(f"node {leader} leads" if leader else f"nobody leads in classic mode: node {victim} is the victim")
    writers = [
        Appender(stage, number, f"w{number}-{index}") for number in stage.numbers for index in range(WRITERS_PER_NODE)
    ]
    survivors = [writer for writer in writers if writer.number != victim]
    for writer in writers:
        writer.start()
    wait_acknowledged(stage, writers, ACKNOWLEDGED)
    hung_at = time.monotonic()
    report.check(f"the disk of node {victim} hangs", stage.call(victim, "DKV.FAULT", "HANG", "FOR", HANG_SECONDS), "OK")
    shown = stage.wait(lambda: _hanging(stage, victim), f"node {victim} shows that its disk hangs")
    report.step(f"node {victim} says that a commit has been under way for {shown:.1f} s, and is not ready")
    if leader:
        follows = stage.wait(lambda: _leader_after(stage, others[0], victim), "another node leads")
        report.step(f"node {follows} leads, {time.monotonic() - hung_at:.1f} s after the disk began to hang")
    wait_acknowledged(stage, survivors, ACKNOWLEDGED)
    report.check(f"the disk of node {victim} goes on", stage.call(victim, "DKV.FAULT", "CLEAR"), "OK")
    for writer in writers:
        writer.stop()
    for writer in writers:
        writer.join()
    resumed = min(answered for writer in survivors if (answered := writer.first_after(hung_at)) is not None) - hung_at
    pause = max(writer.longest_pause() for writer in survivors)
    report.require("the longest time that a client of another node waited", pause < RESUME_SECONDS, f"{pause:.3f} s")
    stage.wait_ready(victim)
    stage.wait_even(stage.numbers)
    total = sum(len(writer.acknowledged) for writer in writers)
    report.check(
        f"of {total} acknowledged writes, keys on any node with one lost or doubled", lost_or_doubled(stage, writers), 0
    )
    report.figures |= {"resumed_seconds": round(resumed, 3), "longest_pause_seconds": round(pause, 3)}


def _hanging(stage: Stage, number: int) -> float:
    """For how long a commit has been under way, once the node says that its disk hangs; 0 before."""
    status = stage.status(number)
    return 0.0 if status["conditions"]["disk"] else float(status["commit_under_way_seconds"])


def _leader_after(stage: Stage, number: int, before: int) -> int:
    """The leader that a node knows, if it is another one than ``before``; else 0."""
    leader = int(stage.status(number)["leader"])
    return 0 if leader == before else leader
