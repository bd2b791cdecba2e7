"""Wrong passwords slow down the address that they come from, and nobody else.

An address has a score: each attempt adds to it, a right password takes its own attempt back, and time wears it off.
Below a few attempts nothing is slow. Above, attempts of that address stand in line, one behind the other, and each
waits longer than the one before. All IPv6 addresses of a /64 are one: whoever has one of them has all.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

FREE_ATTEMPTS = 5
"""How many wrong passwords may come from an address before it is slowed down."""

SCORE_MAX = 12.0
"""No more counts, so an address is slow for two minutes at most after its last attempt."""

FORGIVEN_SECONDS = 10.0
"""In so many seconds the score falls by one."""

DELAY_SECONDS = 0.25
"""How long the first attempt beyond waits. Each one more doubles that."""

DELAY_SECONDS_MAX = 4.0
WAIT_SECONDS_MAX = 5.0
"""An attempt that would have to wait longer is refused at once."""

ADDRESSES_MAX = 10_000
"""How many addresses are remembered; the one that has tried longest ago is forgotten first."""


@dataclass(slots=True)
class _Tries:
    score: float
    at: float
    free_at: float = 0.0  # when the next attempt in line may be made


class LoginAttempts:
    """The attempts of all addresses to name a password, in monotonic seconds."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tries)

    def wait_seconds(self, peer: str, now: float) -> float | None:
        """How long an attempt of ``peer`` has to wait, 0 for most; None if it has to be refused. Its turn is taken."""
        tries = self._tries.get(network_of(peer))
        if tries is None:
            return 0.0
        beyond = int(self._score(tries, now)) - FREE_ATTEMPTS
        if beyond < 0:
            return 0.0
        begins = max(now, tries.free_at)
        if begins - now > WAIT_SECONDS_MAX:
            return None
        tries.free_at = begins + min(DELAY_SECONDS_MAX, DELAY_SECONDS * 2.0**beyond)
        return begins - now

    def begun(self, peer: str, now: float) -> None:
        """An attempt is made: it counts as a wrong one unless it is taken back."""
        network = network_of(peer)
        tries = self._tries.setdefault(network, _Tries(0.0, now))
        tries.score, tries.at = min(SCORE_MAX, self._score(tries, now) + 1), now
        self._tries.move_to_end(network)
        if len(self._tries) > ADDRESSES_MAX:
            self._tries.popitem(last=False)

    def take_back(self, peer: str, now: float) -> None:
        """One of the attempts begun was right, or was not made after all."""
        network = network_of(peer)
        tries = self._tries.get(network)
        if tries is None:
            return
        tries.score, tries.at = max(0.0, self._score(tries, now) - 1), now
        if not tries.score:
            del self._tries[network]

    def _score(self, tries: _Tries, now: float) -> float:
        return max(0.0, tries.score - (now - tries.at) / FORGIVEN_SECONDS)


def network_of(peer: str) -> str:
    """Where a peer is, of whom ``address:port`` is known: its address, or the /64 of it."""
    host = peer.rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return host  # no address of IP: a socket in the file system
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
