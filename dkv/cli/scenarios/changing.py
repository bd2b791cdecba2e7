"""Changes of the members of a stage's own cluster, by the commands that an operator types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

from dkv.cli.access_options import environment_of_others
from dkv.cli.layout import CONFIG_NAME, Layout, client_endpoint
from dkv.cli.own import further_member, node_process
from dkv.cli.scenarios.stage import Stage
from dkv.client.blocking import NoAnswer, NotSent, ServerError
from dkv.config.config import Config, load_config, render_config
from dkv.config.listen_endpoint import shortest

DKV = (sys.executable, "-c", "from dkv.cli.main import main; main()")
COMMAND_SECONDS = 120.0
AFTERWARDS = "afterwards: "


class MemberChanges:
    """Nodes join, move and go. ``stage.numbers`` are the members that run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._config = load_config(str(stage.directory / CONFIG_NAME), {})
        """All nodes that there ever were, where they are now."""

    def attempt(self, *words: str) -> tuple[int, str]:
        """The exit status of a command of dkv, and all that it printed."""
        done = subprocess.run(
            [*DKV, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            env=environment_of_others(),
        )
        return done.returncode, done.stdout.strip()

    def run(self, *words: str) -> str:
        """What a command of dkv prints; a failed step if its status is not 0."""
        status, printed = self.attempt(*words)
        if status:
            self._stage.report.fail(f"dkv {' '.join(words)} ended with status {status}: {printed}")
        return printed

    def change(self, *words: str) -> None:
        """A command that changes the members of today, as a step. It ends when the change is complete."""
        printed = self.run(*words, "--endpoints", self._members())
        results = [line.removeprefix(AFTERWARDS) for line in printed.splitlines() if line.startswith(AFTERWARDS)]
        self._stage.report.step(f"dkv {' '.join(words)}: {' '.join(results) or printed}")

    def _members(self) -> str:
        return ",".join(str(endpoint) for endpoint in self._stage.endpoints.values())

    # --- nodes come and move ---

    def join(self, count: int) -> list[int]:
        """So many new nodes run and are standbys; each has an id that no node had before."""
        stage, member = self._stage, str(next(iter(self._stage.endpoints.values())))
        last = self._config.members[-1].id
        new = list(range(last + 1, last + 1 + count))
        for number in new:
            config = self._config
            self._config = replace(config, members=(*config.members, further_member(config, number)))
        layout = self._layout(f"with{new[-1]}", self._config)
        for number in new:
            place = ("--config", str(layout.config_path), "--data-dir", str(layout.node_directory(number)))
            self.run("init", *place, "--node", str(number), "--join", member)
            stage.add(node_process(layout, number))
            stage.nodes[number].start()
        for number in new:
            stage.wait(partial(self._answers, number), f"node {number} answers")
            stage.wait_ready(number)
        ids, they = " ".join(map(str, new)), "a standby that serves" if count == 1 else "standbys that serve"
        stage.report.step(f"dkv init --join and twistd dkvnode for {ids}: {they}")
        return new

    def move(self, number: int) -> None:
        """A member that was stopped starts with its directory at another place, and with other addresses."""
        stage, config = self._stage, self._config
        there = further_member(config, number)
        self._config = replace(config, members=tuple(there if old.id == number else old for old in config.members))
        layout = self._layout(f"moved{number}", self._config)
        elsewhere = replace(layout, directory=stage.directory / f"machine{number}")
        elsewhere.directory.mkdir()
        shutil.move(layout.node_directory(number), elsewhere.node_directory(number))
        stage.drop(number)
        addresses = ("--peer", str(shortest(there.peer)), "--client", str(shortest(there.client)))
        self.change("member", "move", str(number), *addresses)
        stage.add(node_process(elsewhere, number))
        stage.start(number)
        stage.report.step(f"node {number} serves at {client_endpoint(self._config, there)}, with its old directory")

    def _layout(self, name: str, config: Config) -> Layout:
        """The nodes of ``config``, which is written to a file of that name."""
        path = self._stage.directory / f"{name}.toml"
        path.write_text(render_config(config), encoding="utf-8")
        return Layout(self._stage.directory, path, config)

    def _answers(self, number: int) -> bool:
        node = self._stage.nodes[number]
        if not node.running:
            self._stage.report.fail(f"node {number} ended: {node.ending()}: {node.last_words()}")
        try:
            self._stage.status(number)
        except (NotSent, NoAnswer, ServerError):
            return False
        return True
