"""The file of a backup: what is written is read again, and nothing that was cut or changed is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.wire.backup_file import BackupError, BackupHeader, BackupReader, BackupWriter, Pair

HEADER = BackupHeader("local", 2, 4711, 1_764_192_000, "1.0")
PAIRS = [(b"A", b"12345678"), (b"S\0key", b"value" * 20), (b"S\0kez", b"")]


def backup(*chunks: list[Pair], header: BackupHeader = HEADER) -> bytes:
    """The bytes of a backup."""
    writer = BackupWriter()
    return writer.begin(header) + b"".join(map(writer.chunk, chunks)) + writer.end()


def read(data: bytes, piece_bytes: int = 1 << 20) -> tuple[BackupReader, list[Pair]]:
    """Read a whole backup, in pieces."""
    reader = BackupReader()
    found = []
    for offset in range(0, len(data), piece_bytes):
        found += reader.feed(data[offset : offset + piece_bytes])
    reader.finish()
    return reader, found


class BackupFileTests(SynchronousTestCase):
    def refused(self, data: bytes) -> str:
        """Why a backup is refused."""
        return str(self.assertRaises(BackupError, read, data))

    def test_bytes(self) -> None:
        """The bytes are a format: a later dkv reads what this one has written."""
        data = backup([(b"A", b"\1")], header=BackupHeader("c", 1, 2, 3, "4"))
        header = b'{"cluster": "c", "node": 1, "applied_through": 2, "seconds": 3, "version": "4"}'
        self.assertEqual(
            data.hex(),
            (b"dkv backup 3\nH" + len(header).to_bytes(4, "big")).hex()
            + "efae9035"
            + header.hex()
            + "430000000a38c7a24300000001000000014101"
            + "4500000030511d6f2100000000000000010000000000000078"
            + "eabf7c351c4cf386255030747e9f816069d98fadfd2032d0450da504266f68a3",
        )

    def test_older_version(self) -> None:
        """A backup of a version before is read: it may be all that is left of a cluster."""
        data = backup([(b"A", b"\1")], header=BackupHeader("c", 1, 2, 3, "4"))
        for version, checksum, digest in (
            (b"1", "5ec881c1", "c7067ebf0fe964d417370e697e26877c490a0d4d5f5c7e00aaeec69f70bde09d"),
            (b"2", "5e0878a3", "0572157469e9bc4dba4ccf385aa0ab9ecb6c50c1e49abe70f2742265e2a4e761"),
        ):
            end = bytes.fromhex(f"4500000030{checksum}00000000000000010000000000000078{digest}")
            reader, found = read(b"dkv backup " + version + data[12:-57] + end)
            self.assertEqual((reader.header, found), (BackupHeader("c", 1, 2, 3, "4"), [(b"A", b"\1")]))

    def test_read_again(self) -> None:
        """In whatever pieces it comes, also byte by byte."""
        data = backup(PAIRS[:1], PAIRS[1:])
        for piece_bytes in (1, 2, 7, len(data)):
            reader, found = read(data, piece_bytes)
            self.assertEqual((reader.header, found, reader.pairs), (HEADER, PAIRS, 3))

    @given(
        st.lists(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40))), max_size=5), st.integers(1, 99)
    )
    def test_any_pairs(self, chunks: list[list[Pair]], piece_bytes: int) -> None:
        """Whatever bytes keys and values are of, and with empty chunks too."""
        self.assertEqual(read(backup(*chunks), piece_bytes)[1], [pair for chunk in chunks for pair in chunk])

    def test_flipped_bits(self) -> None:
        """A flipped bit anywhere is noticed: restored, it would be a wrong value for ever."""
        data = backup(PAIRS[:1], PAIRS[1:])
        for offset in range(len(data)):
            for bit in range(8):
                self.refused(data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :])

    def test_cut(self) -> None:
        """A file that was cut, by a full disk or a broken transfer, has no end."""
        data = backup(PAIRS[:1], PAIRS[1:])
        for length in range(len(data)):
            self.assertIn("is cut" if length > 12 else "is no backup of dkv", self.refused(data[:length]))

    def test_goes_on(self) -> None:
        """What follows the end belongs to something else: two files were joined."""
        data = backup(PAIRS)
        self.assertIn(f"goes on behind its end, at byte {len(data)}", self.refused(data + b"x"))
        reader, _ = read(data)
        self.assertRaises(BackupError, reader.feed, b"x")

    def test_parts_of_another_backup(self) -> None:
        """Chunks that are lost, doubled or taken from another backup have good checksums; the hash tells."""
        begin, first = len(BackupWriter().begin(HEADER)), len(BackupWriter().chunk(PAIRS[:1]))
        data, end_bytes = backup(PAIRS[:1], PAIRS[1:]), len(BackupWriter().end())
        without = data[:begin] + data[begin + first :]
        twice = data[: begin + first] + data[begin:]
        for wrong in (without, twice, data[:-end_bytes] + backup(PAIRS)[-end_bytes:]):
            self.assertIn("lacks parts, or has some that are not its own", self.refused(wrong))

    def test_something_else(self) -> None:
        """Another file, an empty one, or a later format, is told apart from damage."""
        for data in (b"", b"dkv", b"a letter\n", b"\0" * 100, b"dkv backup ", b"dkv backup one\n", b"x" * 10_000):
            self.assertIn("is no backup of dkv", self.refused(data))
        words = self.refused(b"dkv backup 4\n" + backup(PAIRS)[13:])
        self.assertEqual(words, "has version 4 of the format, and this dkv knows none beyond 3")

    def test_order_of_parts(self) -> None:
        """A header is first, and there is one."""
        writer = BackupWriter()
        begin, chunk = writer.begin(HEADER), writer.chunk(PAIRS)
        self.assertIn("is damaged", self.refused(begin[:13] + chunk + begin[13:]))
        self.assertIn("is damaged", self.refused(begin + begin[13:]))

    def test_absurd_length(self) -> None:
        """A damaged length does not make the reader wait for a gigabyte."""
        data = backup(PAIRS)
        self.assertIn("is damaged", self.refused(data[:14] + b"\xff\xff\xff\xff" + data[18:]))
