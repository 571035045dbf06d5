"""Records as they lie in a batch: read as they were written, by the quick way as byte by byte."""

import random

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch

from hand_made_batches import a_batch, a_record
from relationship_worker.kafka.batch_records import BEHIND_CRC, BatchRecords
from relationship_worker.kafka.plain_records import Damaged
from relationship_worker.kafka.record_batch import LENGTHS, Header, record
from relationship_worker.kafka.record_bytes import Bytes

PLACE = TopicPartition("orders", 0)
HEADER_BYTES = 61  # of a batch
HEADERS_BYTE_BY_BYTE = 64  # so many are not read the quick way
Written = tuple[bytes | None, bytes | None, list[Header]]


def some_bytes(rng: random.Random, *sizes: int) -> bytes | None:
    """Of one of these sizes; less than none stands for null."""
    size = rng.choice(sizes)
    return rng.randbytes(size) if size >= 0 else None


def a_written(rng: random.Random) -> Written:
    """Key, value and headers, at the borders of what one, two and three bytes of a size can say."""
    count = rng.choice((0, 1, 5, 5, 5, HEADERS_BYTE_BY_BYTE - 1, HEADERS_BYTE_BY_BYTE))
    headers = [(rng.choice(("", "ce_id", "é" * 32)), some_bytes(rng, -1, 0, 1, 63, 64)) for _ in range(count)]
    return some_bytes(rng, -1, 0, 8, 63, 64, 65), some_bytes(rng, -1, 0, 1, 63, 64, 500, 8191, 8192), headers


def laid(rng: random.Random, written: Written, place: int) -> bytes:
    """The record's bytes, with any time stamp."""
    return a_record(record(*written), place, timestamp=LENGTHS[rng.choice((0, -1, 64, -8193, 10**9, 2**40))])


def read(batch: bytes, *, byte_by_byte: bool = False) -> list[Written | str]:
    """What a batch holds, and at the end, if so, that it is damaged."""
    records = BatchRecords(PLACE, memoryview(batch), batch[BEHIND_CRC:])
    some_at_a_time = records.some_at_a_time()
    if byte_by_byte:
        some_at_a_time = records._byte_by_byte(Bytes(iter((batch[HEADER_BYTES:],))), records._left)
    found: list[Written | str] = []
    try:
        for some, _ in some_at_a_time:
            found += [(r.key, r.value, list(r.headers)) for r in some]
    except Damaged:
        found.append("damaged")
    return found


def test_records_of_all_sizes_are_read_as_they_were_written_and_as_the_client_reads_them():
    """Some hundred batches; the seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for _ in range(100):
        written = [a_written(rng) for _ in range(rng.choice((1, 2, 9)))]
        batch = a_batch(b"".join(laid(rng, w, n) for n, w in enumerate(written)), len(written))

        assert read(batch) == written, f"seed {seed}"
        assert read(batch, byte_by_byte=True) == written, f"seed {seed}"
        assert [(r.key, r.value, list(r.headers)) for r in DefaultRecordBatch(batch)] == written, f"seed {seed}"


def test_of_records_with_changed_bytes_the_quick_way_reads_what_is_read_byte_by_byte():
    """Up to where that says that the batch is damaged: the quick way looks at headers later. The seed is the message."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for _ in range(500):
        count = rng.choice((1, 2, 5))
        records = bytearray(b"".join(laid(rng, a_written(rng), n) for n in range(count)))
        for _ in range(rng.choice((1, 2, 5))):
            at = rng.randrange(len(records))
            changed = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            records[at : at + rng.choice((0, 1, 1))] = bytes((changed,))
        batch = a_batch(bytes(records), count)
        slow = read(batch, byte_by_byte=True)

        if slow[-1:] == ["damaged"]:
            assert read(batch)[: len(slow) - 1] == slow[:-1], f"seed {seed}"
        else:
            assert read(batch) == slow, f"seed {seed}"
