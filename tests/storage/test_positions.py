"""Positions of the relationship topics, fenced by an epoch."""

import asyncio
import contextlib

import pytest

from relationship_worker.roads.running import run_periodically
from relationship_worker.roads.silence import TICK, Silence
from relationship_worker.storage.database import COMMAND_TIMEOUT, ConnectionLost, transaction
from relationship_worker.storage.positions import Fenced, advance, applied, take_over
from storage.locks import somebody_waits_for_a_lock

TOPIC = "relationship-decisions"


async def taken(database, *, partition=0, first=0):
    async with transaction(database) as tx:
        return await take_over(tx, TOPIC, partition, first=first)


async def advanced(database, tenure, position):
    async with transaction(database) as tx:
        await advance(tx, tenure, position=position)


async def test_a_partition_that_nobody_had_begins_where_it_is_said_to(database):
    tenure, position = await taken(database, first=17)

    assert position == 17
    assert (tenure.topic, tenure.partition) == (TOPIC, 0)


async def test_whoever_takes_over_goes_on_where_the_former_owner_stopped(database):
    former, _ = await taken(database)
    await advanced(database, former, 500)

    tenure, position = await taken(database, first=17)

    assert position == 500
    assert tenure.epoch > former.epoch


async def test_a_worker_that_lost_the_partition_is_fenced_and_moves_nothing(database):
    former, _ = await taken(database)
    tenure, _ = await taken(database)
    await advanced(database, tenure, 3)

    with pytest.raises(Fenced):
        await advanced(database, former, 500)

    async with transaction(database) as tx:
        assert await applied(tx) == {(TOPIC, 0): 3}


async def test_taking_over_twice_fences_ones_own_former_self(database):
    first, _ = await taken(database)
    await taken(database)
    third, _ = await taken(database)

    with pytest.raises(Fenced):
        await advanced(database, first, 1)
    await advanced(database, third, 1)


async def test_a_position_never_goes_back(database):
    tenure, _ = await taken(database, first=10)
    await advanced(database, tenure, 20)

    with pytest.raises(Fenced):
        await advanced(database, tenure, 19)

    await advanced(database, tenure, 20)


async def test_partitions_are_apart(database):
    first, _ = await taken(database, partition=0)
    second, _ = await taken(database, partition=1, first=7)

    await advanced(database, first, 5)
    await advanced(database, second, 9)

    async with transaction(database) as tx:
        assert await applied(tx) == {(TOPIC, 0): 5, (TOPIC, 1): 9}


async def test_topics_are_apart(database):
    tenure, _ = await taken(database)
    async with transaction(database) as tx:
        _, position = await take_over(tx, "connection-requests", 0, first=4)

    await advanced(database, tenure, 5)

    assert position == 4
    async with transaction(database) as tx:
        assert await applied(tx) == {(TOPIC, 0): 5, ("connection-requests", 0): 4}


async def test_taking_over_waits_for_what_the_former_owner_is_committing(database):
    former, _ = await taken(database)

    async with transaction(database) as tx:
        await advance(tx, former, position=500)
        successor = asyncio.create_task(taken(database))
        await somebody_waits_for_a_lock(database)

    _, position = await successor
    assert position == 500


async def test_what_the_former_owner_rolled_back_is_not_done(database):
    former, _ = await taken(database)

    async with database.connect() as tx:
        await advance(tx, former, position=500)
        successor = asyncio.create_task(taken(database))
        await somebody_waits_for_a_lock(database)
        await tx.rollback()

    _, position = await successor
    assert position == 0


async def test_the_former_owner_waits_for_a_take_over_and_is_fenced_by_it(database):
    former, _ = await taken(database)

    async with transaction(database) as tx:
        await take_over(tx, TOPIC, 0, first=0)
        late = asyncio.create_task(advanced(database, former, 500))
        await somebody_waits_for_a_lock(database)

    with pytest.raises(Fenced):
        await late


async def test_a_fenced_transaction_leaves_nothing_behind(database):
    former, _ = await taken(database)
    other, _ = await taken(database, partition=1)
    await taken(database)

    async with database.connect() as tx:
        await advance(tx, other, position=9)
        with pytest.raises(Fenced):
            await advance(tx, former, position=500)
        await tx.rollback()

    async with transaction(database) as tx:
        assert await applied(tx) == {(TOPIC, 0): 0, (TOPIC, 1): 0}


async def between_two_statements(tx):
    """Idle, as the server sees it."""


async def amid_preparing(tx):
    """The server has read a statement and waits for its values: at work, as it sees it."""
    await driver(tx).prepare("SELECT 'not asked before'")


async def amid_a_copy(tx):
    """The server waits for rows, and heeds neither its own time-outs nor a cancel meanwhile."""
    begun = asyncio.Event()

    async def rows_that_never_come():
        begun.set()
        await asyncio.Event().wait()
        yield b""

    copying = driver(tx).copy_to_table("inbox", source=rows_that_never_come(), timeout=3_600)
    tx.info["copying"] = asyncio.create_task(copying)
    await begun.wait()


async def taken_at_last(database):
    """Tries again and again, as a lane does."""
    while True:
        with contextlib.suppress(*ConnectionLost):
            return (await taken(database))[1]


def driver(tx):
    return tx.sync_connection.connection.driver_connection


@pytest.mark.parametrize("falls_silent", [between_two_statements, amid_preparing, amid_a_copy])
async def test_a_worker_that_falls_silent_amid_a_transaction_holds_its_successor_up_for_some_seconds_only(
    database, falls_silent
):
    """Its process is frozen, or its network gone: its connection stays open, and with it what it has locked."""
    former, _ = await taken(database)
    others = asyncio.create_task(
        run_periodically(Silence(database=database).run_once, every=TICK, name="silence", until=asyncio.Event())
    )

    async with database.connect() as tx:
        await advance(tx, former, position=1)
        await falls_silent(tx)
        position = await asyncio.wait_for(taken_at_last(database), 2 * COMMAND_TIMEOUT)
        driver(tx).terminate()
        await tx.invalidate()

    assert position == 0
    others.cancel()
