"""The leader is killed under load: how long until writes go on, and is every acknowledged write still there?"""

from __future__ import annotations

import time

from dkv.cli.scenarios.load import Appender, lost_or_doubled, wait_acknowledged
from dkv.cli.scenarios.stage import Stage

NEEDS_OWN = "it kills a node"
WRITERS_PER_NODE = 2
ACKNOWLEDGED_BEFORE = 50
RESUME_SECONDS = 5.0


def play(stage: Stage) -> None:
    """Kill the leader with kill -9 while clients of all nodes write."""
    report = stage.report
    leader = stage.leader()
    victim = leader or stage.numbers[0]
    report.step(f"node {leader} leads" if leader else f"nobody leads in classic mode: node {victim} is the victim")
    writers = [
        Appender(stage, number, f"w{number}-{index}") for number in stage.numbers for index in range(WRITERS_PER_NODE)
    ]
    survivors = [writer for writer in writers if writer.number != victim]
    for writer in writers:
        writer.start()
    wait_acknowledged(stage, writers, ACKNOWLEDGED_BEFORE)
    report.step(f"{len(writers)} clients write on all nodes; each has {ACKNOWLEDGED_BEFORE} acknowledgements")
    killed_at = time.monotonic()
    stage.kill(victim)
    gone_at = time.monotonic()
    report.step(f"node {victim} killed with kill -9")
    wait_acknowledged(stage, survivors, ACKNOWLEDGED_BEFORE)
    for writer in writers:
        writer.stop()
    for writer in writers:
        writer.join()
    pause = max(writer.longest_pause() for writer in survivors)
    first = [answered for writer in survivors if (answered := writer.first_after(gone_at)) is not None]
    if not first:
        report.fail("no write that was sent after the kill was acknowledged")
    resumed = min(first) - killed_at
    text = "writes on the other nodes went on"
    report.require(
        text, resumed < RESUME_SECONDS, f"{resumed:.3f} s after the kill; the longest pause was {pause:.3f} s"
    )
    errors = [error for writer in survivors for error in writer.errors]
    report.check("errors that clients of the other nodes saw", errors[:3], [])
    stage.start(victim)
    stage.wait_even(stage.numbers)
    report.step(f"node {victim} started again, and caught up")
    total = sum(len(writer.acknowledged) for writer in writers)
    report.check(
        f"of {total} acknowledged writes, keys on any node with one lost or doubled", lost_or_doubled(stage, writers), 0
    )
    report.figures |= {"resumed_seconds": round(resumed, 3), "longest_pause_seconds": round(pause, 3)}
