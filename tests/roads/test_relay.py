"""The relay: what it has told is forgotten, though not at once."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.partitions import partition_of
from relationship_worker.storage.database import rows, transaction
from roads.driving import PARTITIONS, SHOP, Road
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
