"""``dkv doctor``: looks at everything that may be wrong with a cluster, and says what to mend."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from dkv.cli.access import Access, looks
from dkv.cli.examination.certificates import examine_certificates, with_certificates
from dkv.cli.examination.config_choices import examine_settings
from dkv.cli.examination.directory import examine_directory
from dkv.cli.examination.files import examine_files
from dkv.cli.examination.findings import PROBLEM, Finding, problem
from dkv.cli.examination.running_nodes import examine_nodes
from dkv.cli.examination.user_list import examine_users
from dkv.cli.node_status import STATUS_REQUEST, STATUS_SECONDS, status_fields
from dkv.cli.output import Status, answer, counted, one_line, say
from dkv.cli.status_table import Found
from dkv.cli.types import PathName, Whole
from dkv.client.admission import Admission, Tls
from dkv.client.endpoint import Endpoint
from dkv.client.survey import ask_all
from dkv.config.config import NODE_ID_MAX, Config, ConfigError, Member, load_config
from dkv.config.listen_endpoint import dialled_address


@click.command(
    short_help="Look for what is wrong or unsafe, and say what to mend.",
    epilog="""\b
Exit status:
  0    nothing must be mended
  1    there are problems
  2    usage: the command line is wrong
  74   the answer could not be written to stdout
  130  interrupted""",
)
@click.option(
    "--config",
    type=PathName(),
    envvar="DKV_CONFIG",
    show_envvar=True,
    help="The cluster's config file. Without it only the nodes are examined.",
)
@click.option(
    "--node",
    type=Whole(1, NODE_ID_MAX),
    envvar="DKV_NODE",
    show_envvar=True,
    help="The node of this machine: its ports and its certificate are examined.  [default: all whose files are here]",
)
@click.option(
    "--data-dir", type=PathName(), envvar="DKV_DATA_DIR", show_envvar=True, help="Its data directory, if that too."
)
@click.option("--offline", is_flag=True, help="Ask no nodes: for a cluster that does not run yet.")
@looks("The nodes to ask; with --config those that it lists unless given.", STATUS_SECONDS)
def doctor(to: Access, config: Path | None, node: int | None, data_dir: Path | None, offline: bool) -> int:
    """Examine a cluster: its config file, the files that this names, and the nodes that run. Nothing is changed.

    It looks for settings that leave a port open to everyone who reaches it; for files that are missing, wrong, or open
    to other users of the machine; for certificates that end soon or name somebody else; for users that may do too
    much, or are missing; for secrets that could be guessed; and asks the nodes whether they are ready and agree on
    version, mode and members, and how far their clocks are off. Run it on the machine of a node, as the user that the
    node runs as, so that it sees what the node sees.

    A line for each finding says what to mend: a "problem" must be mended, a "note" may be meant so. With --output json
    every finding is an object: "level", "where", "text".
    """
    if config is None and (node is not None or data_dir is not None):
        raise click.UsageError("--node and --data-dir need --config")
    if config is None and offline:
        raise click.UsageError("--offline without --config leaves nothing to examine")
    found = list(dict.fromkeys(_examine(to, config, node, data_dir, offline)))
    problems = sum(each.level == PROBLEM for each in found)
    for each in sorted(found, key=lambda each: each.level != PROBLEM):
        if to.as_json:
            answer(b"", {"level": each.level, "where": each.where, "text": each.text}, True)
        else:
            say(one_line(f"{each.level:<7}  {each.where}: {each.text}"))
    if not to.as_json:
        say(f"{counted(problems, 'problem')}, {counted(len(found) - problems, 'note')}")
    return Status.FAILED if problems else Status.DONE


def _examine(
    to: Access, path: Path | None, node: int | None, data_dir: Path | None, offline: bool
) -> Iterator[Finding]:
    config = None
    known: list[Finding] = []
    if path is not None:
        try:
            config = load_config(str(path), os.environ)
            members = config.members if node is None else (config.member(node),)
        except ConfigError as error:
            yield problem("config", str(error))
            return
        known = [*_of_config(str(path), config, members, node is not None)]
        yield from known
        if data_dir is not None:
            yield from examine_directory(str(data_dir), config, node)
    if not offline:
        endpoints = _endpoints(to, config)
        if not endpoints:
            yield problem("nodes", "the config file does not say where clients reach them: name them with --endpoints")
        asked = ask_all(endpoints, [STATUS_REQUEST], to.answer_seconds)
        found = [Found(each, *status_fields(each)) for (each,) in asked]
        yield from examine_nodes(found, config, {each.text for each in known})


def _of_config(path: str, config: Config, members: Sequence[Member], asked: bool) -> Iterator[Finding]:
    """The findings in the config and in the files that it names; ``asked`` if the user has named the node."""
    present = with_certificates(config, members, asked)
    yield from examine_settings(config, members)
    yield from examine_files(path, config, [member.id for member in present])
    yield from examine_certificates(config, present)
    yield from examine_users(config)


def _endpoints(to: Access, config: Config | None) -> tuple[Endpoint, ...]:
    """Those that were given, else those that the config lists."""
    given = click.get_current_context().get_parameter_source("endpoints") is not ParameterSource.DEFAULT
    if config is None or given:
        return to.endpoints
    admission = to.endpoints[0].access
    found = (_client_endpoint(member, config, admission) for member in config.members)
    return tuple(endpoint for endpoint in found if endpoint is not None)


def _client_endpoint(member: Member, config: Config, admission: Admission) -> Endpoint | None:
    """Where ``member`` takes clients: by TLS if the user wants it, or if there is no other way; then the CA of the
    config is believed."""
    tls = member.endpoints().get("client_tls")
    if tls is None or (admission.tls is None and not member.client_is_tls):
        address, access = dialled_address(member.client.advertise), admission
    else:
        files = admission.tls or Tls()
        believed = files.ca or (config.tls.ca if config.tls is not None else None)
        address, access = dialled_address(tls.advertise), replace(admission, tls=replace(files, ca=believed))
    return None if address is None else Endpoint(*address, access)
