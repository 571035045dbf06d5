"""Every batch that a broker takes is read to its last record, each record at its own offset and as Java would read it."""

import gzip
import struct

import cramjam
import pytest
import zstandard
from aiokafka import TopicPartition

from hand_made_batches import GZIP, LZ4, SNAPPY, ZSTD, a_batch, a_record, some_records
from relationship_worker.kafka.batch_records import BEHIND_CRC, BatchRecords
from relationship_worker.kafka.plain_records import Damaged
from relationship_worker.kafka.record_batch import LENGTHS, record
from relationship_worker.messages.outgoing import MAX_MESSAGE_BYTES

MIB = 1024 * 1024
PLACE = TopicPartition("orders", 0)
BODY = record(b"k", b"v", [])
TWO = some_records([b"a", b"b"])
KV, NO_KEY = (b"k", b"v", []), (None, b"v", [])
AB = [(b"k", b"a", []), (b"k", b"b", [])]
NULL = LENGTHS[-1]


def lz4(data: bytes, *, checksum: bool = False) -> bytes:
    compressor = cramjam.lz4.Compressor(level=9, content_checksum=checksum, block_linked=False)
    compressor.compress(data)
    return bytes(compressor.finish())


def snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def xerial(data: bytes) -> bytes:
    packed = snappy(data)
    return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(packed)) + packed


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


# Each was sent to Kafka 4.4.0, by hand, and was taken.
TAKEN = {
    "offsets that are all the same": (a_batch(a_record(BODY) * 2, 2), [KV, KV]),
    "offsets far behind the batch": (a_batch(a_record(BODY, 5000) + a_record(BODY, 9000), 2), [KV, KV]),
    "offsets before the batch": (a_batch(a_record(BODY, -7) + a_record(BODY, -9), 2), [KV, KV]),
    "offsets that go back": (a_batch(a_record(BODY, 1) + a_record(BODY, 0), 2), [KV, KV]),
    "a bit of a record's that is not in use": (a_batch(a_record(BODY, attributes=0x80), 1), [KV]),
    "all bits of a record's": (a_batch(a_record(BODY, attributes=0xFF), 1), [KV]),
    "the same, packed": (a_batch(gzip.compress(a_record(BODY, attributes=0x80)), 1, codec=GZIP), [KV]),
    "a key of -5 bytes": (a_batch(a_record(LENGTHS[-5] + b"\x02v\0"), 1), [NO_KEY]),
    "a value of -9 bytes": (a_batch(a_record(NULL + LENGTHS[-9] + b"\0"), 1), [(None, None, [])]),
    "a header without a name": (a_batch(a_record(NULL + b"\x02v\x02\0" + NULL), 1), [(None, b"v", [("", None)])]),
    "a header's name that is no UTF-8": (
        a_batch(a_record(NULL + b"\x02v\x02\x04\xff\xfe" + NULL), 1),
        [(None, b"v", [("\ufffd\ufffd", None)])],
    ),
    "numbers that are longer than they need be": (
        a_batch(a_record(b"\x81\x80\x80\x80\0\x02v\0", timestamp=b"\x80" * 9 + b"\0"), 1),
        [NO_KEY],
    ),
    "bits of a batch's that are not in use": (a_batch(TWO, 2, attributes=0x7F80), AB),
    "a delete horizon": (a_batch(TWO, 2, attributes=0x40), AB),
    "gzip": (a_batch(gzip.compress(TWO), 2, codec=GZIP), AB),
    "gzip in two members": (a_batch(gzip.compress(TWO[:5]) + gzip.compress(TWO[5:]), 2, codec=GZIP), AB),
    "gzip with something behind it": (a_batch(gzip.compress(TWO) + b"junk", 2, codec=GZIP), AB),
    "snappy": (a_batch(snappy(TWO), 2, codec=SNAPPY), AB),
    "snappy in blocks": (a_batch(xerial(TWO), 2, codec=SNAPPY), AB),
    "snappy in two rows of blocks": (a_batch(xerial(TWO[:5]) + xerial(TWO[5:]), 2, codec=SNAPPY), AB),
    "lz4": (a_batch(lz4(TWO), 2, codec=LZ4), AB),
    "lz4 with a wrong sum": (a_batch(lz4(TWO, checksum=True)[:-4] + bytes(4), 2, codec=LZ4), AB),
    "lz4 with something behind it": (a_batch(lz4(TWO) + b"junk", 2, codec=LZ4), AB),
    "zstd": (a_batch(zstd(TWO), 2, codec=ZSTD), AB),
    "zstd in two frames": (a_batch(zstd(TWO[:5]) + zstd(TWO[5:]), 2, codec=ZSTD), AB),
    "zstd with a frame to be skipped": (a_batch(zstd(TWO) + b"\x50\x2a\x4d\x18\x02\0\0\0ab", 2, codec=ZSTD), AB),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_batch_is_read_to_its_last_record(name: str):
    batch, expected = TAKEN[name]

    read = records(batch)

    assert [(r.key, r.value, list(r.headers)) for r in read] == expected
    assert [r.offset for r in read] == list(range(700, 700 + len(expected)))
    assert all(r.unread is None for r in read)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, snappy, xerial, lz4, zstd])
def test_more_than_a_piece_is_read_the_same_however_it_is_packed(pack):
    values = [str(n).encode() * (n % 900) for n in range(4_000)]
    codec = {gzip.compress: GZIP, snappy: SNAPPY, xerial: SNAPPY, lz4: LZ4, zstd: ZSTD}.get(pack, 0)

    read = records(a_batch(pack(some_records(values)), len(values), codec=codec))

    assert [r.value for r in read] == values
    assert [r.offset for r in read] == list(range(700, 4_700))


def test_of_a_batch_from_which_records_were_removed_each_says_its_own_offset():
    left = a_record(record(b"k", b"a", []), 3) + a_record(record(b"k", b"b", []), 8)

    read = records(a_batch(left, 2, last_offset=9))

    assert [(r.offset, r.value) for r in read] == [(703, b"a"), (708, b"b")]


FITS = MAX_MESSAGE_BYTES - 4096  # of a record, for its dead letter's own headers to find room


@pytest.mark.parametrize(
    ("key", "value", "headers", "left_out"),
    [
        (b"k", b"x" * (8 * MIB), [], ""),
        (b"k", b"x" * FITS, [], f"{FITS} bytes of value"),
        (b"k", b"x" * (8 * MIB), [("h", b"x" * 64 * 1024)], f"{8 * MIB} bytes of value"),
        (b"k" * MIB, b"x" * (7 * MIB), [("h", b"x" * MIB)], f"{7 * MIB} bytes of value"),
        (b"k", b"x", [("h", b"x" * 9 * MIB)], "1 headers"),
        (b"k" * 9 * MIB, b"x" * MIB, [("h", b"x")], f"{9 * MIB} bytes of key"),
        (b"k" * 9 * MIB, b"x" * 9 * MIB, [("h", b"x")], f"{9 * MIB} bytes of value and {9 * MIB} bytes of key"),
        (b"k", b"x", [("h", b"")] * 10_001, "10001 headers"),
    ],
)
@pytest.mark.parametrize("codec", [0, ZSTD])
def test_of_a_record_that_is_too_large_all_is_kept_that_fits_its_dead_letter(codec, key, value, headers, left_out):
    whole = a_record(record(key, value, headers))

    [read] = records(a_batch(zstd(whole) if codec else whole, 1, codec=codec))

    assert read.unread is not None
    reason, detail = read.unread
    assert reason == "too_large"
    assert detail.endswith(f"; its {left_out} do not fit this topic and were left out") if left_out else True
    assert read.key == (None if "key" in left_out else key)
    assert read.value == (None if "value" in left_out else value)
    assert list(read.headers) == ([] if "headers" in left_out else headers)


def test_what_lies_behind_bytes_that_cannot_be_unpacked_in_bounded_memory_is_told_to_be_there():
    first, second = a_record(record(b"k", b"a", [])), a_record(record(b"k", bytes(40 * MIB), []), 1)
    wide = zstandard.ZstdCompressor(level=22, write_content_size=False).compressobj()
    packed = wide.compress(first + second) + wide.flush()

    read = records(a_batch(packed, 2, codec=ZSTD))

    assert [(r.offset, r.value) for r in read] == [(700, b"a"), (701, None)]
    assert read[0].unread is None
    assert read[1].unread == (
        "too_large",
        "its batch can't be unpacked so far (it is packed with a window of more than 8 MiB): "
        "key, value and headers were left out",
    )


@pytest.mark.parametrize(
    "batch",
    [
        a_batch(TWO, 3),
        a_batch(a_record(BODY)[:-1], 1),
        a_batch(gzip.compress(TWO)[:-12], 2, codec=GZIP),
        a_batch(TWO, 2, codec=ZSTD),
        a_batch(TWO, 2, codec=SNAPPY),
        a_batch(TWO, 2, codec=LZ4),
        a_batch(TWO, 2, codec=7),
        a_batch(a_record(BODY, 99), 1, last_offset=20),
    ],
    ids=[
        "a record too few",
        "cut off",
        "gzip cut off",
        "no zstd",
        "no snappy",
        "no lz4",
        "no codec",
        "an offset outside",
    ],
)
def test_a_batch_that_was_damaged_is_called_so(batch: bytes):
    with pytest.raises(Damaged):
        records(batch)


def records(batch: bytes):
    lies_at_700 = struct.pack(">q", 700) + batch[8:]
    pieces = BatchRecords(PLACE, memoryview(lies_at_700), lies_at_700[BEHIND_CRC:]).some_at_a_time()
    return [record for some, _ in pieces for record in some]
