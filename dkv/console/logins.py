"""Who clients are: their passwords are checked here, and what came of that is remembered and counted.

A password is checked by scrypt, which is slow on purpose and happens elsewhere (``TryPassword``). One that was right is
remembered as a keyed hash, under a key that nobody else has and that dies with the process: so a thousand clients that
reconnect do not cost a thousand times as much. Attempts with the same name and password while one is being checked wait
for that one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

from dkv.net.throttled_log import ThrottledLog
from dkv.replies import Awaited, Error, Local
from dkv.security.login_attempts import LoginAttempts
from dkv.security.passwords import PASSWORD_BYTES_MAX, PasswordHash
from dkv.security.users import DEFAULT, NOBODY, User, Users, anonymous

REMEMBERED_MAX = 10_000
"""How many right passwords are remembered; the one used longest ago is forgotten first."""

WRONG_PASSWORD = Error("WRONGPASS invalid username-password pair or user is disabled.")
TOO_FAST = Error("TRYAGAIN too many wrong passwords came from your address, wait some seconds")
TOO_MANY = Error("TRYAGAIN too many passwords are being checked")

TryPassword = Callable[[Sequence[PasswordHash], bytes, Callable[[bool | None], None], Callable[[], bool]], bool]
"""Tries a password against all of the hashes, elsewhere, and tells later whether one matches. False, and nothing is
told, if too many are waiting.

The last function is asked there, before the work is begun, whether anybody still waits. None is told if not."""

Greet = Callable[[User], Local]
"""Takes a user for whom a client has named the password, and makes the reply."""

Answer = Callable[[Callable[[], Local]], None]
"""What a connection is waiting for: ``Awaited``."""


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """Somebody at ``peer`` says that it is the user ``name``. The ``digest`` is that of name and password."""

    peer: str
    name: str
    password: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    greet: Greet = field(repr=False)
    is_wanted: Callable[[], bool] = field(repr=False)
    """Whether the client still waits for what comes of it. This is asked on any thread."""


class Logins:
    """The users of a node, who may be none at all (``users`` is None), and the clients that say who they are.

    ``key`` is random and of this process alone.
    """

    def __init__(
        self, reactor: Any, users: Users | None, try_password: TryPassword, key: bytes, complaints: ThrottledLog
    ) -> None:
        self.users = users
        self.refused: Counter[str] = Counter()
        """How many requests were refused so far, by the first word: WRONGPASS, and NOAUTH and NOPERM of the gate."""
        self._reactor = reactor
        self._try_password = try_password
        self._key = key
        self._complaints = complaints
        self._attempts = LoginAttempts()
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._under_way: dict[bytes, list[tuple[_Attempt, Answer]]] = {}  # whoever has begun is the first

    @property
    def default_has_password(self) -> bool:
        """Whether a password may be named without a user: it is that of the user ``default``."""
        default = None if self.users is None else self.users.find(DEFAULT)
        return default is not None and bool(default.hashes)

    def replace(self, users: Users) -> None:
        """These are the users from now on. Nothing that was found out about the earlier ones counts any more."""
        self.users = users
        self._remembered.clear()

    def log_in(
        self, peer: str, name: str, password: bytes, greet: Greet, is_wanted: Callable[[], bool]
    ) -> Local | Awaited:
        """A client at ``peer`` says that it is the user ``name``: the reply, or how it comes to it."""
        if name == DEFAULT and not self.default_has_password and anonymous(self.users) is not NOBODY:
            return greet(anonymous(self.users))  # No password is asked for, so any is right, as in Redis.
        if self.users is None or len(password) > PASSWORD_BYTES_MAX:
            return self._refuse(peer, name)
        wait_seconds = self._attempts.wait_seconds(peer, self._reactor.seconds())
        if wait_seconds is None:
            return Local(TOO_FAST)
        digest = self._digest(name, password)
        attempt = _Attempt(peer, name, password, digest, greet, is_wanted)
        if wait_seconds:
            return Awaited(lambda answer: self._reactor.callLater(wait_seconds, self._check, attempt, answer))
        user = self._recall(attempt)
        if user is not None:
            return greet(user)
        if digest not in self._under_way and not self._begin(attempt):
            return Local(TOO_MANY)
        return Awaited(partial(self._join, attempt))

    def _check(self, attempt: _Attempt, answer: Answer) -> None:
        """Its turn has come."""
        if not attempt.is_wanted():
            return
        user = self._recall(attempt)
        if user is not None:
            answer(lambda: attempt.greet(user))
        elif attempt.digest not in self._under_way and not self._begin(attempt):
            answer(lambda: Local(TOO_MANY))
        else:
            self._join(attempt, answer)

    def _recall(self, attempt: _Attempt) -> User | None:
        """The user, if this password of it was right before."""
        if attempt.digest not in self._remembered or self.users is None:
            return None
        self._remembered.move_to_end(attempt.digest)
        return self.users.find(attempt.name)

    def _begin(self, attempt: _Attempt, waiting: list[tuple[_Attempt, Answer]] | None = None) -> bool:
        """Try the password; False if too many are being tried."""
        users, waiting = self.users, waiting or []
        assert users is not None

        def is_wanted() -> bool:
            return attempt.is_wanted() or any(other.is_wanted() for other, _ in tuple(waiting))

        hashes, then = users.hashes_to_try(attempt.name), partial(self._tried, users, attempt)
        if not self._try_password(hashes, attempt.password, then, is_wanted):
            return False
        self._under_way[attempt.digest] = waiting
        self._attempts.begun(attempt.peer, self._reactor.seconds())
        return True

    def _join(self, attempt: _Attempt, answer: Answer) -> None:
        """Wait for what comes of the attempt that is under way."""
        self._under_way[attempt.digest].append((attempt, answer))

    def _tried(self, users: Users, first: _Attempt, right: bool | None) -> None:
        """A password was tried, by the hashes of ``users``, or nobody wanted that when its turn had come."""
        waiting, now = self._under_way.pop(first.digest), self._reactor.seconds()
        if right is None or users is not self.users:  # The result says nothing about the users of now.
            self._attempts.take_back(first.peer, now)
            self._begin_again([each for each in waiting if each[0].is_wanted()])
            return
        if right:
            self._attempts.take_back(first.peer, now)
            self._remember(first.digest)
        else:
            for other, _ in waiting[1:]:
                self._attempts.begun(other.peer, now)
        for attempt, answer in waiting:
            answer(partial(self._judge, attempt, right))

    def _begin_again(self, waiting: list[tuple[_Attempt, Answer]]) -> None:
        """Try the password that these wait for, if there are any."""
        if waiting and not self._begin(waiting[0][0], waiting):
            for _, answer in waiting:
                answer(lambda: Local(TOO_MANY))

    def _judge(self, attempt: _Attempt, right: bool) -> Local:
        user = self.users.find(attempt.name) if right and self.users is not None else None
        return self._refuse(attempt.peer, attempt.name) if user is None else attempt.greet(user)

    def _refuse(self, peer: str, name: str) -> Local:
        """A wrong password, or a name that no user has: the client is not told which."""
        self.note_refusal(WRONG_PASSWORD)
        known = self.users is not None and self.users.find(name) is not None
        # What is no name of a user may be a password that was put in the wrong place.
        self._complaints.warning("login_refused", peer=peer, user=name if known else "no user's name")
        return Local(WRONG_PASSWORD)

    def note_refusal(self, refusal: Error) -> None:
        """A request was refused for who its user is."""
        self.refused[refusal.text.partition(" ")[0]] += 1

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = None
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def _digest(self, name: str, password: bytes) -> bytes:
        text = name.encode()
        return blake2b(len(text).to_bytes(8, "big") + text + password, key=self._key, digest_size=32).digest()
