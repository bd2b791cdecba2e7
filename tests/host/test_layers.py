"""An actor reads what it last wrote, wherever that is on its way to the disk."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.host import layers as layers_module
from dkv.host.key_order import Writes
from dkv.host.layers import KEY_OVERHEAD_BYTES, Layers
from dkv.keys import APPLIED_KEYS
from dkv.sim.memory import MemoryStore

LOG_KEYS = st.sampled_from([b"P", b"Ra", b"Rb", b"Rba", b"Rc", b"\xff", b"\xffz"])
STATE_KEYS = st.sampled_from([b"B", b"Sa", b"Sb", b"Sba", b"Sc", b"T"])
VALUES = st.one_of(st.none(), st.binary(max_size=3))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("persist"), LOG_KEYS, VALUES),
        st.tuples(st.just("stage"), LOG_KEYS | STATE_KEYS, VALUES),
        st.tuples(st.just("stage_all"), st.dictionaries(STATE_KEYS, st.binary(max_size=3), max_size=3)),
        st.tuples(st.just("begin"), st.booleans()),
        st.tuples(st.just("end")),
        st.tuples(st.just("back")),
        st.tuples(st.just("close")),
    ),
    min_size=10,
    max_size=40,
)
STAGED = st.lists(st.tuples(st.sampled_from([b"Sa", b"Sb", b"Sc", b"Sd"]), VALUES), max_size=12)
PREFIXES = ((b"R", b""), (b"R", b"Rb"), (b"R", b"Rbb"), (b"S", b""), (b"S", b"Sb"), (b"\xff", b""), (b"T", b"A"))


def pairs_of(model: Writes) -> list[tuple[bytes, bytes]]:
    """The keys that exist, in order."""
    return [(key, value) for key, value in sorted(model.items()) if value is not None]


def written(name: str, arguments: list[Any]) -> list[tuple[bytes, bytes | None]]:
    """The keys that a step writes, with their values."""
    if name == "stage_all":
        return list(arguments[0].items())
    return [(arguments[0], arguments[1])] if name in ("persist", "stage") else []


class Stores:
    """Two stores with layers before them, used as the host does."""

    def __init__(self) -> None:
        self.log, self.state = MemoryStore(), MemoryStore()
        self.layers = Layers(self.log, self.state)

    def do(self, name: str, *arguments: Any) -> None:
        """One step; one that is not possible now does nothing."""
        layers = self.layers
        if name in ("persist", "stage", "stage_all"):
            getattr(layers, name)(*arguments)
        elif name == "begin" and not self.log.committing:
            self.begin(arguments[0] and not layers.state.writing)
        elif name == "end" and self.log.committing:
            self.end()
        elif name == "back" and self.state.committing:
            self.back()
        elif name == "close" and not layers.state.all_written:
            layers.state.close_for("somebody")

    def begin(self, write_back: bool) -> Writes:
        """Begin a commit of the log."""
        writes = self.layers.begin_commit(write_back)
        self.log.commit(writes, lambda failure: None)
        return dict(writes)

    def end(self) -> None:
        """The log's commit is on disk; a write-back that waited for it begins."""
        self.log.complete()
        self.layers.log.end_commit()
        if self.layers.state.writing and not self.state.committing:
            self.state.commit(self.layers.state.writing.writes, lambda failure: None)

    def back(self) -> None:
        """The write-back is on disk."""
        self.state.complete()
        self.layers.state.end_write_back()

    def finish(self) -> None:
        """Everything goes to the disk."""
        for _ in range(3):
            for step in (("end",), ("back",), ("begin", True), ("end",), ("back",)):
                self.do(*step)


class LayersTests(SynchronousTestCase):
    """Two stores with layers before them."""

    def setUp(self) -> None:
        self.patch(layers_module, "READ_BYTES_MAX", 3 * KEY_OVERHEAD_BYTES)  # so that copies of what is read go
        self.stores = Stores()
        self.layers = self.stores.layers

    def test_copies_of_what_is_read(self) -> None:
        """A copy that outlived a write would be read again once the write is on disk."""
        for value in (b"old", b"new", None):
            self.layers.stage(b"S", value)
            self.stores.finish()
            self.assertEqual([self.layers.load(b"S") for _ in range(2)], [value] * 2)

    @given(STEPS)
    def test_reads_see_the_newest(self, steps: list[tuple[Any, ...]]) -> None:
        """Against a dict: an actor that read anything but its last write would vote, or apply, twice."""
        stores = Stores()
        model: dict[bytes, bytes] = {}
        for name, *arguments in steps:
            stores.do(name, *arguments)
            for key, value in written(name, arguments):
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
            for key in (b"P", b"Rb", b"B", b"Sb", b"\xff", b"absent"):
                self.assertEqual(stores.layers.load(key), model.get(key))
            keys = (b"Sb", b"S", b"Sa", b"Sba", b"T")
            self.assertEqual(dict(stores.layers.find(keys)), {key: model.get(key) for key in keys})
            for prefix, start in PREFIXES:
                expected = [(key, model[key]) for key in sorted(model) if key.startswith(prefix) and key >= start]
                self.assertEqual(list(stores.layers.scan(prefix, start)), expected)

    @given(STEPS, st.sampled_from([b"", b"S", b"Sa", b"Sab", b"Sb", b"Sc"]), st.integers(1, 3), st.integers(1, 4))
    def test_pages_see_the_newest(self, steps: list[tuple[Any, ...]], after: bytes, count: int, every: int) -> None:
        """Against a scan of everything: a page that skips a key hides it from SCAN, or keeps it when it has expired.

        Pages are read ``every`` few steps, so that several keys may be new in one of them.
        """
        stores = Stores()
        for number, (name, *arguments) in enumerate(steps):
            stores.do(name, *arguments)
            if number % every:
                continue
            expected = [pair for pair in stores.layers.scan(b"S") if pair[0] > after]
            self.assertEqual(stores.layers.scan_page(b"S", after, count), expected[:count])
            found: list[tuple[bytes, bytes]] = []
            while page := stores.layers.scan_page(b"S", found[-1][0] if found else after, count):
                found += page
            self.assertEqual(found, expected)

    def test_a_page_of_large_values(self) -> None:
        """A page must not bring more into memory than it may, were its values as large as they can be."""
        for key in (b"Sa", b"Sb", b"Sc"):
            self.layers.stage(key, bytes(100))
        for bytes_max, expected in ((1, 1), (102, 1), (103, 2), (305, 3), (500, 3)):
            self.assertEqual(len(self.layers.scan_page(b"S", b"", 9, bytes_max)), expected)

    @given(STAGED, STAGED, st.booleans(), st.booleans())
    def test_trials(self, before: list[Any], tried: list[Any], undone: bool, closed: bool) -> None:
        """What is tried is seen while it lasts, and afterwards all of it or nothing, also on pages."""
        layers, model = Stores().layers, dict[bytes, bytes | None]()
        for key, value in before:
            layers.stage(key, value)
            model[key] = value
        if closed:
            layers.state.begin_write_back()
        layers.state.begin_trial()
        outcome = dict(model)
        for number, (key, value) in enumerate(tried):
            layers.stage(key, value)
            outcome[key] = value
            self.assertEqual(layers.load(key), value)
            if number % 3 == 0:
                self.assertEqual(layers.scan_page(b"S", b"", 99), pairs_of(outcome))
        if undone:
            self.assertEqual(set(layers.state.undo_trial()), {key for key, _ in tried})
            outcome = model
        else:
            layers.state.end_trial()
        self.assertEqual(layers.scan_page(b"S", b"", 99), pairs_of(outcome))
        self.assertEqual([*layers.scan(b"S")], pairs_of(outcome))
        self.assertEqual([layers.load(key) for key in outcome], [*outcome.values()])
        staged = layers.state.staged
        size = sum(KEY_OVERHEAD_BYTES + len(key) + len(value or b"") for key, value in staged.writes.items())
        self.assertEqual(staged.size, size)

    def test_pages_after_a_snapshot(self) -> None:
        """What was staged for a state that is no longer in force must not be on its pages."""
        self.layers.stage(b"Sa", b"old")
        self.layers.scan_page(b"S", b"", 1)
        other = MemoryStore(auto=True)
        other.commit({b"Sb": b"received"}, lambda _: None)
        self.layers.install(other)
        self.layers.stage(b"Sc", b"new")
        self.assertEqual(self.layers.scan_page(b"S", b"", 9), [(b"Sb", b"received"), (b"Sc", b"new")])

    @given(STEPS)
    def test_nothing_is_forgotten(self, steps: list[tuple[Any, ...]]) -> None:
        """After a last write-back the disk holds what was written: a lost write is a lost vote."""
        stores = Stores()
        model: dict[bytes, bytes | None] = {}
        for name, *arguments in steps:
            stores.do(name, *arguments)
            model |= dict(written(name, arguments))
        stores.finish()
        held = dict(stores.log.scan(b"")) | dict(stores.state.scan(b""))
        self.assertEqual(held, {key: value for key, value in model.items() if value is not None})
        self.assertEqual([key for key, _ in stores.state.scan(b"") if key[:1] not in APPLIED_KEYS], [])
        self.assertEqual([key for key, _ in stores.log.scan(b"") if key[:1] in APPLIED_KEYS], [])
        self.assertEqual((stores.layers.staged_bytes, stores.layers.undurable_bytes), (0, 0))
        self.assertEqual(stores.layers.begin_commit(True), {})

    @given(STEPS)
    def test_what_is_staged_is_weighed(self, steps: list[tuple[Any, ...]]) -> None:
        """A key written again and again must not bring on a write-back; one that grows must."""
        stores = Stores()
        staged: dict[bytes, bytes | None] = {}
        for name, *arguments in steps:
            state = stores.layers.state
            if name == "begin" and arguments[0] and not stores.log.committing and state.writing is None:
                staged = {key: value for key, value in staged.items() if state.closed and key[:1] in APPLIED_KEYS}
            elif name == "close" and state.closed is None:
                staged = {key: value for key, value in staged.items() if key[:1] not in APPLIED_KEYS}
            stores.do(name, *arguments)
            for key, value in written(name, arguments):
                staged.pop(key, None)
                if name != "persist":
                    staged[key] = value
            self.assertEqual(
                stores.layers.staged_bytes,
                sum(KEY_OVERHEAD_BYTES + len(key) + len(value or b"") for key, value in staged.items()),
            )

    def test_what_was_read_is_not_read_again(self) -> None:
        """What clients read most must not cost a look at the disk's blocks each time; what is kept is bounded."""
        asked: list[bytes] = []

        class Counting(MemoryStore):
            def get(self, key: bytes) -> bytes | None:
                asked.append(key)
                return super().get(key)

        layers = Layers(MemoryStore(), Counting(auto=True))
        for key in (b"Sa", b"Sa", b"Sb", b"Sa", b"Sb", b"Sc", b"Sa", b"Sc"):
            self.assertIsNone(layers.load(key))
        self.assertEqual(asked, [b"Sa", b"Sb", b"Sc", b"Sa"])  # there is room for two

    def test_what_was_found_is_not_kept(self) -> None:
        """Keys that nobody asked for must not drive out those that clients read."""
        store = MemoryStore(auto=True)
        store.commit({b"Sa": b"1", b"Sab": b"2"}, lambda _: None)
        layers = Layers(MemoryStore(), store)
        found = layers.find([b"Sab", b"S", b"Sa", b"Sac"])
        self.assertEqual(sorted(found), [(b"S", None), (b"Sa", b"1"), (b"Sab", b"2"), (b"Sac", None)])
        self.assertEqual(layers.state.read, {})

    def test_what_was_read_is_weighed(self) -> None:
        """Large values take room as the names of their keys do: a few of them must not hold all of the memory."""

        class Counting(MemoryStore):
            asked = 0

            def get(self, key: bytes) -> bytes | None:
                self.asked += 1
                return super().get(key)

        self.patch(layers_module, "READ_BYTES_MAX", 10_000)
        store = Counting(auto=True)
        store.commit({key: bytes(4_000) for key in (b"Sa", b"Sb", b"Sc")}, lambda _: None)
        layers = Layers(MemoryStore(), store)
        for key in (b"Sa", b"Sb", b"Sb", b"Sa", b"Sc", b"Sc"):
            layers.load(key)
        self.assertEqual(store.asked, 3)
        layers.load(b"Sa")  # the oldest: it had to go when the third came
        self.assertEqual(store.asked, 4)

    def test_staged_waits(self) -> None:
        """A commit without write-back takes only what was persisted: state in every commit halves throughput."""
        self.layers.stage(b"S", b"state")
        self.layers.stage(b"C", b"mark")
        self.layers.persist(b"P", b"promise")
        self.assertEqual(self.stores.begin(False), {b"P": b"promise"})
        self.stores.end()
        self.assertEqual(self.stores.begin(True), {b"C": b"mark"})
        assert self.layers.state.writing is not None
        self.assertEqual(self.layers.state.writing.writes, {b"S": b"state"})

    def test_closed(self) -> None:
        """What is staged after somebody has asked for the state as it is must not be in it; reads see the newest."""
        state = self.layers.state
        self.layers.stage(b"Sa", b"1")
        self.layers.stage(b"Sb", b"1")
        self.assertTrue(state.close_for("first"))
        self.assertTrue(state.close_for("second"))
        self.layers.stage(b"Sa", None)
        self.assertFalse(state.close_for("third"))
        self.assertEqual((self.layers.load(b"Sa"), self.layers.load(b"Sb")), (None, b"1"))
        self.assertEqual(list(self.layers.scan(b"S")), [(b"Sb", b"1")])
        written = []
        for _ in range(2):
            self.stores.begin(True)
            self.stores.log.complete()
            self.layers.log.end_commit()
            assert state.writing is not None
            self.assertTrue(state.close_for("last"))
            self.stores.state.commit(state.writing.writes, lambda failure: None)
            self.stores.state.complete()
            layer = state.end_write_back()
            written.append((layer.writes, layer.wanted_by))
        self.assertEqual(
            written, [({b"Sa": b"1", b"Sb": b"1"}, ["first", "second"]), ({b"Sa": None}, ["last", "last"])]
        )
        self.assertTrue(state.all_written)

    def test_written_both_ways(self) -> None:
        """The last write counts, whichever kind it was, before and after the commits that bring it to the disk."""
        self.layers.persist(b"C", b"1")
        self.layers.stage(b"C", b"2")
        self.assertEqual((self.layers.load(b"C"), list(self.layers.scan(b"C"))), (b"2", [(b"C", b"2")]))
        self.stores.begin(False)
        self.assertEqual(self.layers.load(b"C"), b"2")
        self.layers.persist(b"C", b"3")
        self.assertEqual((self.layers.load(b"C"), list(self.layers.scan(b"C"))), (b"3", [(b"C", b"3")]))
        self.stores.end()
        self.assertEqual(self.stores.begin(True), {b"C": b"3"})
        self.stores.end()
        self.assertEqual(self.stores.log.get(b"C"), b"3")

    def test_state_is_never_persisted(self) -> None:
        """B29: a key of the state that went ahead of the mark would be applied a second time after a crash."""
        for key in sorted(APPLIED_KEYS):
            self.assertRaises(AssertionError, self.layers.persist, key + b"k", b"v")

    def test_written_during_a_commit(self) -> None:
        """What is written while a commit is under way goes with the next, and is read meanwhile."""
        self.layers.persist(b"P", b"1")
        self.stores.begin(False)
        self.layers.persist(b"P", b"2")
        self.assertEqual(self.layers.load(b"P"), b"2")
        self.stores.end()
        self.assertEqual((self.stores.log.get(b"P"), self.layers.load(b"P")), (b"1", b"2"))
        self.assertEqual(self.stores.begin(False), {b"P": b"2"})

    def test_undurable_bytes(self) -> None:
        """The measure of the disk's lag: it grows with what is persisted and falls when a commit ends."""
        self.assertEqual(self.layers.undurable_bytes, 0)
        self.layers.persist(b"P", b"123")
        self.stores.begin(False)
        self.layers.persist(b"QQ", b"12345")
        self.layers.persist(b"R", None)
        self.assertEqual(self.layers.undurable_bytes, 4 + 7 + 1)
        self.stores.end()
        self.assertEqual(self.layers.undurable_bytes, 8)
        self.stores.begin(False)
        self.stores.end()
        self.assertEqual(self.layers.undurable_bytes, 0)

    def test_undurable_state(self) -> None:
        """What waits for a write-back counts only while the disk is behind with another one."""
        self.layers.stage(b"S1", b"1")
        self.assertEqual(self.layers.undurable_bytes, 0)
        self.stores.begin(True)
        self.assertEqual(self.layers.undurable_bytes, KEY_OVERHEAD_BYTES + 3)
        self.layers.stage(b"S2", b"22")
        self.assertEqual(self.layers.undurable_bytes, 2 * KEY_OVERHEAD_BYTES + 3 + 4)
        self.stores.end()
        self.stores.back()
        self.assertEqual(self.layers.undurable_bytes, 0)

    def test_scan_of_an_erased_key(self) -> None:
        """A key erased and not yet gone from disk is not seen: a deleted value must not come back."""
        self.layers.stage(b"S1", b"a")
        self.layers.stage(b"S2", b"b")
        self.stores.finish()
        self.layers.stage(b"S1", None)
        self.assertEqual(list(self.layers.scan(b"S")), [(b"S2", b"b")])
        self.assertIsNone(self.layers.load(b"S1"))
