"""pottery's Redlock: a lock that a majority of servers grants. One address is one server; all nodes are one store."""

from __future__ import annotations

from pottery import Redlock
from redis import Redis

from tests.clients.programs.ride import HOST, PORT, ride

client = Redis(HOST, PORT)
client.delete("redlock:seat", "redlock:ride")
ann = Redlock(key="seat", masters={client}, auto_release_time=20)
bob = Redlock(key="seat", masters={client}, auto_release_time=20)
assert ann.acquire()
assert not bob.acquire(blocking=False)
assert 0 < ann.locked() <= 20
ann.extend()
ann.release()
with bob:
    assert bob.locked() and not ann.acquire(blocking=False)


def sell(number: int) -> None:
    """Write under the lock."""
    with Redlock(key="ride", masters={client}, auto_release_time=20):
        client.set(f"ride:pottery:{number}", number)


ride(sell, lambda number: client.get(f"ride:pottery:{number}") == b"%d" % number)
print("all well")
