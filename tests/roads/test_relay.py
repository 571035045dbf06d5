"""The outbox, and the relay: what is told stands in order, and is forgotten, though not at once."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.partitions import partition_of
from relationship_worker.storage.database import rows, run, transaction
from roads.driving import PARTITIONS, SHOP, Road, pair
from storage.locks import somebody_waits_for_a_lock
from waiting import STEP, until


async def last_numbers(database: AsyncEngine) -> dict[int, int]:
    async with transaction(database) as tx:
        return {row.lane: row.last for row in await rows(tx, "SELECT lane, last FROM outbox_lanes")}


async def test_a_relay_without_work_forgets_what_it_told_though_others_are_busy(road: Road, database: AsyncEngine):
    """It is not they who say when: what was told stays for a second, in which Kafka may turn out to have undone it."""
    await road.start()
    await road.request("anna")
    await road.told("relationship-events", 1)
    [quiet] = await last_numbers(database)

    async def busy_elsewhere() -> None:
        for number in range(10_000):
            customer = f"busy-{number}"
            if partition_of(f"{SHOP}/{customer}".encode(), PARTITIONS) != quiet:
                await road.request(customer)
                await asyncio.sleep(STEP)

    async def is_forgotten() -> bool:
        async with transaction(database) as tx:
            return not await rows(tx, "SELECT 1 FROM outbox WHERE lane = :lane", {"lane": quiet})

    busy = asyncio.create_task(busy_elsewhere())
    try:
        await until("what the quiet relay has told to be forgotten", is_forgotten, seconds=20)
    finally:
        busy.cancel()
    assert (await last_numbers(database))[quiet] == 1


async def test_events_and_dead_letters_of_a_batch_take_their_lanes_of_the_outbox_in_one_order(
    road: Road, database: AsyncEngine
):
    """Else two batches could each hold a lane that the other needs: PostgreSQL looks for that after a second only."""
    low, high = 0, 3
    customers = (f"c-{number}" for number in range(100))
    customer = next(c for c in customers if partition_of(f"{SHOP}/{c}".encode(), PARTITIONS) == high)
    async with transaction(database) as tx:
        await run(tx, "INSERT INTO outbox_lanes (lane, last) VALUES (0, 0), (3, 0)")
    await road.send("marketplace.connection.requested", pair(customer), partition=low)
    await road.send("marketplace.connection.requested", b"{", partition=low)  # a dead letter, in its input's partition

    async with transaction(database) as tx:
        await run(tx, "SELECT lane FROM outbox_lanes WHERE lane = :low FOR UPDATE", {"low": low})
        await road.start()
        await somebody_waits_for_a_lock(database)
        free = await rows(tx, "SELECT lane FROM outbox_lanes WHERE lane = :high FOR UPDATE SKIP LOCKED", {"high": high})

    assert [row.lane for row in free] == [high]
    [letter] = await road.told("dead-letters", 1)
    [event] = await road.told("relationship-events", 1)
    assert (letter.partition, event.partition) == (low, high)
