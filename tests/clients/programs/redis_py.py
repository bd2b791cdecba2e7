"""redis-py, the blocking client: strings, numbers, deadlines, scans, pipelines, transactions, publish and subscribe.

Started with ``hiredis`` it insists on the parser of that name, and with ``python`` it hides it.
"""

from __future__ import annotations

import sys

from tests.clients.programs.ride import HOST, OPTIONS, PORT, ride

if "python" in OPTIONS:
    sys.modules["hiredis"] = None  # so that its import fails

import redis
from redis.utils import HIREDIS_AVAILABLE

assert ("hiredis" in OPTIONS) == HIREDIS_AVAILABLE, "the other parser"


def transfer(pipe: redis.client.Pipeline) -> None:
    """Move 10 from one account to the other."""
    balance = int(pipe.get("ride:py:ann") or 0)
    pipe.multi()
    pipe.set("ride:py:ann", balance - 10)
    pipe.incrby("ride:py:bob", 10)


def try_out(client: redis.Redis) -> None:
    """What programs do most."""
    client.delete("py:a", "py:b", "py:n", "ride:py:ann", "ride:py:bob")
    assert client.set("py:a", b"\x00\xff") is True
    assert client.set("py:a", "other", nx=True) is None
    assert client.set("py:a", "new", ex=100, get=True) == b"\x00\xff"
    assert 0 < client.ttl("py:a") <= 100
    assert client.incr("py:n", 41) == 41
    assert client.incrbyfloat("py:n", 0.5) == 41.5
    assert client.mget("py:a", "py:n", "absent") == [b"new", b"41.5", None]
    assert sorted(client.scan_iter("py:*")) == [b"py:a", b"py:n"]
    with client.pipeline(transaction=False) as pipe:
        assert pipe.set("py:b", 1).incr("py:b").get("py:b").execute() == [True, 2, b"2"]
    client.set("ride:py:ann", 100)
    client.transaction(transfer, "ride:py:ann")
    assert client.mget("ride:py:ann", "ride:py:bob") == [b"90", b"10"]
    with client.pipeline() as pipe:
        pipe.watch("ride:py:ann")
        client.incr("ride:py:ann")
        pipe.multi()
        pipe.set("ride:py:ann", 0)
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("a watched key had changed")
    try:
        client.incr("py:a")
    except redis.ResponseError as error:
        assert "not an integer" in str(error), error
    else:
        raise AssertionError("a text was counted up")


def listen(client: redis.Redis) -> None:
    """A message to a channel, and one to a pattern."""
    with client.pubsub() as listener:
        listener.subscribe("py:news")
        listener.psubscribe("py:n*s")
        assert [listener.get_message(timeout=5)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        assert client.publish("py:news", "hello") == 2
        heard = [listener.get_message(timeout=5) for _ in range(2)]
        assert sorted((each["type"], each["data"]) for each in heard) == [("message", b"hello"), ("pmessage", b"hello")]
        assert dict(client.pubsub_numsub("py:news")) == {b"py:news": 1}


with redis.Redis(HOST, PORT) as client:
    try_out(client)
    listen(client)
    ride(lambda n: client.set(f"ride:py:{n}", n), lambda n: client.get(f"ride:py:{n}") == b"%d" % n)
print("all well")
