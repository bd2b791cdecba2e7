"""What keeps others out of a node: files of certificates, users, secrets and tokens, read again when they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric

from dkv.config.config import Config
from dkv.console.cautions import Caution
from dkv.console.metric_families import labelled
from dkv.net.securing import Security
from dkv.node.owner import Owner
from dkv.node.watched_files import WatchedFiles

TLS = "tls"
"""The kind of the files of the section [tls]."""

Loaded = TypeVar("Loaded")


class ProtectionError(Exception):
    """A node cannot start with these files. The text is one line that says what to mend."""


class Protection:
    """Of one run of node ``node`` of ``config``.

    Each part of the node that rests on a file calls ``watch``. What one of them warns of goes to ``cautions``, what it
    measures to ``metrics``.
    """

    def __init__(self, owner: Owner, config: Config, node: int) -> None:
        self.security: Security | None = None
        """Puts ports and dialled connections behind TLS; None without a section [tls]."""
        self._owner = owner
        self._config = config
        self._node = node
        self._log = owner.get_logger("protection")
        self._watched: dict[str, WatchedFiles[Any]] = {}
        self._tls: Any = None
        self._running = False

    def load(self) -> None:
        """Read the certificates; ``ProtectionError`` if the node cannot start with them."""
        if self._config.tls is None:
            return
        try:
            from dkv.node.tls_watch import TlsWatch  # only here: a node without TLS runs without OpenSSL
        except ImportError as error:
            raise ProtectionError(
                f"the section [tls] needs packages that are not installed ({error}): install dkv with its extra tls"
            ) from None
        tls = TlsWatch(self._owner, self._config.tls, self._config.cluster, self._node)
        tls.begin(self.watch(TLS, tls.paths, tls.load, tls.adopt, [self._config.tls.key_of(self._node)]))
        self._tls, self.security = tls, tls.policy

    def watch(
        self,
        kind: str,
        paths: Sequence[str],
        load: Callable[[], Loaded],
        apply: Callable[[Loaded], None],
        secrets: Sequence[str] | None = None,
    ) -> Loaded:
        """What ``load`` reads from ``paths``, which are read again when they change: then ``apply`` gets it.

        ``load`` runs on a thread, and ``apply`` in the reactor's turn. If ``load`` fails, what it read before stays in
        force, and the log, readyz and the metrics say why. Its error must be one line. ``ProtectionError`` if that
        happens now. Nobody else on the machine should be able to read the ``secrets``, which are all of ``paths``
        unless it is said.
        """
        secrets = paths if secrets is None else secrets

        def take_over(loaded: Loaded) -> None:
            apply(loaded)
            self._log.info("credentials_taken_over", kind=kind)

        def complain(reason: str) -> None:
            self._log.error("credentials_refused", kind=kind, reason=reason, in_force="what was read before")

        watched = WatchedFiles(self._owner.reactor, paths, load, take_over, complain, secrets=secrets)
        try:
            loaded = watched.first()
        except Exception as error:  # whatever is wrong with a file: the operator has to read it
            raise ProtectionError(str(error) or type(error).__name__) from None
        self._watched[kind] = watched
        if self._running:
            watched.start()
        return loaded

    def start(self) -> None:
        """Look for changes from now on, and at once when the process gets a SIGHUP."""
        self._running = True
        self._owner.obey_hangup(self.look)
        for watched in self._watched.values():
            watched.start()
        if self._tls is not None:
            self._tls.start()

    def stop(self) -> None:
        """Look no more, and end the handshakes that are under way."""
        self._running = False
        for watched in self._watched.values():
            watched.stop()
        if self._tls is not None:
            self._tls.stop()

    def look(self) -> None:
        """Look for changes now."""
        for watched in self._watched.values():
            watched.look()

    def cautions(self) -> Iterable[Caution]:
        """What an operator should mend although the node serves."""
        for kind, watched in self._watched.items():
            if watched.trouble is not None:
                yield Caution("credentials", f"{kind}: {watched.trouble}; what was read before is in force")
        if self._tls is not None:
            yield from self._tls.cautions()

    def readable(self) -> Iterable[str]:
        """The files of secrets that every user of the machine may read."""
        return (path for watched in self._watched.values() for path in watched.readable)

    def metrics(self) -> Iterable[Metric]:
        """What is measured of it."""
        if self._watched:
            help = "Whether a file lies there that cannot be used, so that what was read before is in force"
            refused = {kind: float(watched.trouble is not None) for kind, watched in self._watched.items()}
            yield labelled(GaugeMetricFamily("dkv_credentials_refused", help, labels=["kind"]), refused)
        if self._tls is not None:
            yield from self._tls.metrics()
