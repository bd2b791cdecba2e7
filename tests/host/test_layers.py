"""An actor reads what it last wrote, wherever that is on its way to the disk."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.host import layers as layers_module
from dkv.host.layers import _KEY_OVERHEAD_BYTES, Layers
from dkv.sim.memory import MemoryStore

KEYS = st.sampled_from([b"", b"A", b"Aa", b"Ab", b"Aba", b"Ac", b"B", b"Ba", b"\xff", b"\xffz"])
VALUES = st.one_of(st.none(), st.binary(max_size=3))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("persist"), KEYS, VALUES),
        st.tuples(st.just("stage"), KEYS, VALUES),
        st.tuples(st.just("begin"), st.booleans()),
        st.tuples(st.just("end")),
    ),
    min_size=10,
    max_size=40,
)


class LayersTests(SynchronousTestCase):
    """One store with layers before it."""

    def setUp(self) -> None:
        self.patch(layers_module, "READ_BYTES_MAX", 3 * _KEY_OVERHEAD_BYTES)  # so that copies of what is read go
        self.store = MemoryStore()
        self.layers = Layers(self.store)

    def begin(self, write_back: bool) -> dict[bytes, bytes | None]:
        """Begin a commit as the host does."""
        writes = self.layers.begin_commit(write_back)
        self.store.commit(writes, lambda failure: self.assertIsNone(failure))
        return dict(writes)

    def end(self) -> None:
        """The commit is on disk."""
        self.store.complete()
        self.layers.end_commit()

    def test_copies_of_what_is_read(self) -> None:
        """A copy that outlived a write would be read again once the write is on disk."""
        for write in (self.layers.stage, self.layers.persist):
            for value in (b"old", b"new", None):
                write(b"k", value)
                self.begin(write_back=True)
                self.end()
                self.assertEqual([self.layers.load(b"k") for _ in range(2)], [value] * 2)

    @given(STEPS)
    def test_reads_see_the_newest(self, steps: list[tuple[Any, ...]]) -> None:
        """Against a dict: an actor that read anything but its last write would vote, or apply, twice."""
        store = MemoryStore()
        layers = Layers(store)
        model: dict[bytes, bytes] = {}
        for name, *arguments in steps:
            if name in ("persist", "stage"):
                key, value = arguments
                getattr(layers, name)(key, value)
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
            elif name == "begin" and not store.committing:
                store.commit(layers.begin_commit(arguments[0]), lambda failure: None)
            elif name == "end" and store.committing:
                store.complete()
                layers.end_commit()
            for key in (b"", b"A", b"Ab", b"\xff", b"absent"):
                self.assertEqual(layers.load(key), model.get(key))
            for prefix, start in ((b"", b""), (b"A", b""), (b"A", b"Ab"), (b"A", b"Abb"), (b"\xff", b""), (b"B", b"A")):
                expected = [(key, model[key]) for key in sorted(model) if key.startswith(prefix) and key >= start]
                self.assertEqual(list(layers.scan(prefix, start)), expected)

    @given(STEPS)
    def test_nothing_is_forgotten(self, steps: list[tuple[Any, ...]]) -> None:
        """After a last commit with everything the disk holds what was written: a lost write is a lost vote."""
        store = MemoryStore(auto=True)
        layers = Layers(store)
        model: dict[bytes, bytes | None] = {}
        for name, *arguments in steps:
            if name in ("persist", "stage"):
                key, value = arguments
                getattr(layers, name)(key, value)
                model[key] = value
            elif name == "begin":
                store.commit(layers.begin_commit(arguments[0]), lambda failure: None)
                layers.end_commit()
        store.commit(layers.begin_commit(True), lambda failure: None)
        layers.end_commit()
        self.assertEqual(dict(store.scan(b"")), {key: value for key, value in model.items() if value is not None})
        self.assertEqual((layers.staged_bytes, layers.undurable_bytes), (0, 0))
        self.assertEqual(layers.begin_commit(True), {})

    @given(STEPS)
    def test_what_is_staged_is_weighed(self, steps: list[tuple[Any, ...]]) -> None:
        """A key written again and again must not bring on a write-back; one that grows must."""
        layers = Layers(MemoryStore(auto=True))
        staged: dict[bytes, bytes | None] = {}
        for name, *arguments in steps:
            if name in ("persist", "stage"):
                key, value = arguments
                getattr(layers, name)(key, value)
                staged.pop(key, None)
                if name == "stage":
                    staged[key] = value
            elif name == "begin":
                layers.begin_commit(arguments[0])
                staged = {} if arguments[0] else staged
            self.assertEqual(
                layers.staged_bytes,
                sum(_KEY_OVERHEAD_BYTES + len(key) + len(value or b"") for key, value in staged.items()),
            )

    def test_what_was_read_is_not_read_again(self) -> None:
        """What clients read most must not cost a look at the disk's blocks each time; what is kept is bounded."""
        asked: list[bytes] = []

        class Counting(MemoryStore):
            def get(self, key: bytes) -> bytes | None:
                asked.append(key)
                return super().get(key)

        layers = Layers(Counting(auto=True))
        for key in (b"a", b"a", b"b", b"a", b"b", b"c", b"a", b"c"):
            self.assertIsNone(layers.load(key))
        self.assertEqual(asked, [b"a", b"b", b"c", b"a"])  # there is room for two

    def test_what_was_read_is_weighed(self) -> None:
        """Large values take room as the names of their keys do: a few of them must not hold all of the memory."""

        class Counting(MemoryStore):
            asked = 0

            def get(self, key: bytes) -> bytes | None:
                self.asked += 1
                return super().get(key)

        self.patch(layers_module, "READ_BYTES_MAX", 10_000)
        store = Counting(auto=True)
        store.commit({key: bytes(4_000) for key in (b"a", b"b", b"c")}, lambda _: None)
        layers = Layers(store)
        for key in (b"a", b"b", b"b", b"a", b"c", b"c"):
            layers.load(key)
        self.assertEqual(store.asked, 3)
        layers.load(b"a")  # the oldest: it had to go when the third came
        self.assertEqual(store.asked, 4)

    def test_staged_waits(self) -> None:
        """A commit without write-back takes only what was persisted: state in every commit halves throughput."""
        self.layers.stage(b"S", b"state")
        self.layers.persist(b"P", b"promise")
        self.assertEqual(self.begin(False), {b"P": b"promise"})
        self.end()
        self.assertEqual(self.begin(True), {b"S": b"state"})

    def test_written_both_ways(self) -> None:
        """The last write counts, whichever kind it was, before and after the commits that bring it to the disk."""
        self.layers.persist(b"S", b"1")
        self.layers.stage(b"S", b"2")
        self.assertEqual((self.layers.load(b"S"), list(self.layers.scan(b"S"))), (b"2", [(b"S", b"2")]))
        self.begin(False)
        self.assertEqual(self.layers.load(b"S"), b"2")
        self.layers.persist(b"S", b"3")
        self.assertEqual((self.layers.load(b"S"), list(self.layers.scan(b"S"))), (b"3", [(b"S", b"3")]))
        self.end()
        self.assertEqual(self.begin(True), {b"S": b"3"})
        self.end()
        self.assertEqual(self.store.get(b"S"), b"3")

    def test_written_during_a_commit(self) -> None:
        """What is written while a commit is under way goes with the next, and is read meanwhile."""
        self.layers.persist(b"P", b"1")
        self.begin(False)
        self.layers.persist(b"P", b"2")
        self.assertEqual(self.layers.load(b"P"), b"2")
        self.end()
        self.assertEqual((self.store.get(b"P"), self.layers.load(b"P")), (b"1", b"2"))
        self.assertEqual(self.begin(False), {b"P": b"2"})

    def test_undurable_bytes(self) -> None:
        """The measure of the disk's lag: it grows with what is persisted and falls when a commit ends."""
        self.assertEqual(self.layers.undurable_bytes, 0)
        self.layers.persist(b"P", b"123")
        self.begin(False)
        self.layers.persist(b"QQ", b"12345")
        self.layers.persist(b"R", None)
        self.assertEqual(self.layers.undurable_bytes, 4 + 7 + 1)
        self.end()
        self.assertEqual(self.layers.undurable_bytes, 8)
        self.begin(False)
        self.end()
        self.assertEqual(self.layers.undurable_bytes, 0)

    def test_scan_of_an_erased_key(self) -> None:
        """A key erased and not yet gone from disk is not seen: a deleted value must not come back."""
        self.layers.persist(b"S1", b"a")
        self.layers.persist(b"S2", b"b")
        self.begin(False)
        self.end()
        self.layers.stage(b"S1", None)
        self.assertEqual(list(self.layers.scan(b"S")), [(b"S2", b"b")])
        self.assertIsNone(self.layers.load(b"S1"))
