"""A road is kept running until its lane closes, whatever fails meanwhile; no more lanes open at once than have a turn."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from relationship_worker.kafka.lanes import Lane
from relationship_worker.local.stack import Stack
from relationship_worker.roads.running import keep_running
from roads.driving import Road as Driven
from waiting import until


@pytest_asyncio.fixture
async def lane(stack: Stack, road: Driven) -> AsyncIterator[Lane]:
    """A lane of a real partition, on which the tests' own roads do nothing."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers)
    await consumer.start()
    place = TopicPartition(f"{road.prefix}orders", 0)
    consumer.assign([place])
    yield Lane(consumer, place, "orders")
    await consumer.stop()


class Counted:
    """A road that counts how often it was opened and closed."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.opened, self.worked, self.closed = lane, 0, 0, 0

    async def open(self) -> None:
        self.opened += 1

    async def run_once(self) -> int:
        self.worked += 1
        await self.lane.wait_closing(0.01)
        return 0

    async def close(self) -> None:
        self.closed += 1

    async def has_worked(self) -> bool:
        return self.worked > 0


class WithACancelledClient(Counted):
    """What it waits for first was cancelled by somebody else, as Kafka's client does with what it was waiting for itself."""

    async def open(self) -> None:
        await super().open()
        if self.opened == 1:
            waited_for = asyncio.get_running_loop().create_future()
            waited_for.cancel()
            await waited_for


class NeverOpen(Counted):
    """What it waits for does not come: an answer behind a rebalance, or from a Kafka that is away."""

    async def open(self) -> None:
        await super().open()
        await asyncio.get_running_loop().create_future()


async def nothing_refused(error: BaseException) -> str | None:
    """Kafka lets this user do all."""
    return None


async def test_what_a_client_cancels_by_itself_ends_no_lane(lane: Lane):
    road = WithACancelledClient(lane)
    running = asyncio.create_task(keep_running(lane, road, asyncio.Semaphore(1), nothing_refused))

    await until("the road to work", road.has_worked)
    lane.close()
    await asyncio.wait_for(running, 5)

    assert (road.opened, road.closed) == (2, 1)


async def test_a_lane_that_closes_while_it_opens_lets_nobody_wait(lane: Lane):
    road = NeverOpen(lane)
    running = asyncio.create_task(keep_running(lane, road, asyncio.Semaphore(1), nothing_refused))

    async def opens() -> bool:
        return road.opened == 1

    await until("the road to open", opens)
    lane.close()
    await asyncio.wait_for(running, 5)

    assert (road.worked, road.closed) == (0, 1)


async def test_a_lane_that_is_cut_off_ends(lane: Lane):
    road = Counted(lane)
    running = asyncio.create_task(keep_running(lane, road, asyncio.Semaphore(1), nothing_refused))
    await until("the road to work", road.has_worked)

    running.cancel()
    await asyncio.wait([running], timeout=5)

    assert running.cancelled()
    assert road.closed == 1


async def test_a_lane_waits_for_its_turn_to_open_and_is_not_taken_for_stuck(lane: Lane):
    turns = asyncio.Semaphore(1)
    await turns.acquire()
    road = Counted(lane)
    lane.moved_at = 0.0
    running = asyncio.create_task(keep_running(lane, road, turns, nothing_refused))

    async def has_moved() -> bool:
        return lane.moved_at > 0.0

    await until("the lane to come round while it waits", has_moved)
    assert road.opened == 0
    turns.release()
    await until("the road to work", road.has_worked)

    lane.close()
    await asyncio.wait_for(running, 5)
    assert not turns.locked()


async def test_a_lane_that_closes_while_it_waits_for_its_turn_ends(lane: Lane):
    turns = asyncio.Semaphore(1)
    await turns.acquire()
    road = Counted(lane)
    running = asyncio.create_task(keep_running(lane, road, turns, nothing_refused))

    lane.close()
    await asyncio.wait_for(running, 5)

    assert (road.opened, road.closed) == (0, 1)
