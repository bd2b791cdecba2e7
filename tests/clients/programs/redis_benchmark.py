"""redis-benchmark, with the commands of its own that are there."""

from __future__ import annotations

import re
import subprocess

from tests.clients.programs.ride import HOST, PORT, ride

WORDS = "ping_inline,ping_mbulk,set,get,incr,mset"
SECONDS = 60


def benchmark(*words: str) -> list[str]:
    """Run it to its end; the names of what it measured."""
    command = ["redis-benchmark", "-h", HOST, "-p", str(PORT), "-q", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    if ended.stderr or "error" in ended.stdout.lower():
        raise RuntimeError(ended.stderr or ended.stdout)
    return re.findall(r"^(.+?): [0-9.]+ requests per second", ended.stdout.replace("\r", "\n"), re.MULTILINE)


ALL = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
assert benchmark("-t", WORDS, "-n", "2000") == ALL
assert benchmark("-t", "set,get", "-n", "2000", "-P", "16", "-r", "100", "-3") == ["SET", "GET"]
ride(lambda _: benchmark("-t", "set", "-n", "500", "-r", "100"), lambda _: True)
print("all well")
