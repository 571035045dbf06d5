"""However many lanes work at once, memory stays bounded."""

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.kafka.plain_records import NO_HEADERS, FetchedRecord
from relationship_worker.kafka.subscribers import Ends
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.roads.breaker import Breaker
from relationship_worker.roads.orders import OrdersRoad
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.room import Room
from relationship_worker.storage.database import open_database
from relationship_worker.storage.known_facts import KnownFacts


class Batch:
    """Is worked on until it may end; `begun` once there was room for it."""

    def __init__(self, room: Room, weight: int) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.task = asyncio.create_task(self._work(room, weight))

    async def _work(self, room: Room, weight: int) -> None:
        async with room.take(weight):
            self.begun.set()
            await self.may_end.wait()


async def everything_else() -> None:
    """All that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_fits_is_worked_on_at_once_and_the_next_when_there_is_room_again():
    room = Room(100)
    first, second, third = Batch(room, 60), Batch(room, 40), Batch(room, 1)
    await everything_else()
    assert [b.begun.is_set() for b in (first, second, third)] == [True, True, False]

    second.may_end.set()

    await third.begun.wait()


async def test_a_batch_that_is_larger_than_all_room_is_worked_on_alone():
    room = Room(100)
    small, large = Batch(room, 1), Batch(room, 500)
    await everything_else()
    assert not large.begun.is_set()

    small.may_end.set()

    await large.begun.wait()


async def test_a_large_batch_is_not_passed_by_small_ones_for_ever():
    room = Room(100)
    first, large, small = Batch(room, 60), Batch(room, 60), Batch(room, 10)
    await everything_else()
    assert not small.begun.is_set()

    first.may_end.set()
    await large.begun.wait()

    await small.begun.wait()


@pytest.mark.parametrize("cancelled", ["at work", "in wait"])
async def test_what_is_cut_off_takes_no_room(cancelled):
    room = Room(100)
    at_work, in_wait, last = Batch(room, 80), Batch(room, 80), Batch(room, 80)
    await everything_else()

    cut_off = at_work if cancelled == "at work" else in_wait
    cut_off.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cut_off.task
    (in_wait if cancelled == "at work" else at_work).may_end.set()

    await last.begun.wait()


async def test_a_batch_that_still_waits_when_its_lane_closes_is_left_to_the_next_owner(stack):
    """Else a hand-over takes as long as the batches of all lanes one after the other."""
    place, room = TopicPartition("orders", 0), Room(100)
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers)
    await consumer.start()
    consumer.assign([place])
    lane = Lane(consumer, place, topic="orders")
    lane.start(0)
    lane.deliver([FetchedRecord(place, 0, None, b"{}", NO_HEADERS, 100)])
    kafka = Connection(bootstrap_servers=stack.kafka_bootstrap_servers, group="orders")
    database = open_database(stack.database_url, connections=1)
    road = OrdersRoad(
        lane=lane,
        transactions=Transactions(kafka, place, writes_to=[]),
        kafka=kafka,
        database=database,
        ends=Ends(kafka, []),
        partitioner=Partitioner({"enriched-orders": 1}),
        bell=Bell(database),
        known=KnownFacts(),
        room=room,
        freshness_seconds=1,
        breaker=Breaker(database=database, topic="orders", partition=0, percent=0, of=100),
    )
    at_work = Batch(room, 100)
    await at_work.begun.wait()
    waits = asyncio.create_task(road.run_once())
    await everything_else()
    assert lane.position == 1  # the batch is in hand

    lane.close()
    at_work.may_end.set()

    assert await waits == 0  # a transaction that begins would raise: nobody has opened them
    await consumer.stop()
