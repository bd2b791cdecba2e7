"""A node is down while others write. It comes back, fetches what it missed, and serves it."""

from __future__ import annotations

from itertools import count

from dkv.cli.scenarios.load import NumberedWriter
from dkv.cli.scenarios.stage import Stage

NEEDS_OWN = "it stops a node"
WRITERS = 8
READS_SHOWN = 10
PROGRESS_SECONDS = 0.1
WRITES_A_SECOND = 1_500
"""A guess for the progress bar."""


def play(stage: Stage, writes: int) -> None:
    """Make ``writes`` writes while one node is down."""
    report = stage.report
    leader = stage.leader()
    victim = next(number for number in reversed(stage.numbers) if number != leader)
    others = stage.others(victim)
    stage.wait_even(stage.numbers)
    stage.stop(victim)
    report.step(f"node {victim} stopped")
    prefix = stage.key("r-")
    _write_all(stage, others, writes, prefix)
    report.step(f"{writes} writes on the other nodes")
    stage.start(victim)
    stage.wait_even(stage.numbers)
    report.step(f"node {victim} started again, and caught up")
    wrong = []
    with report.progress("reading", writes, writes / WRITES_A_SECOND) as bar, stage.connect(victim) as connection:
        for index in range(writes):
            if connection.call(b"GET", prefix + b"%d" % index) != b"value %d" % index:
                wrong.append(index)
            bar.update(1)
    report.check(f"of {writes} keys read on node {victim}, those that are wrong", wrong[:READS_SHOWN], [])
    fetched = int(stage.status(victim)["catchup_entries_applied"])
    report.require("all of them came by catch-up", fetched >= writes, f"catchup_entries_applied is {fetched}")
    report.figures |= {"writes": writes, "catchup_entries_applied": fetched}


def _write_all(stage: Stage, numbers: list[int], writes: int, prefix: bytes) -> None:
    """Write keys 0 to ``writes`` - 1, one after the other or by several clients if there are many."""
    indexes = count()

    def take() -> int | None:
        index = next(indexes)
        return index if index < writes else None

    clients = min(WRITERS, max(1, writes // 100))
    writers = [NumberedWriter(stage, numbers[index % len(numbers)], take, prefix) for index in range(clients)]
    for writer in writers:
        writer.start()
    with stage.report.progress("writing", writes, writes / WRITES_A_SECOND) as bar:
        while any(writer.busy for writer in writers):
            writers[0].join(PROGRESS_SECONDS)
            bar.update(sum(writer.done for writer in writers) - bar.pos)
    failed = [failure for writer in writers for failure in writer.failed]
    if failed:
        stage.report.fail(f"{len(failed)} writes failed, the first was {failed[0]}")
