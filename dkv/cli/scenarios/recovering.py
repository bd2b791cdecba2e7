"""A majority is destroyed under load: is what was acknowledged still there when the others have begun anew?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dkv.cli.layout import CONFIG_NAME, Layout
from dkv.cli.nodes import NodeProcess
from dkv.cli.own import node_process
from dkv.cli.scenarios.load import Appender, wait_acknowledged
from dkv.cli.scenarios.stage import Stage
from dkv.client.blocking import NoAnswer, NotSent, Reply, ServerError
from dkv.config.config import load_config, render_config

NEEDS_OWN = "it destroys disks"
WRITERS_PER_NODE = 2
ACKNOWLEDGED_BEFORE = 50
RECOVER = (sys.executable, "-c", "from dkv.cli.main import main; main()", "recover", "--output", "json")
RECOVER_SECONDS = 120.0
REFUSED = "has another cluster key than"
"""In the logs of nodes of two clusters that meet."""


def play(stage: Stage) -> None:
    """Kill a majority while clients of all nodes write, remove its directories, and recover from what is left."""
    report = stage.report
    leader = stage.leader()
    quorum = len(stage.numbers) // 2 + 1
    destroyed = ([leader] if leader else []) + stage.others(leader)
    destroyed, left = sorted(destroyed[:quorum]), sorted(destroyed[quorum:])
    report.step(f"node {leader} leads" if leader else "nobody leads in classic mode")
    writers = [
        Appender(stage, number, f"w{number}-{index}") for number in stage.numbers for index in range(WRITERS_PER_NODE)
    ]
    token = ("IDMP", "scenario", 1, "APPEND", stage.key("token"), "once")
    first_answer = stage.call(left[0], *token)
    for writer in writers:
        writer.start()
    wait_acknowledged(stage, writers, ACKNOWLEDGED_BEFORE)
    known = {writer.key: len(writer.acknowledged) for writer in writers}
    _wait_applied(stage, left)
    report.step(
        f"{len(writers)} clients write on all nodes; {_nodes(left)} applied the first {sum(known.values())} writes"
    )
    for number in destroyed:
        stage.kill(number)
    for number in destroyed:
        shutil.rmtree(_directory(stage, number))
    report.step(f"{_nodes(destroyed)} killed with kill -9 under load, and their data directories removed")
    for writer in writers:
        writer.stop()
    for writer in writers:
        writer.join()
    refusal = stage.wait(lambda: _refusal(stage, left[0]), f"node {left[0]} refuses a write")
    report.step(f"node {left[0]} refuses a write: {refusal}")
    for number in left:
        stage.stop(number)
    made = _recover(stage, left, destroyed)
    number = made.number
    made.start()
    stage.add(made)
    stage.wait_ready(number)
    report.step(f"node {number} serves, alone")
    lost = _check_writes(stage, number, writers, known, left)
    report.check("a write with a token, sent again, is answered as before", stage.call(number, *token), first_answer)
    report.check("and has not happened twice", stage.call(number, "GET", stage.key("token")), b"once")
    _check_old_nodes(stage, left, number)
    report.figures |= {"acknowledged": sum(len(writer.acknowledged) for writer in writers), "lost": lost}


def _wait_applied(stage: Stage, numbers: Sequence[int]) -> None:
    """Wait until these nodes have applied all that any node knows to be chosen by now."""
    target = max(stage.status(number)["chosen_through"] for number in stage.numbers)
    stage.wait(
        lambda: all(stage.status(number)["applied_through"] >= target for number in numbers),
        f"{_nodes(numbers)} applied slot {target}",
    )


def _recover(stage: Stage, left: Sequence[int], destroyed: Sequence[int]) -> NodeProcess:
    """Let ``dkv recover`` make a node of what is left; it has the addresses of one that was destroyed."""
    report = stage.report
    directories = [str(_directory(stage, number)) for number in left]
    plan = _run(stage, "--plan", *directories)
    report.check("dkv recover --plan: missing nodes", plan["missing"], list(destroyed))
    report.check("by themselves they may have acknowledged writes", plan["missing_may_have_chosen"], True)
    report.step(
        f"node {plan['source']} is the most complete: chosen through slot {plan['chosen_through']}, and all slots up "
        f"to {plan['kept_through']} are kept"
    )
    number = max(*left, *destroyed) + 1
    path = stage.directory / "recovered.toml"
    old = load_config(str(stage.directory / CONFIG_NAME), {})
    config = replace(old, members=(replace(old.member(destroyed[0]), id=number),))
    path.write_text(render_config(config), encoding="utf-8")
    layout = Layout(stage.directory, path, config)
    before = [_contents(each) for each in directories]
    target = ("--config", str(path), "--data-dir", str(layout.node_directory(number)))
    made = _run(stage, "--apply", *directories, *target)["made"]
    report.step(f"dkv recover --apply: {made['keys']} keys in the directory of node {number}, a cluster of its own")
    report.check("files of the old directories that changed", _changed(before, directories), [])
    return node_process(layout, number)


def _check_writes(
    stage: Stage, number: int, writers: Sequence[Appender], known: dict[bytes, int], left: Sequence[int]
) -> int:
    """Compare what clients were told with what is there; how many acknowledged writes are lost with the majority.

    What a node that is left has acknowledged is there, and what it had applied when the others died. Of the rest, what
    the destroyed nodes acknowledged in their last moments, nobody may know.
    """
    wrong, lost = [], 0
    for writer in writers:
        value = stage.call(number, "GET", writer.key)
        length = len(value) if isinstance(value, bytes) else 0
        acknowledged = len(writer.acknowledged)
        least = acknowledged if writer.number in left else known[writer.key]
        if not least <= length <= acknowledged + writer.unknown:
            wrong.append(f"{writer.key.decode()}: {length} of {acknowledged}, {least} at least")
        lost += max(0, acknowledged - length)
    total = sum(len(writer.acknowledged) for writer in writers)
    stage.report.check(
        f"of {total} acknowledged writes, keys with one lost that a node that is left had, or one doubled", wrong, []
    )
    stage.report.step(f"acknowledged by destroyed nodes in their last moments, and lost with them: {lost}")
    return lost


def _check_old_nodes(stage: Stage, left: Sequence[int], number: int) -> None:
    """Old nodes that come back are refused by the new one, which has the address of their peer, and serve nobody."""
    for each in left:
        stage.nodes[each].start()
    for each in left:
        words = f"node {each} of the old cluster is started again, and refused: it {REFUSED} node {number}"
        stage.wait(partial(_log_says, stage, each, REFUSED), words)
        stage.report.step(words)
        refusal = stage.wait(partial(_refusal, stage, each), f"node {each} refuses a write")
        stage.report.step(f"node {each} refuses a write: {refusal}")
    key = stage.key("after")
    stage.report.check(f"node {number} goes on", stage.call(number, "PUT", key, "new"), "OK")


def _run(stage: Stage, *words: str) -> Any:
    """What ``dkv recover`` says; a failed step if it refuses."""
    done = subprocess.run([*RECOVER, *words], capture_output=True, text=True, timeout=RECOVER_SECONDS)
    if done.returncode:
        stage.report.fail(f"dkv recover {words[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _refusal(stage: Stage, number: int) -> str:
    """The first word of a node's refusal of a write; empty if it is not up, or has not refused."""
    try:
        reply: Reply = stage.call(number, "PUT", stage.key("refused"), "old")
    except ServerError as error:
        return error.word if error.word in ("CLUSTERDOWN", "TRYAGAIN") else ""
    except (NotSent, NoAnswer):
        return ""
    stage.report.fail(f"node {number} took a write without a majority: {reply!r:.60}")


def _log_says(stage: Stage, number: int, words: str) -> bool:
    node = stage.nodes[number]
    with open(node.log_path, "rb") as log:
        log.seek(node.log_start)
        return words.encode() in log.read()


def _directory(stage: Stage, number: int) -> Path:
    return stage.directory / f"node{number}"


def _contents(directory: str) -> dict[str, bytes]:
    """Everything in a data directory, by its path."""
    paths = [os.path.join(place, name) for place, _, names in os.walk(directory) for name in names]
    return {path: Path(path).read_bytes() for path in paths}


def _changed(before: Sequence[dict[str, bytes]], directories: Sequence[str]) -> list[str]:
    now = [_contents(each) for each in directories]
    return sorted(path for old, new in zip(before, now, strict=True) for path, _ in old.items() ^ new.items())


def _nodes(numbers: Sequence[int]) -> str:
    return f"node{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
