"""The parts of a node that runs on an open directory, put together: the host and its actors, both ports, and what looks
after the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import SystemRandom
from typing import NamedTuple

from dkv.actor import CLIENTS, COMPARISON, ELECTOR, GATEWAY, HOST, PUBSUB, Address
from dkv.client_events import Posted, PublishHere
from dkv.config.config import Config
from dkv.configurations import Configurations
from dkv.console.client_session import ClientSession
from dkv.console.client_transaction import GatheredBytes
from dkv.console.inspection import Inspection
from dkv.console.member_view import MemberView
from dkv.console.notes import Notes
from dkv.console.surroundings import Surroundings
from dkv.host.held_store import HeldStore
from dkv.host.host import Host
from dkv.identity import Acquaintance, Identity, Votes
from dkv.net.acquaintances import hello_of
from dkv.net.clients import Clients, ToGateway
from dkv.net.door import Door
from dkv.net.mesh import Mesh
from dkv.node.address_book import AddressBook
from dkv.node.assembly import add_actors
from dkv.node.backups import NodeBackups
from dkv.node.build import build_labels
from dkv.node.departure import Departure
from dkv.node.disk_watch import DiskWatch
from dkv.node.erased_space import ErasedSpace
from dkv.node.file_sizes import FileSizes
from dkv.node.key_count import KeyCount
from dkv.node.node_users import NodeUsers
from dkv.node.owner import Owner
from dkv.node.peer_identity import PeerIdentity
from dkv.node.protection import Protection
from dkv.node.sentinel_news import SentinelNews
from dkv.storage.data_directory import load_configurations
from dkv.storage.leveldb import LevelDBStore
from dkv.storage.room import Reserve, room_of
from dkv.storage.state_directories import StateDirectories

RANDOM_BITS = 63
"""How large the numbers are by which RANDOMKEY finds a key."""


class OpenDirectory(NamedTuple):
    """A data directory that is open, and what it says of its node and of the members that it has met."""

    path: str
    store: LevelDBStore
    states: StateDirectories
    identity: Identity
    known: dict[int, Acquaintance]
    votes: Votes


class BuiltNode:
    """Built, and silent until ``start``. ``fail`` is the host's."""

    def __init__(
        self,
        owner: Owner,
        config: Config,
        directory: OpenDirectory,
        notes: Notes,
        peer_door: Door,
        connections_max: int,
        identity: PeerIdentity,
        fail: Callable[[str, BaseException], None],
        protection: Protection,
        users: NodeUsers,
    ) -> None:
        self._owner = owner
        self._protection = protection
        self._config = config
        self._directory = directory
        self._identity = directory.identity
        self._notes = notes
        self._log = owner.get_logger("service")
        self._address_book = AddressBook(config, directory.identity.node)
        self._config_difference: str | None = None
        self._chance = SystemRandom()
        self._peer_identity = identity
        self._users = users
        self._held = HeldStore(directory.store, owner.reactor) if config.allow_faults else None
        held, applied = load_configurations(directory.states.current, directory.identity)
        self.host = self._host(fail)
        self.clients = self._clients(connections_max)
        self._logins = users.serve(self.clients)
        self.mesh = self._mesh(peer_door, held, applied)
        self.inspection = self._inspection(held, applied)
        self.inspection.cautions += (protection.cautions, users.cautions)
        self.inspection.further_metrics.append(protection.metrics)
        self._add_actors(held, applied)
        self.departure = Departure(owner.reactor, self._identity.node, self.host.deliver)
        notes.add(self.departure.takers)
        self.news = SentinelNews(owner.reactor, self.inspection.sentinel, self._publish_here)
        self.host.connect(self.mesh, self.clients)

    # --- build ---

    def _host(self, fail: Callable[[str, BaseException], None]) -> Host:
        config, directory = self._config, self._directory
        return Host(
            self._identity.node,
            clock=self._owner.clock,
            wall_clock=lambda: max(0, time.time_ns() // 1_000_000),  # a number that messages can carry
            store=directory.store if self._held is None else self._held,
            generations=directory.states,
            random=self._chance,
            limits=config.limits,
            timings=config.timings,
            note=self._notes.note,
            fail=fail,
        )

    def _clients(self, connections_max: int) -> Clients:
        config = self._config
        gathered = GatheredBytes(config.limits.node_inflight_bytes_max)
        draw = partial(self._chance.getrandbits, RANDOM_BITS)

        def new_session(connection: int, peer: str) -> ClientSession:
            session = ClientSession(connection, peer, config.limits, self.inspection, gathered, draw)
            session.begin_as(self._logins.users)
            return session

        return Clients(
            self._owner.reactor,
            config.limits,
            connections_max,
            self._from_clients,
            self.host.wake,
            new_session,
            self._owner.get_logger(CLIENTS),
            config.timings.idle_seconds_max,
            self._owner.sender_of,
        )

    def _from_clients(self, message: ToGateway | Posted) -> None:
        to = PUBSUB if isinstance(message, Posted) else GATEWAY
        self.host.deliver(to, Address(self._identity.node, CLIENTS), message)

    def _publish_here(self, news: PublishHere) -> None:
        self.host.deliver(PUBSUB, Address(self._identity.node, HOST), news)

    def _mesh(self, door: Door, held: Configurations, applied: int) -> Mesh:
        config, directory = self._config, self._directory
        return Mesh(
            self._owner.reactor,
            hello_of(self._identity, config.mode, config.limits.frame_bytes_max, directory.votes),
            door,
            self._address_book.peers(held, applied),
            directory.known,
            config.limits,
            config.timings,
            self.host,
            self._owner.get_logger("mesh"),
            self._peer_identity.proofs,
            self._owner.sender_of,
            self._peer_identity.tls,
        )

    def _inspection(self, held: Configurations, applied: int) -> Inspection:
        return Inspection(
            self._identity,
            self._config,
            self.host,
            self.mesh,
            self.clients,
            self._notes,
            self._owner.reactor.seconds,
            self._surroundings(),
            MemberView(self._identity, held, applied, self._address_book, self.mesh.acquaintances.incarnation),
        )

    def _add_actors(self, held: Configurations, applied: int) -> None:
        self._machine = add_actors(
            self.host.add,
            self._identity,
            held,
            self._config.limits,
            self._config.timings,
            self.clients,
            mode=self._config.mode,
            hints=self._address_book.hints,
            tell_members=self._members_are,
        )
        self._members_are(held, applied)
        self.host.add(COMPARISON, self.inspection.comparison)

    def _members_are(self, held: Configurations, applied: int) -> None:
        book = self._address_book
        self.mesh.members_are(held, applied, book.peers(held, applied), book.clients(held, applied))
        difference = book.difference(held, applied)
        if difference not in (None, self._config_difference):
            self._log.warning("config_differs", reason=difference)
        self._config_difference = difference

    def _surroundings(self) -> Surroundings:
        owner, reactor, config = self._owner, self._owner.reactor, self._config
        path, store, states = self._directory.path, self._directory.store, self._directory.states
        self._key_count = KeyCount(reactor, lambda: states.current, self._is_short_of_space, self.host.store_failed)
        self._backups = NodeBackups(reactor, self._identity, lambda: states.current, self.host.store_failed)
        self._disk_watch = DiskWatch(
            reactor,
            config.limits,
            config.timings.stuck_disk_seconds,
            lambda: room_of(path),
            Reserve(path),
            lambda: self.host.commit_seconds,
            lambda measured: self.host.deliver(ELECTOR, Address(self._identity.node, HOST), measured),
            self._notes.note,
        )
        self._erased_space = ErasedSpace(reactor, lambda: [store, states.current], self._is_short_of_space)
        return Surroundings(
            build_labels(),
            lambda: owner.lines_dropped,
            FileSizes(path, reactor.seconds),
            lambda: self._key_count.counted,
            self._disk_watch,
            self._backups,
            lambda: self._machine,
            self._logins,
            self._held,
        )

    def _is_short_of_space(self) -> bool:
        measured = self._disk_watch.measured
        return measured is not None and measured.short

    # --- run ---

    def start(self) -> None:
        """Take part."""
        self.host.start()
        if self.host.failed:
            return
        self._disk_watch.start()
        self._erased_space.start()
        self._key_count.start()
        self.news.start()
        self.mesh.startService()

    def stop(self) -> None:
        """Handle, read and write nothing any more: the directory is about to be closed."""
        self._disk_watch.stop()
        self._erased_space.stop()
        self._key_count.stop()
        self.news.stop()
        self._users.stop()
        self._backups.stop()
        if self._held is not None:
            self._held.stop()
        self.host.stop()

    def cut_off(self) -> None:
        """As ``stop``, and say nothing more to anybody: what is on its way out is dropped."""
        self.stop()
        self.departure.stop()
        self.mesh.abort()
        self.clients.abort()
