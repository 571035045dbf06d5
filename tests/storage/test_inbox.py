"""Events of the relationship topics are used up once."""

import asyncio

from builders import NOON
from relationship_worker.storage.database import transaction
from relationship_worker.storage.inbox import give_back, use_up
from storage.locks import somebody_waits_for_a_lock

A, B, C = (bytes([n]) * 16 for n in (1, 2, 3))
DATA, OTHER_DATA = b"\x01" * 8, b"\x02" * 8


async def used_up(database, events):
    async with transaction(database) as tx:
        return await use_up(tx, events, now=NOON)


async def test_new_events_were_not_here_before(database):
    assert await used_up(database, {A: DATA, B: OTHER_DATA}) == {}


async def test_a_repeated_event_is_recognised_beside_new_ones(database):
    await used_up(database, {A: DATA})

    assert await used_up(database, {B: DATA, A: DATA, C: DATA}) == {A: DATA}


async def test_of_a_conflicting_event_the_hash_of_then_is_told_and_stays(database):
    await used_up(database, {A: DATA})

    assert await used_up(database, {A: OTHER_DATA}) == {A: DATA}
    assert await used_up(database, {A: OTHER_DATA}) == {A: DATA}


async def test_nothing_is_asked_and_nothing_told(database):
    assert await used_up(database, {}) == {}


async def test_an_event_that_was_given_back_may_come_again(database):
    await used_up(database, {A: DATA, B: DATA})

    async with transaction(database) as tx:
        await give_back(tx, [A, C])

    assert await used_up(database, {A: OTHER_DATA, B: DATA}) == {B: DATA}


async def test_what_was_rolled_back_used_up_nothing(database):
    async with database.connect() as tx:
        await use_up(tx, {A: DATA}, now=NOON)
        await tx.rollback()

    assert await used_up(database, {A: OTHER_DATA}) == {}


async def test_two_transactions_with_the_same_event_wait_for_each_other(database):
    async with transaction(database) as tx:
        await use_up(tx, {A: DATA}, now=NOON)
        second = asyncio.create_task(used_up(database, {A: OTHER_DATA, B: DATA}))
        await somebody_waits_for_a_lock(database)

    assert await second == {A: DATA}


async def test_the_second_transaction_has_the_event_where_the_first_gives_it_up(database):
    async with database.connect() as tx:
        await use_up(tx, {A: DATA}, now=NOON)
        second = asyncio.create_task(used_up(database, {A: OTHER_DATA}))
        await somebody_waits_for_a_lock(database)
        await tx.rollback()

    assert await second == {}


async def test_transactions_with_the_same_events_do_not_wait_in_a_circle(database):
    async with transaction(database) as tx:
        await use_up(tx, {A: DATA}, now=NOON)
        second = asyncio.create_task(used_up(database, {C: DATA, B: DATA, A: DATA}))
        await somebody_waits_for_a_lock(database)
        await use_up(tx, {C: DATA, B: DATA}, now=NOON)

    assert await second == {A: DATA, B: DATA, C: DATA}
