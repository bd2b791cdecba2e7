"""Files that a node reads again when they change: certificates, users, secrets, tokens.

Other contents are news, however they came there; dates are not trusted. What was read is taken over only if all of it
is good; else what is in force stays in force, and that is said once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread
from typing import Any, Generic, TypeVar

from dkv.config.peer_secret_file import others_may_read
from dkv.config.plain_file import open_plain
from dkv.host.seams import Call

LOOK_SECONDS = 5.0
"""How often files are looked at."""

SOON_SECONDS = 0.5
"""When they are looked at again if they were written while they were read, or are wrong: a certificate may be there,
and its key about to come."""

Loaded = TypeVar("Loaded")
OnThread = Callable[[Callable[[], None]], None]


def daemon_thread(work: Callable[[], None]) -> None:
    """Do ``work`` on a thread that keeps nobody from ending."""
    Thread(target=work, name="dkv-files", daemon=True).start()


class WatchedFiles(Generic[Loaded]):
    """Watches the files at ``paths``, for as long as it is started.

    ``load`` reads them and may take its time: it runs on a thread, and raises an error whose text is one line.
    ``apply`` gets what it returned. ``complain`` gets that text, once for the same contents; what is wrong is in
    ``trouble`` until something good is read. Both are called in the reactor's turn.

    Those of ``secrets`` that every user of the machine may read are in ``readable``. That is looked up on the thread,
    too: a dead disk must not stop a node.
    """

    def __init__(
        self,
        reactor: Any,
        paths: Sequence[str],
        load: Callable[[], Loaded],
        apply: Callable[[Loaded], None],
        complain: Callable[[str], None],
        on_thread: OnThread = daemon_thread,
        *,
        secrets: Sequence[str] = (),
    ) -> None:
        self.trouble: str | None = None
        """Why what lies there is not in force, in one line."""
        self.readable: Sequence[str] = ()
        """The secrets that every user of the machine could read when they were last looked at."""
        self._reactor = reactor
        self._paths = paths
        self._secrets = secrets
        self._load = load
        self._apply = apply
        self._complain = complain
        self._on_thread = on_thread
        self._digest = b""
        self._suspected = b""  # what is wrong, unless it is different at the second look
        self._running = False
        self._working = False
        self._again = False
        self._next: Call | None = None

    def first(self) -> Loaded:
        """Read the files for the first time, before ``start`` and in the caller's thread; raises what ``load`` does."""
        self.readable = self._readable()
        self._digest = _digest_of(self._paths)  # Before they are read: what is written meanwhile is news.
        return self._load()

    def start(self) -> None:
        """Look from now on."""
        self._running = True
        self._wait(LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more. What is being read at the moment is not taken over."""
        self._running = False
        self._cancel()

    def look(self) -> None:
        """Look now."""
        self._begin()

    def _wait(self, seconds: float) -> None:
        self._next = self._reactor.callLater(seconds, self._begin)

    def _cancel(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _begin(self) -> None:
        if not self._running:
            return
        if self._working:
            self._again = True  # What is being read may be the earlier contents.
            return
        self._cancel()
        self._working = True
        try:
            self._on_thread(partial(self._work, self._digest))
        except RuntimeError:  # The system gives no thread at the moment.
            self._working = False
            self._wait(LOOK_SECONDS)

    def _work(self, digest: bytes) -> None:
        """On a thread: nothing here touches the node."""
        loaded: Loaded | None = None
        wrong: str | None = None
        new_digest = _digest_of(self._paths)
        whole = True
        if new_digest != digest:
            try:
                loaded = self._load()
            except Exception as error:  # Whatever it is, the node goes on with what it has.
                wrong = str(error).partition("\n")[0] or type(error).__name__
            whole = _digest_of(self._paths) == new_digest
        self._reactor.callFromThread(self._done, new_digest, loaded, wrong, whole, self._readable())

    def _readable(self) -> Sequence[str]:
        return [path for path in self._secrets if others_may_read(path)]

    def _done(self, digest: bytes, loaded: Any, wrong: str | None, whole: bool, readable: Sequence[str]) -> None:
        self._working = False
        if not self._running:
            return
        self.readable = readable
        settled = whole and (wrong is None or digest == self._suspected)
        again, self._again = self._again or not settled, False
        self._wait(SOON_SECONDS if again else LOOK_SECONDS)
        self._suspected = b"" if settled else digest
        if settled and digest != self._digest:
            self._digest, self.trouble = digest, wrong
            if wrong is None:
                self._apply(loaded)
            else:
                self._complain(wrong)


def _digest_of(paths: Sequence[str]) -> bytes:
    """What the contents amount to; a file that cannot be read counts as another content."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            with open_plain(path) as file:
                content = file.read()
        except OSError as error:
            content = f"\0{error.strerror}".encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()
