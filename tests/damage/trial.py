"""Damage inside a cluster of real processes: what clients of all three nodes see, once the struck one is started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from dkv.node.options import FENCED_STATUS
from tests.damage.filled import FilledCluster
from tests.damage.strikes import Strike
from tests.damage.verdict import HARMLESS, WRONG, Verdict
from tests.integration.processes import RealNode, Refused

ENDED, FENCED = "the node ended", "the node was fenced"

_SECONDS = 8.0
"""How long a struck node may take to serve, or to end."""


class Trial:
    """One strike on the struck node of a ``filled`` cluster, whose directories are put back before."""

    def __init__(self, filled: FilledCluster) -> None:
        self._filled = filled
        self._numbers = count()
        self._written: dict[str, bytes] = {}

    def run(self, strike: Strike, *, running: bool = False) -> Verdict:
        """Start the nodes on the damaged directory and use them; once more after a restart, if the struck one lives.

        With ``running`` the strike comes when all nodes serve.
        """
        filled = self._filled
        filled.restore()
        if not running:
            strike.do(filled.struck.directory)
        self._written = dict(filled.expected)
        sound = [node for node in filled.cluster.nodes if node is not filled.struck]
        for node in sound:
            node.start()
        filled.cluster.wait_ready()
        verdict = Verdict(HARMLESS)
        for _ in range(2):
            began = filled.struck.log_path.stat().st_size
            filled.struck.start()
            if running:
                filled.cluster.wait_ready()
                strike.do(filled.struck.directory)
                running = False
            verdict = self._outcome(sound, began)
            if verdict.kind != HARMLESS:
                break
            filled.struck.stop()
        for node in sound:
            wrong = self._wrong_answer(node)
            if wrong:
                return Verdict(WRONG, f"{wrong}, though it was not struck; {verdict.text}")
        return verdict

    def _outcome(self, sound: list[RealNode], began: int) -> Verdict:
        """Write everywhere and read everything at the struck node, until that is done or it has ended."""
        struck = self._filled.struck
        assert struck.process is not None
        deadline = time.monotonic() + _SECONDS
        while struck.process.poll() is None and not struck.serves():
            if time.monotonic() > deadline:
                return Verdict(WRONG, "it neither serves nor ends")
            time.sleep(0.01)  # between two looks at a condition
        for node in (*sound, struck):
            self._write(node)
        wrong = "" if struck.process.poll() is not None else self._wrong_answer(struck)
        if wrong:
            return Verdict(WRONG, wrong)
        if struck.process.poll() is None:
            return Verdict(HARMLESS)
        return self._end(struck, began)

    def _write(self, node: RealNode) -> None:
        """Some writes; those that a node which ends has not acknowledged are nobody's."""
        for number in range(3):
            key = f"after-{next(self._numbers)}"
            try:
                node.call("SET", key, f"{key} {number}")
            except (OSError, EOFError, Refused):
                if node is not self._filled.struck:
                    raise
            else:
                self._written[key] = f"{key} {number}".encode()

    def _wrong_answer(self, node: RealNode) -> str:
        """What the node answers otherwise than it was written; empty if it ends before it has answered all."""
        try:
            for key, value, found in self._read(node):
                if found != value:
                    return f"node {node.number} answers {found!r:.60} for {key}, not {value!r:.60}"
        except (OSError, EOFError, Refused):
            if node is not self._filled.struck:
                raise
            assert node.process is not None
            node.process.wait(_SECONDS)
        return ""

    def _read(self, node: RealNode) -> Iterator[tuple[str, bytes, bytes | None]]:
        connection = node.connect()
        try:
            for key, value in self._written.items():
                yield key, value, connection.call("GET", key)
        finally:
            connection.close()

    def _end(self, node: RealNode, began: int) -> Verdict:
        """A node that ended has said why, in one line and a status, and nowhere with a traceback."""
        assert node.process is not None
        status, node.process = node.process.wait(_SECONDS), None
        with node.log_path.open("rb") as log:
            log.seek(began)
            said = log.read().decode()
        lines = [line for line in said.splitlines() if not line.startswith("{")]
        if len(lines) != 1 or not lines[0].startswith("dkvnode: ") or "Traceback" in said:
            return Verdict(WRONG, f"it ended with status {status} and {lines}: {said[-1000:]}")
        if status not in (1, FENCED_STATUS):
            return Verdict(WRONG, f"it ended with status {status}: {lines[0]}")
        return Verdict(FENCED if status == FENCED_STATUS else ENDED, lines[0])
