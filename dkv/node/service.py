"""The Twisted service of one node, and the one that ``twistd dkvnode`` runs."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure

from dkv.config.config import Config, Member
from dkv.node.moment import Moment
from dkv.node.options import Options
from dkv.node.own_process import take_over
from dkv.node.owner import NodeFailed, Owner
from dkv.node.process import Launch, daemonize
from dkv.node.running import RunningNode

__all__ = ["NodeService", "Options", "makeService"]

STOPPED = NodeFailed(0, "the node was stopped before it served")


class NodeService(Service):
    """Runs ``member`` of ``config`` on ``directory`` whenever it is started, for ``owner``.

    Between ``startService`` and the Deferred of ``stopService`` it has ports, connections, threads and the directory;
    before and after that it has nothing.
    """

    def __init__(self, owner: Owner, config: Config, member: Member, directory: str) -> None:
        self._owner = owner
        self._config = config
        self._member = member
        self._directory = directory
        self._node: RunningNode | None = None
        self._started: Moment[NodeService] = Moment()
        self._failed: Moment[NodeFailed] = Moment()

    @inlineCallbacks
    def startService(self) -> Any:  # noqa: N802 - Twisted's name
        """Start the node, unless it runs. The Deferred fires when it serves or has failed: ``whenStarted`` tells."""
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's services have no annotations
        before = self._node
        if before is not None and not before.is_closing:
            return  # It runs.
        node = self._node = RunningNode(self._owner, self._config, self._member, self._directory, before)
        if self._started.has_come:
            self._started = Moment()
        if self._failed.has_come:
            self._failed = Moment()
        started, failed = self._started, self._failed
        node.serves.wait().addCallback(lambda _: started.come(self))
        node.failed.wait().addCallback(failed.come)
        failed.wait().addCallback(lambda error: started.come(_failure(error)))
        node.closed.wait().addCallback(lambda _: started.come(_failure(node.failure or STOPPED)))
        yield node.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - as above
        """Give the lead away, answer what is under way for ``drain_seconds`` at most, and close everything.

        Fires when nothing of the node is left in the program.
        """
        super().stopService()  # type: ignore[no-untyped-call]  # as above
        assert self._node is not None, "it was started"
        return self._node.stop()

    def whenStarted(self) -> Deferred[NodeService]:  # noqa: N802 - named as Twisted would
        """Fires with this service when the node serves clients; fails with ``NodeFailed`` if it cannot, or is stopped
        before."""
        return self._started.wait()

    def whenFailed(self) -> Deferred[NodeFailed]:  # noqa: N802 - as above
        """Fires with a ``NodeFailed`` when the node has failed and is closed; never if it is stopped before."""
        return self._failed.wait()


def _failure(error: NodeFailed) -> Failure:
    return Failure(error)  # type: ignore[no-untyped-call]  # as above


def makeService(options: Options) -> NodeService:  # noqa: N802 - the name that twistd looks for
    """The service of the node that the command line names, in a process of its own."""
    teller = daemonize(options.log_path) if options.daemon else None  # first of all: threads do not survive it
    launch = Launch(options.log.flush, options.pidfile, teller)
    owner = take_over(the_reactor(), options, launch)
    return NodeService(owner, options.config, options.member, options.data_directory)


def the_reactor() -> Any:
    """Twisted's reactor of this process. The only function that imports it."""
    from twisted.internet import reactor

    return reactor
