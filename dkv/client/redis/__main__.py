"""Shows what a lost connection does to a counter: ``python -m dkv.client.redis HOST:PORT ...``, for running nodes.

A proxy in front of each node cuts every twentieth connection or so, when the node has answered and the client does not
know yet. redis-py, which sends again what had no answer, counts twice; with tokens it counts once.
"""

from __future__ import annotations

import sys
from random import Random

import redis

from dkv.client.blocking import Endpoint
from dkv.client.redis import Redis
from dkv.client.redis.cutting_proxy import CuttingProxy

COUNTS = 500
KEYS = ("demonstration:plain", "demonstration:once")
CUT = 0.05
"""How likely an answer to an INCR is cut off."""


def main(arguments: list[str]) -> int:
    """Count to ``COUNTS`` with both; 0 if the one with tokens is right."""
    try:
        nodes = [Endpoint.parse(each) for each in arguments]
    except ValueError as error:
        nodes = []
        print(error, file=sys.stderr)
    if not nodes:
        print("usage: python -m dkv.client.redis HOST:PORT ...", file=sys.stderr)
        return 2
    chance = Random()

    def judge(asked: bytes, answer: bytes) -> int | None:
        return 0 if b"INCRBY" in asked and chance.random() < CUT else None

    proxies = [CuttingProxy(each, judge) for each in nodes]
    try:
        first = proxies[0].endpoint
        _count("redis-py", redis.Redis(first.host, first.port), proxies, KEYS[0])
        counted = _count("dkv.client.redis", Redis(nodes=[each.endpoint for each in proxies]), proxies, KEYS[1])
    finally:
        for proxy in proxies:
            proxy.close()
    return int(counted != COUNTS)


def _count(what: str, client: redis.Redis, proxies: list[CuttingProxy], key: str) -> int:
    cut_before = sum(proxy.cut for proxy in proxies)
    client.delete(key)
    failed = 0
    for _ in range(COUNTS):
        try:
            client.incr(key)
        except redis.ConnectionError:  # a version that sends nothing again
            failed += 1
    counted = int(client.get(key) or 0)
    cut = sum(proxy.cut for proxy in proxies) - cut_before
    client.close()
    errors = f", {failed} errors" if failed else ""
    print(f"{what:17} {COUNTS} times INCR, {cut} answers cut off{errors}: the counter is {counted}")
    return counted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
