"""One run of a node, from its start to its end: it binds its ports, opens the directory, takes part, and closes all."""

from __future__ import annotations

import os
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks

from dkv import noted
from dkv.actor import HOST, Fenced
from dkv.config.config import Config, Member
from dkv.console.admin import admin_site
from dkv.console.admin_channel import AdminSite
from dkv.console.notes import Notes
from dkv.node.admin_access import AdminAccess
from dkv.node.built_node import BuiltNode, OpenDirectory
from dkv.node.doors import ADMIN, ADMIN_TLS, PEER, Doors, listened_on
from dkv.node.exposed import Exposed
from dkv.node.moment import Moment
from dkv.node.node_users import NodeUsers
from dkv.node.options import FENCED_STATUS, USAGE_STATUS
from dkv.node.owner import NodeFailed, Owner
from dkv.node.peer_identity import PeerIdentity, peer_identity
from dkv.node.protection import Protection, ProtectionError
from dkv.node.tuning import connections_allowed
from dkv.storage.data_directory import (
    DirectoryError,
    DirectoryFenced,
    DirectoryUnfit,
    load_members,
    open_directory,
)
from dkv.storage.fence import FENCED_ADVICE, write_fence
from dkv.storage.guard import can_be_entered, narrow
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.lives import votes_of
from dkv.storage.log_check import check_frame, check_log
from dkv.storage.room import make_room
from dkv.storage.state_directories import StateDirectories
from dkv.storage.store import StoreFailed

CLOSING_SECONDS = 5.0
"""How long the owner of a node that has failed waits to hear of it, where the disk keeps the directory from closing."""

_STATUS: dict[type[Exception], int] = {
    DirectoryUnfit: USAGE_STATUS,
    DirectoryFenced: FENCED_STATUS,
}
"""The exit status of a start that finds its directory or files in this state; it is 1 for all others."""


class RunningNode:
    """Runs ``member`` of ``config`` once, for ``owner``, when the run ``before`` is closed.

    ``serves`` comes when it serves, ``failed`` when it could not start or go on. ``closed`` comes in any case, when
    nothing of it is left.
    """

    def __init__(
        self, owner: Owner, config: Config, member: Member, directory: str, before: RunningNode | None = None
    ) -> None:
        reactor = owner.reactor
        self.serves: Moment[None] = Moment()
        self.failed: Moment[NodeFailed] = Moment()
        self.closed: Moment[None] = Moment()
        self._owner = owner
        self._before = before
        self._entered = False
        self._config = config
        self._member = member
        self._directory = directory
        self._log = owner.get_logger("service")
        self._notes = Notes(owner.get_logger, config.mode)
        self._doors = Doors(reactor, member)
        self._protection = Protection(owner, config, member.id)
        self._admin_access = AdminAccess(config)
        self._sites: dict[str, AdminSite] = {}  # for operators, by port
        self._store: LevelDBStore | None = None
        self._states: StateDirectories | None = None
        self._built: BuiltNode | None = None
        self.failure: NodeFailed | None = None
        """Why it could not start or go on."""
        self._fence = ""  # why the directory must be fenced, until it is
        self._closing = False
        self._storage_closes = False

    @property
    def is_closing(self) -> bool:
        """Whether it was asked to stop, or has failed: it closes what it has, or is closed."""
        return self._closing

    # --- start ---

    @inlineCallbacks
    def start(self) -> Any:
        """Bind all ports; then open the directory, build the node, open the doors and take part.

        A second start of the same node fails at its ports, before it has touched the directory. Clients and peers that
        connect meanwhile are served when the node is built (``Door``). The Deferred fires when that is done or has
        failed; it does not fail itself.
        """
        yield self._wait_for_run_before()
        if self._closing:
            return
        try:
            self._entered = True
            self._owner.enter()
            self._protection.load()
            self._admin_access.load(self._protection)
            identity = peer_identity(self._config, self._protection)
            users = NodeUsers(self._owner, self._config, self._protection)
            connections_max = connections_allowed(self._config, self._owner.descriptors(), self._log)
            yield self._doors.bind()
        except ProtectionError as error:
            self._fail_to_start(str(error))
            return
        except Exception as error:  # An endpoint may raise anything; the operator must read what is wrong.
            yield self._doors.close()
            self._fail_to_start(f"cannot listen: {error}")
            return
        if self._closing:
            yield self._doors.close()
            return  # It was asked to stop while it looked up where to listen.
        try:
            self._open(connections_max, identity, users)
        except Exception as error:  # A mistake of ours: a Deferred would keep it, and the ports, to itself.
            self._fail("the node failed at its start", error)

    @inlineCallbacks
    def _wait_for_run_before(self) -> Any:
        if self._before is not None:
            yield self._before.closed.wait()
            self._before = None  # or each run would keep all those before it

    def _open(self, connections_max: int, identity: PeerIdentity, users: NodeUsers) -> None:
        """Open the directory and run the node on it; or end it, and say why."""
        freed = make_room(self._directory)
        if freed:
            self._notes.note(HOST, noted.reserve_given_up, free_bytes=freed)
        try:
            directory = self._open_directory()
        except (DirectoryError, StoreFailed) as error:
            self._fail_to_start(str(error), _STATUS.get(type(error), 1))
            return
        self._built = BuiltNode(
            *(self._owner, self._config, directory, self._notes, self._doors.peers, connections_max, identity),
            self._fail,
            self._protection,
            users,
        )
        self._run(self._built, directory, users)

    def _open_directory(self) -> OpenDirectory:
        members = [member.id for member in self._config.members]
        self._store, self._states, identity = open_directory(
            self._directory, self._config.cluster, self._member.id, self._from_storage, members
        )
        self._narrow()
        facts = check_log(self._store, self._states.current)
        check_frame(facts, self._config.limits.frame_bytes_max)
        known = load_members(self._store)
        return OpenDirectory(self._directory, self._store, self._states, identity, known, votes_of(self._store))

    def _narrow(self) -> None:
        """Close the directory to other users. In a program that has another umask, new files are not closed by
        themselves: that is no news as long as nobody gets to them."""
        news = self._owner.is_own or can_be_entered(self._directory)
        opened = narrow(self._directory)
        if opened is not None and news:
            self._log.warning("directory_was_open", directory=os.path.abspath(self._directory), reason=opened)

    def _from_storage(self, call: Any, *arguments: Any) -> None:
        self._owner.reactor.callFromThread(self._unless_it_closes, call, *arguments)

    def _unless_it_closes(self, call: Any, *arguments: Any) -> None:
        if not self._storage_closes:
            call(*arguments)

    def _run(self, built: BuiltNode, directory: OpenDirectory, users: NodeUsers) -> None:
        security = self._protection.security
        for name, endpoint in self._member.endpoints().items():
            if name in (ADMIN, ADMIN_TLS):
                guard = self._admin_access.guard(name, endpoint, lambda: users.in_force)
                self._sites[name] = admin_site(built.inspection, self._owner.reactor, guard)
                self._doors.open(name, self._sites[name], security)
            elif name != PEER:
                self._doors.open(name, built.clients, security)
        exposed = Exposed(self._config, self._member, lambda: users.in_force, self._protection.readable)
        built.inspection.cautions.append(exposed.cautions)
        built.start()
        if self.failure is not None:
            return
        member, identity = self._member, directory.identity
        self._log.info(
            "started",
            cluster=identity.cluster,
            mode=self._config.mode,
            boot=identity.boot,
            directory=os.path.abspath(self._directory),
            **listened_on(member),
        )
        self._protection.start()
        if self._config.allow_faults:
            self._log.warning("faults_allowed", reason="allow_faults = true in the config file: not for production")
        exposed.tell(self._log)
        self._owner.started()
        self.serves.come(None)

    # --- stop ---

    def stop(self) -> Deferred[None]:
        """Give the lead away, and answer what is under way for ``drain_seconds`` at most; then close everything.

        Fires when all is closed: ports, connections, threads, the directory and its locks.
        """
        if not self._closing:
            self._owner.stopping()
            self._close()
        return self.closed.wait()

    def _close(self) -> None:
        self._closing = True
        done: Deferred[Any] = self._close_in_order()
        done.addErrback(lambda failure: self._log.critical("not_closed", exc_info=failure.value))
        done.addCallback(lambda _: self._left())

    @inlineCallbacks
    def _close_in_order(self) -> Any:
        yield self._wait_for_run_before()
        built, timings = self._built, self._config.timings
        if self.failure is not None:
            yield self._next_turn()  # who has met the failure may still be at work
        if built is not None and self.failure is None:
            yield built.news.leave()
        if built is not None and self.failure is None:
            yield built.departure.begin(min(timings.election_seconds_max, timings.drain_seconds))
        yield self._doors.close_to_clients()
        self._protection.stop()
        if built is not None:
            yield built.clients.drain(timings.drain_seconds) if self.failure is None else built.clients.abort()
        yield self._doors.close()
        if built is not None:
            if built.mesh.running:
                yield built.mesh.stopService()
            self._protection.stop()  # once more: peers and operators may have begun a handshake since
            for site in self._sites.values():
                yield site.abort()
            built.stop()
        yield self._close_storage()
        if self.failure is None:
            self._log.info("stopped")

    def _next_turn(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._owner.reactor.callFromThread(turn.callback, None)
        return turn

    def _left(self) -> None:
        if self._entered:
            self._owner.leave()
        self.closed.come(None)
        if self.failure is not None:
            self.failed.come(self.failure)

    def _close_storage(self) -> Deferred[None]:
        """Close the directory on a thread of its own, since it waits for commits that are under way, and release it."""
        closed: Deferred[None] = Deferred()
        store, states = self._store, self._states
        self._storage_closes = True
        if store is None:
            closed.callback(None)
            return closed

        def work() -> None:
            trouble = self._write_fence(store)
            if states is not None:
                states.close()
            store.close()
            self._owner.reactor.callFromThread(done, trouble)

        def done(trouble: Exception | None) -> None:
            thread.join()
            self._tell_unwritten(trouble)
            closed.callback(None)

        thread = Thread(target=work, name="dkv-close", daemon=True)
        thread.start()
        return closed

    # --- failure ---

    def _fail_to_start(self, reason: str, status: int = 1) -> None:
        """One clear line, and a status that tells."""
        self._log.error("cannot_start", reason=reason)
        self._end(reason, status)

    def _fail(self, reason: str, error: BaseException) -> None:
        """The host has stopped: end the node now, for what is in memory may not be what the disk holds."""
        if isinstance(error, Fenced):
            self._end_for_good(str(error))
            return
        trace = None if isinstance(error, StoreFailed) else error  # of a disk that fails it would say nothing
        self._log.critical("node_failed", reason=reason, error=str(error), exc_info=trace)
        self._end(f"{reason}: {error}")

    def _end_for_good(self, reason: str) -> None:
        """Fence the directory. If that fails, the next start runs until it meets the same reason again."""
        self._log.critical("fenced", reason=reason)
        self._fence = reason
        if self._owner.is_own and self._store is not None:
            self._tell_unwritten(self._write_fence(self._store))
        self._end(f"fenced: {reason}. {FENCED_ADVICE}", FENCED_STATUS)

    def _write_fence(self, store: LevelDBStore) -> Exception | None:
        """Write the fence if there is one to write: before the process ends, or on the thread that closes the store.
        The result is why it could not be written."""
        reason, self._fence = self._fence, ""
        try:
            if reason:
                write_fence(store.commit_now, reason)
        except Exception as error:  # A full disk, one that hangs, no memory for a thread: the node ends anyway.
            return error
        return None

    def _tell_unwritten(self, trouble: Exception | None) -> None:
        if trouble is not None:
            self._log.critical("fence_not_written", error=str(trouble))

    def _end(self, reason: str, status: int = 1) -> None:
        """The node is over. What is on its way out is dropped, in this moment: nothing may be said any more that rests
        on what the disk may not hold."""
        if self.failure is not None:
            return
        self.failure = NodeFailed(status, reason)
        self._owner.ended(status, f"dkvnode: {reason}")
        if self._built is not None:
            self._built.cut_off()
        self._protection.stop()
        self._doors.close()
        self._owner.reactor.callLater(CLOSING_SECONDS, self.failed.come, self.failure)
        if not self._closing:
            self._close()
