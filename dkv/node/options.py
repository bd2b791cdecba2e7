"""The command line of ``twistd dkvnode``. Precedence: flag, environment, file, default."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from twisted.python.reflect import qual
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

import dkv
from dkv.asserts import REFUSAL, assertions_left_out
from dkv.node import logs
from dkv.node.config import NODE_ID_MAX, Config, ConfigError, Member, load_config, render_config

USAGE_STATUS = 2
FENCED_STATUS = 3
"""The directory must never be used again: nothing is mended by another start."""


class Options(TwistedOptions):
    """``config``, ``member`` and ``data_directory`` say what to run once parsing has succeeded.

    A mistake is one line on stderr and status 2: twistd would print all of its help and report success.
    """

    config: Config
    member: Member
    data_directory: str

    synopsis = "--config FILE --node ID [--data-dir DIR] [options]"
    longdesc = (
        "Run one node of a dkv cluster. DKV_CONFIG, DKV_NODE and DKV_DATA_DIR stand in for the flags; "
        "DKV_MODE, DKV_LIMITS_<NAME> and DKV_TIMINGS_<NAME> for settings of the file."
    )
    optParameters = [
        ["config", "c", None, "The cluster's config file (TOML)."],
        ["node", "n", None, "Which node of it to run: its id."],
        ["data-dir", "d", None, "The node's data directory [default: ./data/node<ID>]."],
    ]
    optFlags = [
        ["check-config", None, "Check the config and exit."],
        ["print-config", None, "Print the config, every setting as it would be used, and exit."],
    ]

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's options have no annotations
        self._environment = environment
        self._overrides: list[str] = []

    def opt_set(self, setting: str) -> None:
        """Override a setting of the config file, as in timings.request_seconds=3 or mode=classic; may be repeated."""
        self._overrides.append(setting)

    def opt_version(self) -> NoReturn:
        """Print the version of dkv and exit."""
        print(f"dkv {dkv.__version__}")
        sys.exit(0)

    def parseOptions(self, options: Any = None) -> None:
        """Parse; a mistake ends the process here, with its one line."""
        try:
            if assertions_left_out():
                raise UsageError(REFUSAL)
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except (UsageError, ConfigError) as error:
            print(f"dkvnode: {error}", file=sys.stderr)
            sys.exit(USAGE_STATUS)

    def parseArgs(self, *arguments: str) -> None:
        """There is nothing but flags."""
        if arguments:
            raise UsageError(f"unexpected argument {arguments[0]!r}")

    def postOptions(self) -> None:
        """Read the config; answer --check-config and --print-config; take over the log."""
        path = self._given("config")
        if path is None:
            raise UsageError("no config file: give --config FILE or set DKV_CONFIG")
        self.config = load_config(path, self._environment, self._overrides)
        node = self._given("node")
        if node is not None:
            self.member = self.config.member(_node_id(node))
        if self["print-config"]:
            print(render_config(self.config), end="")
            sys.exit(0)
        if self["check-config"]:
            print(f"ok: cluster {self.config.cluster!r}, {len(self.config.members)} nodes")
            sys.exit(0)
        if node is None:
            raise UsageError("which node? give --node ID or set DKV_NODE")
        if self["data-dir"] == "":
            raise UsageError("--data-dir is empty")
        self.data_directory = self._given("data-dir") or os.path.join("data", f"node{self.member.id}")
        self._take_over_log()

    def _given(self, name: str) -> str | None:
        """What the flag says, else the environment."""
        value = self[name]
        return value if value is not None else self._environment.get("DKV_" + name.upper().replace("-", "_"))

    def _take_over_log(self) -> None:
        """Let every line be one of ours, twistd's included, unless an observer was named with --logger."""
        parent: Any = getattr(self, "parent", None)
        twistd: Mapping[str, Any] = parent if parent is not None else {}
        try:
            stream = logs.open_stream(twistd.get("logfile"), daemon=not twistd.get("nodaemon", True))
        except OSError as error:
            raise UsageError(f"cannot write the log file {error.filename}: {error.strerror}") from None
        logs.configure(self.member.id, stream)
        if parent is not None and not parent.get("logger"):
            parent["logger"] = qual(logs.TwistedObserver)  # twistd looks it up by its name


def _node_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= NODE_ID_MAX:
        raise UsageError(f"--node {text}: a node's id is a whole number from 1 to {NODE_ID_MAX}")
    return int(text)
