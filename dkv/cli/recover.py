"""``dkv recover``: a new cluster from what is left of one that has lost its majority for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from dkv.cli.inspect import take_census
from dkv.cli.output import Failure, Status, answer, say
from dkv.cli.own import end_as_interrupted
from dkv.cli.progress_bar import ProgressBar
from dkv.cli.recovery_report import advice, applied_fields, plan_fields, say_plan
from dkv.cli.types import PathName, Whole
from dkv.config.config import NODE_ID_MAX, ConfigError, load_config
from dkv.configurations import Configurations
from dkv.keys import CLUSTER_KEY
from dkv.kv.census import Census, StateDamaged
from dkv.node.offline import apply_log, members_after
from dkv.records import Value
from dkv.storage.data_directory import FIRST_FORMAT_WITH_STATES, DirectoryError, draw_cluster_key
from dkv.storage.recovered import begin_epoch, copy_state, recover_directory
from dkv.storage.recovery_plan import RecoveryPlan
from dkv.storage.restored import restored_key
from dkv.storage.state_directories import StateDirectory
from dkv.storage.store import StoreFailed
from dkv.storage.survivors import Survivor, survivors_in


class Target(NamedTuple):
    """The directory to be made: its path, and whose it will be."""

    path: Path
    cluster: str
    node: int


@click.command(
    short_help="Begin anew with what is left of a cluster whose majority is gone for ever.",
    epilog="""\b
Exit status:
  0    the plan recommends a directory; or the new one is made
  1    refused, or none can be recommended; nothing was made
  2    usage: the command line is wrong
  130  interrupted, and nothing was made""",
)
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=PathName())
@click.option("--plan", is_flag=True, help="Say what each directory has, and what may be lost. Nothing changes.")
@click.option("--apply", "apply_", is_flag=True, help="Make the directory of a new cluster of one node.")
@click.option(
    "--from",
    "chosen",
    type=Whole(1, NODE_ID_MAX),
    metavar="ID",
    help="Take the state and log of this node.  [default: the most complete one]",
)
@click.option("--config", type=PathName(), help="With --apply: the new cluster's config file.")
@click.option(
    "--node",
    type=Whole(1, NODE_ID_MAX),
    metavar="ID",
    help="With --apply: which node of that file is made.  [default: the only one]",
)
@click.option(
    "--data-dir",
    type=PathName(),
    help="With --apply: the new node's directory, new or empty.  [default: ./data/node<ID>]",
)
@click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def recover(
    directories: tuple[Path, ...],
    plan: bool,
    apply_: bool,
    chosen: int | None,
    config: Path | None,
    node: int | None,
    data_dir: Path | None,
    output: str,
) -> int:
    """Begin a new cluster with what the data directories DIR... hold: those of all nodes that are left of a cluster
    whose majority is lost for ever. Stop these nodes, and bring copies of their directories to one machine.

    First read the --plan: which node knows most, whether the logs are the same, and which acknowledged writes may be
    lost. Then --apply makes a new directory, of a new cluster that has one node, and changes none of the old ones: keep
    them. Values that a survivor accepted are kept even where nobody knows whether they were chosen.

    The new cluster has another key, so nodes of the old one are refused by it for ever. Slots, and with them revisions,
    go on far above the old ones. A write with a token that was executed before is not executed again.

    While a majority of the nodes can be started, nothing is lost: start them, and leave this command alone.
    """
    if plan == apply_:
        raise click.UsageError("either --plan or --apply")
    if (config is not None) != apply_ or (not apply_ and (node is not None or data_dir is not None)):
        raise click.UsageError("--apply needs --config FILE; without it leave out --config, --node and --data-dir")
    target = None if config is None else _target(config, node, data_dir)
    end_as_interrupted()
    try:
        with _planned([str(each) for each in directories], chosen) as found:
            if target is None:
                if output == "json":
                    answer(b"", plan_fields(found), True)
                else:
                    say_plan(found)
                return Status.FAILED if found.source is None else Status.DONE
            _refuse(found)
            keys = _apply(found, target)
    except KeyboardInterrupt:
        raise Failure(Status.INTERRUPTED, "INTERRUPTED", "interrupted; nothing was made") from None
    except StateDamaged as error:
        raise Failure(Status.FAILED, "DAMAGED", f"a state is damaged: {error}") from None
    except (DirectoryError, StoreFailed) as error:
        raise Failure(Status.FAILED, "DIRECTORY", str(error)) from None
    if output == "json":
        answer(b"", applied_fields(found, target.path, target.node, keys), True)
        return Status.DONE
    say(f"recovered {target.path} as the data directory of node {target.node}, alone in cluster {target.cluster!r}")
    say(f"{keys} keys; {advice(found)}")
    return Status.DONE


def _target(config: Path, node: int | None, data_dir: Path | None) -> Target:
    try:
        loaded = load_config(str(config), os.environ)
        first, *more = loaded.members if node is None else [loaded.member(node)]
    except ConfigError as error:
        raise Failure(Status.USAGE, "USAGE", str(error)) from None
    if more:
        text = f"{config} lists {1 + len(more)} nodes, and the new cluster begins with one: name it with --node"
        raise Failure(Status.USAGE, "USAGE", text)
    return Target(data_dir or Path("data", f"node{first.id}"), loaded.cluster, first.id)


@contextmanager
def _planned(directories: list[str], chosen: int | None) -> Iterator[RecoveryPlan]:
    """The plan for the survivors in ``directories``, each of which was read and checked as a whole."""
    with survivors_in(directories) as survivors:
        if chosen is not None and chosen not in [each.node for each in survivors]:
            raise Failure(Status.USAGE, "USAGE", f"--from {chosen}: none of the directories is that of node {chosen}")
        for each in survivors:
            with ProgressBar(f"checking node {each.node}", each.stopped.state_bytes) as progress:
                try:
                    take_census(each.stopped, progress)
                except StateDamaged as error:
                    raise StateDamaged(f"{each.stopped.directory}: {error}") from None
        newest = max(survivors, key=lambda each: each.chosen_through)
        yield RecoveryPlan(survivors, _members_after(newest), newest.chosen_through, chosen)


def _members_after(survivor: Survivor) -> Configurations:
    """The sets of members, as all slots have made them that the survivor knows to be chosen."""
    stopped = survivor.stopped
    if stopped.format_version < FIRST_FORMAT_WITH_STATES:
        return survivor.members()  # no change of members is in a log so old

    def value_of(slot: int) -> Value:
        record = survivor.record(slot)
        assert record is not None, f"slot {slot} is chosen and not compacted, and has no record"
        return record.value

    return members_after(stopped.identity, survivor.members(), stopped.state, value_of, survivor.chosen_through)


def _refuse(plan: RecoveryPlan) -> None:
    """``Failure`` unless a new cluster is the way out, and it is clear from which directory."""
    if plan.is_majority and not plan.differ:
        nodes = ", ".join(map(str, sorted(plan.nodes)))
        raise Failure(
            Status.FAILED,
            "NOT_NEEDED",
            f"nothing is lost, and nothing was made: nodes {nodes} are a majority of their cluster; start them",
        )
    if plan.source is None:
        raise Failure(
            Status.FAILED,
            "DIFFER",
            "the logs of the survivors differ, so none is recommended, and nothing was made: look at the --plan, find "
            "out which one is right, and name it with --from",
        )


def _apply(plan: RecoveryPlan, target: Target) -> int:
    """Make the new directory; how many keys it has."""
    source = plan.source
    assert source is not None
    stopped, key = source.stopped, restored_key(draw_cluster_key(), source.stopped.identity.cluster_key)

    def value_of(slot: int) -> Value:
        record = plan.record(slot)
        assert record is not None, f"slot {slot} has no record, and was to be kept"
        return record.value

    census = Census()

    def fill(state: StateDirectory) -> dict[bytes, bytes]:
        with ProgressBar("copying", stopped.state_bytes + stopped.log_bytes) as progress:
            copy_state(stopped, state, progress.add)
            apply_log(stopped.identity, source.members(), state, value_of, plan.kept_through, progress.add)
        writes = begin_epoch(state)
        for pair in state.scan(b""):
            if pair[0] != CLUSTER_KEY:
                census.add(*pair)
        census.finish()
        return writes

    recover_directory(str(target.path), target.cluster, target.node, key, fill)
    return census.keys
