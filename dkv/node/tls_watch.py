"""TLS in one run of a node: its certificates, what they are about to become, and who was not let in."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from dkv.config.tls_settings import TlsSettings
from dkv.console.cautions import Caution
from dkv.console.metric_families import counter, labelled
from dkv.host.seams import Call
from dkv.net.once_log import OnceLog
from dkv.net.securing import PEERS, handshakes_allowed
from dkv.net.throttled_log import ThrottledLog
from dkv.node.owner import Owner
from dkv.tls.credentials import Credentials, CredentialsError, files_of, load_credentials
from dkv.tls.policy import TlsPolicy

REMIND_SECONDS = 86_400.0
"""How often the log says what is about to expire."""


class TlsWatch:
    """Owns the policy of node ``node``, and replaces its credentials."""

    policy: TlsPolicy

    def __init__(self, owner: Owner, settings: TlsSettings, cluster: str, node: int) -> None:
        self.paths = files_of(settings, node)
        """The files that are read."""
        self._owner = owner
        self._settings = settings
        self._cluster = cluster
        self._node = node
        self._log = owner.get_logger("tls")
        self._throttled = ThrottledLog(owner.reactor, self._log)
        self._once = OnceLog(owner.reactor, self._log)
        self._reminder: Call | None = None
        self._in_force: Credentials | None = None

    def load(self) -> Credentials:
        """Read the files, on any thread.

        A node starts with a certificate that has expired, but does not replace a good one by it: its peers would refuse
        it from then on.
        """
        credentials = load_credentials(self._settings, self._node, self._cluster)
        in_force = self._in_force
        if in_force is not None and credentials.has_expired and not in_force.has_expired:
            path = self._settings.certificate_of(self._node)
            raise CredentialsError(f"the certificate in {path} has expired, and the one in force has not")
        return credentials

    def begin(self, credentials: Credentials) -> None:
        """These are the first ones."""
        self._in_force = credentials
        handshakes_max = handshakes_allowed(self._owner.descriptors())
        self.policy = TlsPolicy(self._owner.reactor, credentials, self._refused, handshakes_max, self._admitted)

    def start(self) -> None:
        """Say what is about to expire, now and once a day."""
        self._remind()

    def stop(self) -> None:
        """End handshakes that are under way, and say no more."""
        if self._reminder is not None and self._reminder.active():
            self._reminder.cancel()
        self.policy.stop()

    def adopt(self, credentials: Credentials) -> None:
        """These are in force from now on, for connections that begin; those that are there go on."""
        self._in_force = credentials
        self.policy.adopt(credentials)
        self._warn()

    def cautions(self) -> Iterable[Caution]:
        """What is wrong with the certificates that are in force."""
        credentials = self.policy.credentials
        return [Caution("tls", text) for text in (*credentials.warnings, *credentials.expiring())]

    def metrics(self) -> Iterable[Metric]:
        """Days until something expires, and who was not let in."""
        help = "Days until the first one of the kind expires; below 0 it has"
        days = self.policy.credentials.expire_days()
        yield labelled(GaugeMetricFamily("dkv_credentials_expire_days", help, labels=["kind"]), days)
        help = "Connections that were not let in, since they did not speak TLS or their certificate was refused"
        yield counter("dkv_tls_refused", help, self.policy.refusals)

    def _remind(self) -> None:
        self._reminder = self._owner.reactor.callLater(REMIND_SECONDS, self._remind)
        self._warn()

    def _warn(self) -> None:
        for caution in self.cautions():
            self._log.warning("credentials_need_care", reason=caution.text)

    def _refused(self, port: str, address: str, reason: str) -> None:
        """Peers dial again every second, for days: they are told of once."""
        if port == PEERS:
            host = _host_of(address)
            self._once.warn((host, None, reason), "tls_refused", port=port, peer=host, reason=reason)
        else:
            self._throttled.warning("tls_refused", port=port, peer=address, reason=reason)

    def _admitted(self, port: str, address: str) -> None:
        """What was wrong with a peer is mended: when it happens again, in a year, it is news."""
        if port == PEERS:
            self._once.forget(_host_of(address))


def _host_of(address: str) -> str:
    return address.rpartition(":")[0]
