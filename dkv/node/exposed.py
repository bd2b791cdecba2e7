"""What of a node is open to others who should not get at it: it says so at its start, and whenever somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dkv.config.config import Config, Member
from dkv.config.exposure import OPEN, exposures, is_local
from dkv.console.cautions import Caution
from dkv.security.users import Users

CHANGING = ("write", "admin", "fault")
"""The categories that somebody without a password should not have."""


class Exposed:
    """Of ``member``, a node of the cluster that ``config`` describes. ``users`` tells its users of the moment, None if
    there is no file of them; ``readable`` tells the files of secrets that every user of the machine may read."""

    def __init__(
        self,
        config: Config,
        member: Member,
        users: Callable[[], Users | None],
        readable: Callable[[], Iterable[str]],
    ) -> None:
        self._member = member
        self._users = users
        self._of_config = [Caution(*exposure) for exposure in exposures(config, member)]
        self._readable = readable

    def tell(self, log: Any) -> None:
        """Write all of it to the log."""
        for caution in self.cautions():
            log.warning("exposed", exposure=caution.name, reason=caution.text)

    def cautions(self) -> Iterator[Caution]:
        """All of it, as it is now."""
        yield from self._of_config
        yield from self._default()
        for path in self._readable():
            yield Caution("readable_secret", f"every user of this machine may read {path}: chmod 600 it")

    def _default(self) -> Iterator[Caution]:
        """A file of users that lets everybody in is none."""
        users = self._users()
        default = None if users is None else users.default
        if default is None:
            return
        may = ", ".join(f"`{each}`" for each in CHANGING if default.rights.allows(each))
        endpoints = self._member.endpoints()
        for name in ("client", "client_tls"):
            if may and name in endpoints and not is_local(endpoints[name]):
                text = f"the port {name} is {OPEN}, for what is {may}: take it from `may` of [user.default]"
                yield Caution("open_default", text)
