"""The command line of ``twistd dkvnode``. Precedence: flag, environment, file, default."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn

from twisted.python.reflect import qual
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

import dkv
from dkv.asserts import REFUSAL, assertions_left_out
from dkv.config.config import NODE_ID_MAX, Config, ConfigError, Member, load_config, render_config
from dkv.node import foreign, logs
from dkv.node.log_writer import LogFile, LogWriter
from dkv.node.process import keep_standard_descriptors

USAGE_STATUS = 2
OUTPUT_STATUS = 74
NO_READER_STATUS = 141
"""The exit status when nobody reads the output any more; ``OUTPUT_STATUS`` is for one that cannot be written."""

DAEMON_LOG = "twistd.log"
"""Where a daemon logs unless it is told where: twistd's own choice."""

DAEMON_UMASK = 0o077
"""A daemon's files are its user's alone, unless --umask says otherwise: twistd's own choice too."""

NOT_OPENED = "; the files that it names were not opened: `dkv doctor --offline` looks at them"
"""What --check-config says where there are certificates, users or secrets."""

STDOUT = "-"
"""How --logfile names stdout."""

FENCED_STATUS = 3
"""The directory must never be used again: another start would mend nothing."""


class Options(TwistedOptions):
    """``config``, ``member`` and ``data_directory`` say what to run once parsing has succeeded, the others how.

    ``daemon`` says whether to go into the background. All lines go to ``log``, which must be started. ``log_path`` is
    empty for stdout, ``pidfile`` for none. All paths are absolute, for twistd may go to another directory later.

    A mistake is one line on stderr and status 2: twistd would print all of its help and report success.
    """

    config: Config
    member: Member
    data_directory: str
    daemon = False
    log: LogWriter
    log_path: str
    pidfile = ""

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
        [
            "check-config",
            None,
            "Check the text of the config file and exit; `dkv doctor --offline` also looks at the files that it names.",
        ],
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
        _answer(f"dkv {dkv.__version__}\n")

    def opt_help(self) -> NoReturn:
        """Print this and exit."""
        _answer(f"{self}\n")

    def parseOptions(self, options: Any = None) -> None:
        """Parse; a mistake ends the process here, with its one line."""
        keep_standard_descriptors()
        try:
            if assertions_left_out():
                raise UsageError(REFUSAL)
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except (UsageError, ConfigError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError):  # of os.getcwd()
                error = UsageError("the current directory is gone: give absolute paths, or go to another one")
            if sys.stderr is not None:
                print(f"dkvnode: {error}", file=sys.stderr)
            sys.exit(USAGE_STATUS)

    def parseArgs(self, *arguments: str) -> None:
        """There is nothing but flags."""
        if arguments:
            raise UsageError(f"unexpected argument {arguments[0]!r}")

    def postOptions(self) -> None:
        """Read the config; answer --check-config and --print-config; take over the log and the start from twistd."""
        path = self._given("config")
        if path is None:
            raise UsageError("no config file: give --config FILE or set DKV_CONFIG")
        self.config = load_config(os.path.abspath(path), self._environment, self._overrides)
        node = self._given("node")
        if node is not None:
            self.member = self.config.member(_node_id(node))
        if self["print-config"]:
            _answer(render_config(self.config))
        if self["check-config"]:
            closed = NOT_OPENED if _names_files(self.config) else ""
            _answer(f"ok: cluster {self.config.cluster!r}, {len(self.config.members)} nodes{closed}\n")
        if node is None:
            raise UsageError("which node? give --node ID or set DKV_NODE")
        if self["data-dir"] == "":
            raise UsageError("--data-dir is empty")
        directory = self._given("data-dir") or os.path.join("data", f"node{self.member.id}")
        self.data_directory = os.path.abspath(directory)
        parent: Any = getattr(self, "parent", None)
        twistd: MutableMapping[str, Any] = parent if parent is not None else {"nodaemon": True}
        self._take_over_start(twistd, getattr(parent, "defaults", {}))
        self._take_over_log(twistd)

    def _given(self, name: str) -> str | None:
        """What the flag says, else the environment."""
        value = self[name]
        return value if value is not None else self._environment.get("DKV_" + name.upper().replace("-", "_"))

    def _take_over_start(self, twistd: MutableMapping[str, Any], defaults: Mapping[str, Any]) -> None:
        """Go into the background by ourselves (``process.py``), and write a pidfile only if one was asked for.

        twistd's default, twistd.pid in the current directory, would let only one node be started from there.
        """
        self.daemon = not (twistd["nodaemon"] or twistd.get("debug"))
        if self.daemon:
            twistd["nodaemon"] = True
            if twistd.get("umask") is None:
                twistd["umask"] = DAEMON_UMASK
        pidfile = twistd.get("pidfile")
        if pidfile is defaults.get("pidfile"):  # that very object: a user who types the same name gets a file
            pidfile = ""
        self.pidfile = os.path.abspath(pidfile) if pidfile else ""
        twistd["pidfile"] = self.pidfile

    def _take_over_log(self, twistd: MutableMapping[str, Any]) -> None:
        """Let every line be one of ours, twistd's included, unless an observer was named with --logger."""
        if twistd.get("syslog"):
            raise UsageError("--syslog is not supported: give --logfile, or run it with -n where its stdout is logged")
        path = twistd.get("logfile") or (DAEMON_LOG if self.daemon else STDOUT)
        if path == STDOUT and self.daemon:
            raise UsageError("--logfile - is stdout, which a daemon does not have: name a file, or run it with -n")
        self.log_path = "" if path == STDOUT else os.path.abspath(path)
        try:
            self.log = LogWriter(LogFile(self.log_path or None), logs.line)
        except OSError as error:
            raise UsageError(f"cannot write the log file {path}: {error.strerror}") from None
        logs.configure(self.member.id, self.log)
        if not twistd.get("logger"):
            twistd["logger"] = qual(foreign.TwistedObserver)  # twistd looks it up by its name


def _answer(text: str) -> NoReturn:
    """Print the answer and exit, with a status that says whether it was written, as commands of ``dkv`` do."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(NO_READER_STATUS)
        print(f"dkvnode: cannot write the output: {error.strerror}", file=sys.stderr)
        sys.exit(OUTPUT_STATUS)
    except AttributeError:  # stdout is closed
        sys.exit(OUTPUT_STATUS)
    sys.exit(0)


def _names_files(config: Config) -> bool:
    """Whether there is more to check than the text of the config file."""
    return config.tls is not None or any((config.users_file, config.peer_secret_file, config.admin_token_file))


def _node_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= NODE_ID_MAX:
        raise UsageError(f"--node {text}: a node's id is a whole number from 1 to {NODE_ID_MAX}")
    return int(text)
