"""However many partitions there are: what is unpacked at once of all of them stays bounded."""

import itertools

import pytest
import zstandard
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import Assignment

from hand_made_batches import ZSTD, a_batch, some_records
from relationship_worker.kafka.fetched_records import read_our_way
from relationship_worker.kafka.plain_records import HANDED_ON_WEIGHT

RECORDS = 10_000
PACKED = a_batch(zstandard.compress(some_records([b"x" * 1_000] * RECORDS)), RECORDS, codec=ZSTD)


@pytest.mark.parametrize(("partitions", "most"), [(1, 9), (64, 2), (500, 2)])
async def test_of_a_packed_batch_a_partition_hands_on_its_share_and_then_the_rest(partitions, most):
    read_our_way()
    places = [TopicPartition("orders", n) for n in range(partitions)]
    assignment = Assignment(places)
    place = places[0]
    state = assignment.state_value(place)
    state.reset_to(0)
    records = fetcher.PartitionRecords(
        place, fetcher.MemoryRecords(PACKED), None, 0, None, None, True, fetcher.READ_COMMITTED
    )
    fetched = fetcher.FetchResult(place, assignment=assignment, partition_records=records, backoff=0)

    handed_on = list(itertools.takewhile(bool, (fetched.getall() for _ in itertools.count())))

    assert max(sum(record.weight for record in some) for some in handed_on) <= most * HANDED_ON_WEIGHT
    assert [record.offset for some in handed_on for record in some] == list(range(RECORDS))
