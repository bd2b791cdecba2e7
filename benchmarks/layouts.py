"""``python -m benchmarks.layouts``: the bytes that one node writes for each SET, under other layouts of its storage.

It writes what a node writes, into LevelDB alone: a record and two marks with each slot, the values in write-backs, and
erasures behind a tail. It says where the bytes go: LevelDB's log (a write is first there), and its tables (when a
buffer is full, and whenever tables are merged). Nothing is synced: that changes the time, and not the bytes. See
docs/adr/0010-two-databases.md.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import click

from dkv.cli.table import Table, cell
from dkv.settings import KIB, MIB, Limits
from dkv.storage.binding import plyvel

MARK = struct.Struct(">Q")
RECORD_OVERHEAD_BYTES = 60
"""Roughly how many bytes a record adds to each value."""

SLOTS_PER_WRITE_BACK = 1_000


@dataclass(frozen=True)
class Layout:
    """How many databases, their buffers, and how many bytes of records are kept (None: all)."""

    name: str
    databases: int = 2
    log_buffer: int = 16 * MIB
    state_buffer: int = 16 * MIB
    tail_bytes: int | None = Limits().log_tail_bytes_max


@dataclass(frozen=True)
class Load:
    """SETs of values of ``size`` bytes on random ones of ``keys`` keys; ``per_slot`` come in one slot."""

    sets: int
    size: int
    keys: int
    per_slot: int


TWO = Layout("two")
LAYOUTS = (
    Layout("one, nothing erased", 1, tail_bytes=None),
    Layout("one", 1),
    TWO,
    replace(TWO, name="two, log buffer 4 MiB", log_buffer=4 * MIB),
    replace(TWO, name="two, log buffer 64 MiB", log_buffer=64 * MIB),
    replace(TWO, name="two, state buffer 4 MiB", state_buffer=4 * MIB),
    replace(TWO, name="two, state buffer 64 MiB", state_buffer=64 * MIB),
    replace(TWO, name="two, tail 8 MiB", tail_bytes=8 * MIB),
    replace(TWO, name="two, tail 128 MiB", tail_bytes=128 * MIB),
)
LOADS = (Load(2_000_000, 64, 100_000, 8), Load(300_000, KIB, 20_000, 4), Load(6_000, 64 * KIB, 1_000, 1))


@dataclass(frozen=True)
class Written:
    """Bytes for each SET: in the logs of LevelDB and in tables, of records and of state; and on disk at the end."""

    record_log: float
    record_tables: float
    state_log: float
    state_tables: float
    disk: int


class Node:
    """The databases of one node in ``directory``."""

    def __init__(self, layout: Layout, directory: str) -> None:
        self._directory = directory
        self._layout = layout
        self.log = self._open("log", layout.log_buffer)
        self.state = self._open("state", layout.state_buffer) if layout.databases == 2 else self.log
        self._tail: deque[int] = deque()
        self._tail_bytes = 0
        self._erased = 0

    def _open(self, name: str, buffer: int) -> Any:
        return plyvel.DB(
            os.path.join(self._directory, name),
            create_if_missing=True,
            write_buffer_size=buffer,
            max_file_size=8 * MIB,
            bloom_filter_bits=10,
            compression=None,
        )

    def take(self, load: Load) -> Written:
        """Write ``load``; what that came to."""
        generator, staged, staged_bytes = random.Random(1), dict[bytes, bytes](), 0
        logged = {self.log: 0, self.state: 0}
        for slot in range(1, load.sets // load.per_slot + 1):
            blob = generator.randbytes((load.size + RECORD_OVERHEAD_BYTES) * load.per_slot)
            batch = self.log.write_batch()
            for key in (b"C", b"W"):
                batch.put(key, MARK.pack(slot))
            batch.put(b"R" + MARK.pack(slot), blob)
            self._keep(len(blob))
            for place in range(load.per_slot):
                key = b"S%015d" % generator.randrange(load.keys)
                staged[key] = blob[place * load.size : (place + 1) * load.size]
                staged_bytes += len(key) + load.size
            if slot % SLOTS_PER_WRITE_BACK == 0 or staged_bytes > Limits().write_back_bytes_max:
                for key in self._erasable():
                    batch.delete(key)
                into = batch if self.state is self.log else self.state.write_batch()
                for pair in staged.items():
                    into.put(*pair)
                if into is not batch:
                    logged[self.state] += into.approximate_size()
                    into.write()
                staged, staged_bytes = {}, 0
            logged[self.log] += batch.approximate_size()
            batch.write()
        return self._count(load.sets, logged)

    def _keep(self, size: int) -> None:
        self._tail.append(size)
        self._tail_bytes += size

    def _erasable(self) -> Iterator[bytes]:
        """The keys of records that fall out of the tail."""
        while self._layout.tail_bytes is not None and self._tail_bytes > self._layout.tail_bytes:
            self._tail_bytes -= self._tail.popleft()
            self._erased += 1
            yield b"R" + MARK.pack(self._erased)

    def _count(self, sets: int, logged: dict[Any, int]) -> Written:
        tables = {database: written_into_tables(database) for database in logged}
        apart = self.state is not self.log
        for database in tables:
            database.close()
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(self._directory) for name in names]
        return Written(
            logged[self.log] / sets,
            tables[self.log] / sets,
            logged[self.state] / sets if apart else 0.0,
            tables[self.state] / sets if apart else 0.0,
            sum(map(os.path.getsize, paths)),
        )


def written_into_tables(database: Any) -> int:
    """The bytes that a LevelDB wrote into tables since it was opened, by its own count in MB."""
    lines = database.get_property(b"leveldb.stats").decode().splitlines()
    return int(sum(float(line.split()[-1]) for line in lines[3:]) * MIB)


@click.command()
@click.option("--quick", is_flag=True, help="A hundredth of the writes: to see that it works.")
def layouts(quick: bool) -> None:
    """Measure the bytes that a node writes for each SET, for each layout and load."""
    for load in LOADS:
        load = replace(load, sets=load.sets // 100) if quick else load
        click.echo(f"{load.sets} SETs of {load.size} bytes on {load.keys} keys, {load.per_slot} a slot: bytes per SET")
        table = Table("LAYOUT", "RECORDS: LOG", "TABLES", "STATE: LOG", "TABLES", "ALL", "TIMES", "DISK MB")
        for layout in LAYOUTS:
            directory = tempfile.mkdtemp()
            try:
                written = Node(layout, directory).take(load)
            finally:
                shutil.rmtree(directory)
            parts = (written.record_log, written.record_tables, written.state_log, written.state_tables)
            whole, user = sum(parts), load.size + len(b"S%015d" % 0)
            numbers = [cell(round(each)) for each in (*parts, whole)]
            table.add([[cell(layout.name), *numbers, cell(f"{whole / user:.1f}"), cell(round(written.disk / 1e6))]])
        click.echo()


if __name__ == "__main__":
    layouts.main(prog_name="python -m benchmarks.layouts")
