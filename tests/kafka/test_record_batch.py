"""Record batches that are built by hand are what every client reads."""

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from builders import patient
from read_back import read_back
from relationship_worker.kafka.record_batch import LENGTHS, batches, record

TEXTS = st.text(max_size=20).filter(lambda text: all(not 0xD800 <= ord(c) <= 0xDFFF for c in text))
MAYBE_BYTES = st.none() | st.binary(max_size=300)
RECORDS = st.tuples(MAYBE_BYTES, MAYBE_BYTES, st.lists(st.tuples(TEXTS, MAYBE_BYTES), max_size=5))


@patient
@given(st.lists(RECORDS, min_size=1, max_size=20))
def test_what_is_written_is_read_back(records):
    [read] = read_back([record(key, value, headers) for key, value, headers in records])

    assert read == records


@pytest.mark.parametrize("size", [0, 1, 63, 64, 8191, 8192, 100_000, 3_000_000])
def test_values_of_any_length(size):
    [[(_, value, _)]] = read_back([record(b"k", bytes(size), [])])

    assert value == bytes(size)


def test_more_records_than_a_batch_takes_go_into_several_in_their_order():
    bodies = [record(str(n).encode(), bytes(100), []) for n in range(10_000)]

    read = read_back(bodies, most_bytes=65_536)

    assert len(read) > 1
    assert [int(key) for batch in read for key, _, _ in batch] == list(range(10_000))
    sizes = [len(batch._build()) for batch in batches(bodies, most_bytes=65_536, timestamp=0)]
    assert max(sizes) <= 65_536 + 1_000  # the batch's own header and one record's place


def test_a_record_that_is_larger_than_a_batch_has_one_to_itself():
    bodies = [record(b"small", b"x", []), record(b"large", bytes(5_000), []), record(b"small", b"x", [])]

    assert [len(batch) for batch in read_back(bodies, most_bytes=1_000)] == [1, 1, 1]


def test_a_transactional_producers_batch_carries_its_identity_and_sequence():
    [batch] = batches([record(b"k", b"v", []), record(b"k", b"v", [])], most_bytes=1_000, timestamp=1_700_000_000_123)
    batch._set_producer_state(4711, 3, 42)

    read = MemoryRecords(b"".join(batch._build().pieces)).next_batch()

    assert read.validate_crc()
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (4711, 3, 42)
    assert (read.is_transactional, read.is_control_batch) == (True, False)
    assert (read.base_offset, read.next_offset) == (0, 2)
    assert [r.timestamp for r in read] == [1_700_000_000_123] * 2


@pytest.mark.parametrize("number", [-1, 0, 1, 63, 64, 8191, 8192, 2**31 - 1])
def test_lengths_that_are_not_ready_are_written_the_same_way(number):
    read, shift = 0, 0
    for byte in LENGTHS[number]:
        read |= (byte & 0x7F) << shift
        shift += 7

    assert (read >> 1) ^ -(read & 1) == number
