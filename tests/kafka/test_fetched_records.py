"""What a fetched partition hands on at once: a bounded share, however many there are; and what is too large is skipped in
pieces, between which the others have their turn."""

import asyncio
import itertools
from typing import Any

import anyio
import pytest
import zstandard
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import Assignment

from bombs import BOMBS, KEY, NOTHING_IS_LEFT, a_bomb
from hand_made_batches import ZSTD, a_batch, send_batch, some_records
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.fetched_records import is_skipping, read_our_way
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.plain_records import HANDED_ON_WEIGHT
from relationship_worker.kafka.subscribers import Subscription, open_broker

MIB = 1024 * 1024
PLACES = [TopicPartition("orders", n) for n in range(500)]
RECORDS = 10_000
PACKED = a_batch(zstandard.compress(some_records([b"x" * 1_000] * RECORDS)), RECORDS, codec=ZSTD)
LARGE = 20 * MIB
MOST_IN_A_TURN = 4 * MIB  # of unpacking: some milliseconds, also with gzip
KEPT = [name for name in BOMBS if name not in NOTHING_IS_LEFT]


def fetched(batch: bytes, *, partitions: int = 1) -> Any:
    """A batch of the first of so many partitions, as a fetch brings it; and that partition's state."""
    read_our_way()
    place, assignment = PLACES[0], Assignment(PLACES[:partitions])
    state = assignment.state_value(place)
    state.reset_to(0)
    records = fetcher.PartitionRecords(
        place, fetcher.MemoryRecords(batch), None, 0, None, None, True, fetcher.READ_COMMITTED
    )
    return fetcher.FetchResult(place, assignment=assignment, partition_records=records, backoff=0), state


@pytest.mark.parametrize(("partitions", "most"), [(1, 9), (64, 2), (500, 2)])
async def test_of_a_packed_batch_a_partition_hands_on_its_share_and_then_the_rest(partitions, most):
    found, _ = fetched(PACKED, partitions=partitions)

    handed_on = list(itertools.takewhile(bool, (found.getall() for _ in itertools.count())))

    assert max(sum(record.weight for record in some) for some in handed_on) <= most * HANDED_ON_WEIGHT
    assert [record.offset for some in handed_on for record in some] == list(range(RECORDS))


@pytest.mark.parametrize("name", KEPT)
async def test_a_large_record_is_skipped_in_many_turns_and_each_says_so(name: str):
    found, _ = fetched(a_bomb(name, [("ce_id", b"huge")], size=LARGE))

    turns = 0
    while not (some := found.getall()):
        assert found.is_skipping
        turns += 1

    assert turns >= LARGE // MOST_IN_A_TURN
    assert not found.is_skipping
    assert [(r.key, r.value, r.headers) for r in some] == [(KEY, None, [("ce_id", b"huge")])]


async def test_a_partition_that_is_to_wait_skips_nothing():
    """Else whoever asks again without a rest would ask for ever."""
    found, state = fetched(a_bomb("zstd", [], size=LARGE))
    assert (found.getall(), found.is_skipping) == ([], True)

    state.pause()

    assert (found.getall(), found.is_skipping) == ([], False)


async def test_nobody_rests_amid_a_large_record(kafka: Connection, monkeypatch: pytest.MonkeyPatch):
    """FastStream does where a fetch brings nothing, and a piece that is skipped brings nothing."""
    taken, rests_amid = asyncio.Event(), 0

    async def work(lane: Lane) -> None:
        lane.start(0)
        while not lane.closing:
            batch = await lane.take(most=10, most_bytes=MIB)
            if batch is not None and batch.records:
                taken.set()

    broker = open_broker(kafka)
    subscription = Subscription(broker, kafka, {kafka.topic("in"): work})
    sleep = anyio.sleep

    async def counted_sleep(seconds: float) -> None:
        nonlocal rests_amid
        rests_amid += is_skipping(subscription.consumer)
        await sleep(seconds)

    monkeypatch.setattr(anyio, "sleep", counted_sleep)
    await broker.start()
    producer = AIOKafkaProducer(**kafka.client_options())
    await producer.start()
    try:
        await send_batch(producer, kafka.topic("in"), 0, a_bomb("zstd", [], size=LARGE))
        await asyncio.wait_for(taken.wait(), 60)
    finally:
        await producer.stop()
        await subscription.close()
        await broker.stop()

    assert rests_amid == 0
