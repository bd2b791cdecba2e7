"""The node processes of ``dkv cluster``: started, watched, and stopped together."""

from __future__ import annotations

import ctypes
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Self

from dkv.cli.access_options import environment_of_others
from dkv.cli.leader_news import LeaderNews
from dkv.cli.output import Failure, Status, complain
from dkv.cli.output import say_if_taken as say
from dkv.cli.readyz import says_ready
from dkv.client.blocking import Endpoint, NoAnswer, NotSent, ServerError, connect
from dkv.client.outcome import TURNED_AWAY

TWISTD: Sequence[str] = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
"""The twistd of this environment, whether its script is on the PATH or not."""

STOP_SECONDS = 10.0
READY_SECONDS = 30.0
PROBE_SECONDS = 1.0
POLL_SECONDS = 0.05
NEWS_SECONDS = 0.25
"""How often the nodes' logs are looked at for who leads now."""
LOG_TAIL_BYTES = 64 * 1024

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def script(name: str) -> str:
    """The word to type for a command of this environment: its name if the shell finds the same one, else its path."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return str(beside) if beside.exists() and (found is None or not os.path.samefile(found, beside)) else name


class Signals:
    """While entered, signals that ask to stop only set ``stop``, and ``wait`` ends early at any signal.

    Each also sets ``again``, which tells a loop that waits for the stop that the user will not wait. SIGUSR1, which
    makes other programs reopen their logs, does nothing. After the exit these signals are ignored: the process is about
    to end, and an impatient second Ctrl-C in its last moments must not change its status.
    """

    def __init__(self) -> None:
        self.stop = self.again = False

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that the signal wakes us
        signal.signal(signal.SIGUSR1, lambda *_: None)
        self._handled = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            self._handled.append(signal.SIGHUP)
        for number in self._handled:
            signal.signal(number, self._on_stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._handled:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._writer.close()
        self._reader.close()

    def wait(self, seconds: float | None) -> None:
        """Wait for a signal, for ``seconds`` at most."""
        if select.select([self._reader], [], [], seconds)[0]:
            self._reader.recv(4096)

    def _on_stop(self, _: int, __: FrameType | None) -> None:
        """Note the first signal that asks to stop, and each one after it."""
        self.stop = self.again = True


class NodeProcess:
    """One node: the command that runs it, the file for its output, and its process once started.

    ``endpoint`` is its port for clients, and ``operators`` that for operators, if it has one.
    """

    process: subprocess.Popen[bytes]

    def __init__(
        self,
        number: int,
        arguments: Sequence[str],
        log_path: Path,
        endpoint: Endpoint,
        operators: Endpoint | None = None,
    ) -> None:
        self.number = number
        self.arguments = arguments
        self.log_path = log_path
        self.endpoint = endpoint
        self.operators = operators
        self.reported = False
        self.log_start = 0
        """The byte of the log at which this process's lines begin."""

    def start(self) -> None:
        """Start the process in a session of its own, so that a Ctrl-C reaches it only through us."""
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = _start([*TWISTD, *self.arguments], log)

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None

    def ending(self) -> str:
        """How the process ended, in words."""
        status = self.process.wait()
        return f"killed by signal {-status}" if status < 0 else f"exit status {status}"

    def last_words(self) -> str:
        """The reason for which the process ended, in its own words, else its last log line; empty if there is none."""
        with open(self.log_path, "rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, end - LOG_TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith("dkvnode: ")]
        return (reasons or lines or [""])[-1].removeprefix("dkvnode: ")

    def by_hand(self) -> str:
        """The command line that starts it again."""
        return shlex.join([script("twistd"), *self.arguments])

    def serves(self) -> bool:
        """Whether it answers a linearizable read now, and says that it is ready, as ``dkv status`` would show.

        A node that does not know this client serves others: its port for operators says whether it is ready.
        """
        try:
            with connect(self.endpoint, PROBE_SECONDS, PROBE_SECONDS) as connection:
                connection.call(b"GET", b"ready?")
                status = connection.call(b"DKV.STATUS")
        except ServerError as error:
            if error.word not in TURNED_AWAY:
                return False
            return self.operators is None or says_ready(self.operators, PROBE_SECONDS)
        except (NotSent, NoAnswer):
            return False
        return isinstance(status, bytes) and json.loads(status)["ready"] is True


def _start(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=environment_of_others(),
        preexec_fn=_end_with_parent() if sys.platform == "linux" else None,  # we have no other thread
    )


def _end_with_parent() -> Callable[[], None]:
    """In the child, before it becomes a node: ask Linux for a SIGTERM when the parent is gone, even by kill -9.

    Nodes that are left behind would hold the ports and directories that the next ``dkv cluster`` wants. They stop
    cleanly. Their own sessions keep the signals of a terminal from them, but not this one.
    """
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent was gone before the child asked
            os._exit(1)

    return ask


# --- all of them ---


def run(nodes: Sequence[NodeProcess], signals: Signals, welcome: Callable[[], None]) -> Status:
    """Start ``nodes``, call ``welcome`` when all serve, and watch them until a signal says stop or all have ended.

    A node that ends before all served is a ``Failure``. Whatever happens, no node is left running.
    """
    started: list[NodeProcess] = []
    try:
        for node in nodes:
            if signals.stop:
                return Status.DONE
            node.start()
            started.append(node)
            say(f"node {node.number}  pid {node.process.pid}  clients {node.endpoint}  log {node.log_path}")
        _wait_ready(started, signals)
        if not signals.stop:
            welcome()
        return _watch(started, signals)
    except OSError as error:
        raise Failure(Status.FAILED, "NODE", f"cannot start a node: {error.filename}: {error.strerror}") from None
    finally:
        stop(started, signals)


def _wait_ready(nodes: Sequence[NodeProcess], signals: Signals) -> None:
    """Return when every node serves, or on a signal; now and then say which nodes are waited for."""
    waiting = list(nodes)
    complain_at = time.monotonic() + READY_SECONDS
    while not signals.stop:
        for node in nodes:
            if not node.running:
                words = node.last_words() or "it said nothing"
                text = f"node {node.number} ended at its start, {node.ending()}: {words} (its log is {node.log_path})"
                raise Failure(Status.FAILED, "NODE", text)
        waiting = [node for node in waiting if not node.serves()]
        if not waiting:
            return
        if time.monotonic() > complain_at:
            who = ", ".join(f"node {node.number} ({node.log_path})" for node in waiting)
            complain(f"not ready after {READY_SECONDS:g} s more: no answer yet from {who}; waiting on, Ctrl-C stops")
            complain_at += READY_SECONDS
        signals.wait(POLL_SECONDS)


def _watch(nodes: Sequence[NodeProcess], signals: Signals) -> Status:
    """Report who leads, and nodes that end by themselves, until none is left or a signal says stop."""
    leaders = LeaderNews((node.log_path, node.log_start) for node in nodes)
    while not signals.stop:
        for node in nodes:
            if not node.running and not node.reported:
                node.reported = True
                reason = node.last_words() if node.process.returncode > 0 else ""
                say(f"node {node.number} (pid {node.process.pid}) ended: {node.ending()}" + (reason and f": {reason}"))
                say(f"  start it again with: {node.by_hand()}")
        if all(node.reported for node in nodes):
            raise Failure(Status.FAILED, "NODE", "all nodes that this command started have ended")
        for sentence in leaders.news():
            say(sentence)
        signals.wait(NEWS_SECONDS)
    return Status.DONE


def stop(nodes: Sequence[NodeProcess], signals: Signals) -> None:
    """End every node that runs: cleanly, or by force after ``STOP_SECONDS`` or at another signal that asks to stop."""
    signals.again = False
    running = [node for node in nodes if node.running]
    if not running:
        return
    for node in running:
        node.process.terminate()
        node.process.send_signal(signal.SIGCONT)  # a frozen process could not end
    try:
        say("stopping " + ", ".join(f"node {node.number}" for node in running))
    finally:  # also if nobody reads our output any more
        late = _wait_ended(running, signals)
    for node in running:
        if node in late:
            why = "was not waited for" if signals.again else f"did not end within {STOP_SECONDS:g} s"
            complain(f"node {node.number} {why} and was killed")
        elif node.process.returncode not in (0, -signal.SIGTERM):  # the latter during its start
            complain(f"node {node.number} ended: {node.ending()}: {node.last_words()}")
    say("stopped")


def _wait_ended(running: Sequence[NodeProcess], signals: Signals) -> list[NodeProcess]:
    """Wait until all have ended, and return the nodes that had to be killed."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(node.running for node in running) and (remaining := deadline - time.monotonic()) > 0:
        if signals.again:
            break
        signals.wait(remaining)
    late = [node for node in running if node.running]
    for node in late:
        node.process.kill()
        node.process.wait()
    return late
