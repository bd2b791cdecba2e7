"""The Twisted service of one node: opens the directory, builds the node, listens, and ends the process if it must."""

from __future__ import annotations

import atexit
import os
import time
from functools import partial
from random import SystemRandom
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import inlineCallbacks

from dkv import noted
from dkv.actor import CLIENTS, COMPARISON, ELECTOR, GATEWAY, HOST, PUBSUB, Address, Fenced
from dkv.client_events import Posted, PublishHere
from dkv.config.config import Config, Member
from dkv.configurations import Configurations
from dkv.console.admin import admin_site
from dkv.console.client_session import ClientSession
from dkv.console.client_transaction import GatheredBytes
from dkv.console.inspection import Inspection
from dkv.console.member_view import MemberView
from dkv.console.notes import Notes
from dkv.console.surroundings import Surroundings
from dkv.host.held_store import HeldStore
from dkv.host.host import Host
from dkv.host.seams import Clock
from dkv.identity import Acquaintance, Identity
from dkv.net.acquaintances import hello_of
from dkv.net.clients import Clients, ToGateway
from dkv.net.door import Door
from dkv.net.lookups import Lookups
from dkv.net.mesh import Mesh
from dkv.net.sending import SenderOf, by_write
from dkv.node import foreign, logs
from dkv.node.address_book import AddressBook
from dkv.node.assembly import add_actors
from dkv.node.backups import NodeBackups
from dkv.node.build import build_labels
from dkv.node.departure import Departure
from dkv.node.disk_watch import DiskWatch
from dkv.node.erased_space import ErasedSpace
from dkv.node.file_sizes import FileSizes
from dkv.node.key_count import KeyCount
from dkv.node.notify import notify
from dkv.node.options import FENCED_STATUS, USAGE_STATUS, Options
from dkv.node.process import Launch, daemonize, obey_signals
from dkv.node.sentinel_news import SentinelNews
from dkv.node.tuning import connections_allowed, fast_or_plain, switch_quickly_and_collect_rarely
from dkv.storage.data_directory import (
    DirectoryError,
    DirectoryFenced,
    DirectoryUnfit,
    load_configurations,
    load_members,
    open_directory,
)
from dkv.storage.fence import FENCED_ADVICE, write_fence
from dkv.storage.guard import PRIVATE_UMASK, narrow
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.lives import votes_of
from dkv.storage.log_check import check_frame, check_log
from dkv.storage.room import Reserve, make_room, room_of
from dkv.storage.state_directories import StateDirectories
from dkv.storage.store import StoreFailed
from dkv.wire.codec import Hello

__all__ = ["NodeService", "Options", "makeService"]

RANDOM_BITS = 63
"""How large the numbers are by which RANDOMKEY finds a key."""

_STATUS: dict[type[Exception], int] = {DirectoryUnfit: USAGE_STATUS, DirectoryFenced: FENCED_STATUS}
"""The exit status of a start that finds its directory in this state; it is 1 for all others."""


class NodeService(MultiService):
    """One node. ``launch`` is told that it serves, and ends the process of one that cannot go on.

    ``clock`` is the host's, the reactor itself unless given; ``sender_of`` says how connections send.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        member: Member,
        directory: str,
        launch: Launch,
        clock: Clock | None = None,
        sender_of: SenderOf = by_write,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's services have no annotations
        self._reactor = reactor
        self._clock: Clock = reactor if clock is None else clock
        self._sender_of = sender_of
        self._config = config
        self._member = member
        self._directory = directory
        self._address_book = AddressBook(config, member.id)
        self._config_difference: str | None = None
        self._launch = launch
        self._log = logs.get_logger(member.id, "service")
        self._notes = Notes(lambda actor: logs.get_logger(member.id, actor), config.mode)
        self._peer_door = Door(reactor, member.peer.bind)
        self._admin_door = Door(reactor, member.admin.bind) if member.admin is not None else None
        self._client_door = Door(reactor, member.client.bind)
        self._store: LevelDBStore | None = None
        self._states: StateDirectories | None = None
        self._running = False

    # --- start ---

    @inlineCallbacks
    def startService(self) -> Any:  # noqa: N802 - Twisted's name
        """Bind all ports; then open the directory, build the node, open the doors and take part.

        A second start of the same node fails at its ports, before it has touched the directory. Clients and peers that
        connect meanwhile are served when the node is built (``Door``).
        """
        super().startService()  # type: ignore[no-untyped-call]  # as above
        connections_max = connections_allowed(self._config, self._log)
        try:
            yield self._peer_door.bind()
            if self._admin_door is not None:
                yield self._admin_door.bind()
            yield self._client_door.bind()
        except Exception as error:  # An endpoint may raise anything; the operator must read what is wrong.
            yield self._close_doors()
            self._fail_to_start(f"cannot listen: {error}")
            return
        try:
            self._open(connections_max)
        except Exception as error:  # A mistake of ours: a Deferred would keep it, and the ports, to itself.
            self._fail("the node failed at its start", error)

    def _open(self, connections_max: int) -> None:
        """Open the directory and run the node on it; or end the process, and say why."""
        os.umask(PRIVATE_UMASK)
        freed = make_room(self._directory)
        if freed:
            self._notes.note(HOST, noted.reserve_given_up, free_bytes=freed)
        try:
            members = [member.id for member in self._config.members]
            self._store, self._states, identity = open_directory(
                self._directory, self._config.cluster, self._member.id, self._reactor.callFromThread, members
            )
            self._mention(narrow(self._directory))
            facts = check_log(self._store, self._states.current)
            check_frame(facts, self._config.limits.frame_bytes_max)
            known = load_members(self._store)
            votes = votes_of(self._store)
        except (DirectoryError, StoreFailed) as error:
            self._fail_to_start(str(error), _STATUS.get(type(error), 1))
            return
        hello = hello_of(identity, self._config.mode, self._config.limits.frame_bytes_max, votes)
        self._build(identity, hello, known, connections_max)
        self._run(identity)

    def _mention(self, opened: str | None) -> None:
        if opened is not None:
            self._log.warning("directory_was_open", directory=os.path.abspath(self._directory), reason=opened)

    def _build(self, identity: Identity, hello: Hello, known: dict[int, Acquaintance], connections_max: int) -> None:
        config, node = self._config, identity.node
        assert self._store is not None and self._states is not None
        chance = SystemRandom()
        held, applied = load_configurations(self._states.current, identity)
        self._held = HeldStore(self._store, self._reactor) if config.allow_faults else None
        self._host = Host(
            node,
            clock=self._clock,
            wall_clock=lambda: max(0, time.time_ns() // 1_000_000),  # a number that messages can carry
            store=self._store if self._held is None else self._held,
            generations=self._states,
            random=chance,
            limits=config.limits,
            timings=config.timings,
            note=self._notes.note,
            fail=self._fail,
        )
        gathered = GatheredBytes(config.limits.node_inflight_bytes_max)
        draw = partial(chance.getrandbits, RANDOM_BITS)
        self._clients = Clients(
            self._reactor,
            config.limits,
            connections_max,
            self._from_clients,
            self._host.wake,
            lambda connection, peer: ClientSession(connection, peer, config.limits, self._inspection, gathered, draw),
            logs.get_logger(node, CLIENTS),
            config.timings.idle_seconds_max,
            self._sender_of,
        )
        self._mesh = Mesh(
            self._reactor,
            hello,
            self._peer_door,
            self._address_book.peers(held, applied),
            known,
            config.limits,
            config.timings,
            self._host,
            logs.get_logger(node, "mesh"),
            self._sender_of,
        )
        self._inspection = Inspection(
            identity,
            config,
            self._host,
            self._mesh,
            self._clients,
            self._notes,
            self._reactor.seconds,
            self._surroundings(identity, self._states),
            MemberView(identity, held, applied, self._address_book, self._mesh.acquaintances.incarnation),
        )
        self._machine = add_actors(
            self._host.add,
            identity,
            held,
            config.limits,
            config.timings,
            self._clients,
            mode=config.mode,
            hints=self._address_book.hints,
            tell_members=self._members_are,
        )
        self._members_are(held, applied)
        self._host.add(COMPARISON, self._inspection.comparison)
        self._departure = Departure(self._reactor, node, self._host.deliver)
        self._notes.add(self._departure.takers)
        self._host.connect(self._mesh, self._clients)

    def _from_clients(self, message: ToGateway | Posted) -> None:
        to = PUBSUB if isinstance(message, Posted) else GATEWAY
        self._host.deliver(to, Address(self._member.id, CLIENTS), message)

    def _publish_here(self, news: PublishHere) -> None:
        self._host.deliver(PUBSUB, Address(self._member.id, HOST), news)

    def _members_are(self, held: Configurations, applied: int) -> None:
        book = self._address_book
        self._mesh.members_are(held, applied, book.peers(held, applied), book.clients(held, applied))
        difference = book.difference(held, applied)
        if difference not in (None, self._config_difference):
            self._log.warning("config_differs", reason=difference)
        self._config_difference = difference

    def _surroundings(self, identity: Identity, states: StateDirectories) -> Surroundings:
        self._key_count = KeyCount(
            self._reactor, lambda: states.current, self._is_short_of_space, self._host.store_failed
        )
        self._backups = NodeBackups(self._reactor, identity, lambda: states.current, self._host.store_failed)
        sizes = FileSizes(self._directory, self._reactor.seconds)
        self._disk_watch = DiskWatch(
            self._reactor,
            self._config.limits,
            self._config.timings.stuck_disk_seconds,
            lambda: room_of(self._directory),
            Reserve(self._directory),
            lambda: self._host.commit_seconds,
            lambda measured: self._host.deliver(ELECTOR, Address(self._member.id, HOST), measured),
            self._notes.note,
        )
        store = self._store
        assert store is not None
        self._erased_space = ErasedSpace(
            self._reactor,
            lambda: [store, states.current],
            self._is_short_of_space,
        )
        return Surroundings(
            build_labels(),
            logs.lines_dropped,
            sizes,
            lambda: self._key_count.counted,
            self._disk_watch,
            self._backups,
            lambda: self._machine,
            self._held,
        )

    def _is_short_of_space(self) -> bool:
        measured = self._disk_watch.measured
        return measured is not None and measured.short

    def _run(self, identity: Identity) -> None:
        self._running = True
        if self._admin_door is not None:
            self._admin_door.open(admin_site(self._inspection))
        self._client_door.open(self._clients)
        self._host.start()
        self._disk_watch.start()
        self._erased_space.start()
        self._key_count.start()
        self._news = SentinelNews(self._reactor, self._inspection.sentinel, self._publish_here)
        self._news.start()
        self._mesh.setServiceParent(self)  # type: ignore[no-untyped-call]  # as above
        self._log.info(
            "started",
            cluster=identity.cluster,
            mode=self._config.mode,
            boot=identity.boot,
            directory=os.path.abspath(self._directory),
            clients=self._member.client.bind,
            peers=self._member.peer.bind,
            admin=self._member.admin.bind if self._member.admin is not None else None,
        )
        if self._config.allow_faults:
            self._log.warning("faults_allowed", reason="allow_faults = true in the config file: not for production")
        notify("READY=1")
        self._launch.started()

    # --- stop ---

    @inlineCallbacks
    def stopService(self) -> Any:  # noqa: N802 - Twisted's name
        """Give the lead away, and answer what is under way for ``drain_seconds`` at most; then close everything."""
        notify("STOPPING=1")
        timings = self._config.timings
        if self._running:
            yield self._news.leave()
            yield self._departure.begin(min(timings.election_seconds_max, timings.drain_seconds))
        yield self._client_door.close()
        if self._running:
            yield self._clients.drain(timings.drain_seconds)
        yield self._close_doors()
        yield super().stopService()  # type: ignore[no-untyped-call]  # as above
        if self._running:
            self._disk_watch.stop()
            self._erased_space.stop()
            self._key_count.stop()
            self._news.stop()
            self._backups.stop()
            self._host.stop()
        if self._states is not None:
            self._states.close()
        if self._store is not None:
            self._store.close()
        self._log.info("stopped")

    @inlineCallbacks
    def _close_doors(self) -> Any:
        for door in (self._client_door, self._admin_door, self._peer_door):
            if door is not None:
                yield door.close()

    # --- failure ---

    def _fail_to_start(self, reason: str, status: int = 1) -> None:
        """One clear line, and a status that tells."""
        self._log.error("cannot_start", reason=reason)
        self._end(f"dkvnode: {reason}", status)

    def _fail(self, reason: str, error: BaseException) -> None:
        """The host has stopped: end the process now, for what is in memory may not be what the disk holds."""
        if isinstance(error, Fenced):
            self._end_for_good(str(error))
            return
        trace = None if isinstance(error, StoreFailed) else error  # of a disk that fails it would say nothing
        self._log.critical("node_failed", reason=reason, error=str(error), exc_info=trace)
        self._end(f"dkvnode: {reason}: {error}")

    def _end_for_good(self, reason: str) -> None:
        """Fence the directory. If that fails, the next start runs until it meets the same reason again."""
        self._log.critical("fenced", reason=reason)
        assert self._store is not None
        try:
            write_fence(self._store.commit_now, reason)
        except Exception as error:  # A full disk, one that hangs, no memory for a thread: the process ends anyway.
            self._log.critical("fence_not_written", error=str(error))
        self._end(f"dkvnode: fenced: {reason}. {FENCED_ADVICE}", FENCED_STATUS)

    def _end(self, line: str, status: int = 1) -> None:
        self._launch.end(status, line)


def makeService(options: Options) -> NodeService:  # noqa: N802 - the name that twistd looks for
    """The service of the node that the command line names. The only function that imports the reactor."""
    teller = daemonize(options.log_path) if options.daemon else None  # first of all: threads do not survive it
    launch = Launch(options.log.flush, options.pidfile, teller)
    from twisted.internet import reactor

    options.log.start()
    atexit.register(options.log.flush)
    foreign.take_over(lambda error: launch.end(1, f"dkvnode: {error or type(error).__name__}"))
    log = logs.get_logger(options.member.id, "service")
    obey_signals(reactor, options.log.reopen, lambda name: log.info("stopping", signal=name))
    # Timers must not follow the wall clock: a step of an hour would fire them all, or freeze them for an hour.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]  # Twisted means it to be replaced
    reactor.installNameResolver(Lookups(reactor))  # type: ignore[attr-defined]  # the reactor is a module to mypy
    switch_quickly_and_collect_rarely()
    clock, sender_of = fast_or_plain(reactor, options.config, log)
    return NodeService(reactor, options.config, options.member, options.data_directory, launch, clock, sender_of)
