"""What is kept how long: a partition per thirty days, and no promise that ends where a period does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from builders import NOON
from relationship_worker.roads.retention import Retention
from relationship_worker.storage import inbox, periods
from relationship_worker.storage.answers import (
    AnsweredBefore,
    events_before,
    remember_first,
    remember_repeated,
    told_last,
)
from relationship_worker.storage.database import alone, migrate, rows, run, transaction
from storage.locks import somebody_waits_for_a_lock
from storage.test_answers import an_answer, as_new, as_told, at_once, key

DAY = timedelta(days=1)
EVENT, DATA, OTHER = b"e" * 16, b"d" * 8, b"o" * 8
START = datetime(2026, 3, 1, tzinfo=UTC)


async def clock(database, at: datetime) -> None:
    """The database's clock stands at this moment."""
    async with transaction(database) as tx:
        await run(tx, "UPDATE standing_clock SET at = :at", {"at": at})


async def start_of_next_period(database) -> datetime:
    async with transaction(database) as tx:
        [row] = await rows(tx, "SELECT period_start(period_of(period_clock()) + 1) AS at")
    return row.at


@pytest.fixture
async def periods_of_a_spring(database):
    """The database's clock stands in the middle of a period."""
    async with transaction(database) as tx:
        await run(tx, "CREATE TABLE standing_clock (at timestamptz)")
        await run(tx, "INSERT INTO standing_clock VALUES (:at)", {"at": START})
        await run(
            tx,
            """CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS
               $$ BEGIN RETURN (SELECT at FROM standing_clock); END $$""",
        )
    await clock(database, await start_of_next_period(database) + 15 * DAY)
    return database


async def next_period(database, *, after: timedelta = timedelta(days=3)) -> None:
    await clock(database, await start_of_next_period(database) + after)


async def answered(database, *given):
    async with transaction(database) as tx:
        return await remember_first(tx, given, period=await periods.enter(tx), now=NOON)


async def used_up(database, data=DATA):
    async with transaction(database) as tx:
        return await inbox.use_up(tx, {EVENT: data}, now=NOON)


async def parts(database) -> list[tuple[str, int]]:
    """The partitions that hold rows, and how many."""
    async with transaction(database) as tx:
        found = await rows(
            tx,
            """SELECT tableoid::regclass::text AS part, count(*) AS rows FROM answers GROUP BY 1
               UNION ALL SELECT tableoid::regclass::text, count(*) FROM inbox GROUP BY 1 ORDER BY 1""",
        )
    return [(row.part.partition("_")[0], row.rows) for row in found]


async def retention(database, *, answers: int = 90, ids: int = 90) -> None:
    await Retention(database=database, answers=timedelta(days=answers), inbox=timedelta(days=ids)).run_once()


async def test_the_first_answer_stands_over_periods(periods_of_a_spring):
    database = periods_of_a_spring
    await answered(database, an_answer(1, answer='"first"'))
    await next_period(database)

    assert await answered(database, an_answer(2, answer='"second"'), an_answer(1, "o-9"), an_answer(3, "o-3")) == {
        key(3)
    }

    async with transaction(database) as tx:
        assert await told_last(tx, [("s-1", "o-1")]) == {("s-1", "o-1"): '"first"'}
        assert await events_before(tx, [key(1)]) == {key(1): as_told(an_answer(1, answer='"first"'))}
    assert await parts(database) == [("answers", 1), ("answers", 1)]


@pytest.mark.parametrize("again", [an_answer(1, "o-2"), an_answer(2, "o-1")])
async def test_an_answer_of_an_earlier_period_is_known_to_whoever_expects_new_ones(periods_of_a_spring, again):
    database = periods_of_a_spring
    await as_new(database, an_answer(1, "o-1"))
    await next_period(database)
    await as_new(database, an_answer(3, "o-3"))
    await next_period(database)

    with pytest.raises(AnsweredBefore):
        await as_new(database, an_answer(4, "o-4"), again)
    assert not await at_once(database, an_answer(4, "o-4"), again)
    await as_new(database, an_answer(4, "o-4"))


async def test_an_answer_is_known_where_another_servers_clock_is_behind_and_the_period_comes_again(periods_of_a_spring):
    database = periods_of_a_spring
    change = await start_of_next_period(database)
    await clock(database, change + timedelta(seconds=2))
    await as_new(database, an_answer(1, "o-1"))
    await clock(database, change - timedelta(seconds=2))

    for again in (an_answer(1, "o-2"), an_answer(2, "o-1")):
        assert not await at_once(database, again)
        with pytest.raises(AnsweredBefore):
            await as_new(database, again)


async def test_an_event_is_used_up_over_periods(periods_of_a_spring):
    database = periods_of_a_spring
    assert await used_up(database) == {}
    await next_period(database)

    assert await used_up(database) == {EVENT: DATA}
    assert await used_up(database, OTHER) == {EVENT: DATA}


async def test_a_repeated_order_is_known_by_its_event_when_its_first_answer_is_gone(periods_of_a_spring):
    database = periods_of_a_spring
    await answered(database, an_answer(1))
    for _ in range(3):
        await next_period(database)
    async with transaction(database) as tx:
        await remember_repeated(tx, [an_answer(2)], period=await periods.enter(tx), now=NOON)
    await next_period(database)
    await retention(database)

    assert await answered(database, an_answer(2)) == set()
    async with transaction(database) as tx:
        assert await remember_repeated(tx, [an_answer(2)], period=await periods.enter(tx), now=NOON) == set()


async def test_what_is_old_enough_goes_and_the_rest_stays(periods_of_a_spring):
    database = periods_of_a_spring
    for n in range(6):
        await answered(database, an_answer(n, f"o-{n}"))
        async with transaction(database) as tx:
            await inbox.use_up(tx, {bytes([n]) * 16: DATA}, now=NOON)
        await next_period(database)

    await retention(database, answers=90, ids=30)

    async with transaction(database) as tx:
        orders = [row.order_id for row in await rows(tx, "SELECT order_id FROM answers ORDER BY order_id")]
        events = [row.event_key[0] for row in await rows(tx, "SELECT event_key FROM inbox ORDER BY event_key")]
    assert orders == ["o-3", "o-4", "o-5"]  # from the period on in which the ninetieth day before lies
    assert events == [5]


async def test_it_takes_no_rows_one_by_one(periods_of_a_spring):
    """Nothing is deleted: a partition goes, and its rows with it."""
    database = periods_of_a_spring
    await answered(database, *(an_answer(n, f"o-{n}") for n in range(100)))
    for _ in range(5):
        await next_period(database)

    async with transaction(database) as tx:
        before = await rows(tx, "SELECT relid::regclass::text AS part FROM pg_partition_tree('answers') WHERE isleaf")
    await retention(database)

    async with transaction(database) as tx:
        after = await rows(tx, "SELECT relid::regclass::text AS part FROM pg_partition_tree('answers') WHERE isleaf")
    old = {row.part for row in before} - {row.part for row in after}
    assert len(old) >= 1
    async with transaction(database) as tx:
        [gone] = await rows(tx, "SELECT count(*) AS n FROM pg_class WHERE relname = ANY(:names)", {"names": list(old)})
    assert gone.n == 0


async def test_a_removal_that_was_cut_short_is_finished(periods_of_a_spring):
    database = periods_of_a_spring
    await answered(database, an_answer(1))
    for _ in range(5):
        await next_period(database)
    async with transaction(database) as tx:
        [part, *_] = await periods.old_parts(tx, ["answers"], keep=90 * DAY)
        await run(tx, f"ALTER TABLE answers DETACH PARTITION {part.name}")

    await retention(database)

    async with transaction(database) as tx:
        assert await periods.old_parts(tx, ["answers"], keep=90 * DAY) == []


async def test_a_removal_that_was_cut_short_while_it_waited_for_a_reader_is_finished(periods_of_a_spring):
    database = periods_of_a_spring
    await answered(database, an_answer(1))
    for _ in range(5):
        await next_period(database)
    async with transaction(database) as tx:
        [part, *_] = await periods.old_parts(tx, ["answers"], keep=90 * DAY)
    await begin_to_remove(database, part)

    await retention(database)

    async with transaction(database) as tx:
        assert await periods.old_parts(tx, ["answers"], keep=90 * DAY) == []


async def test_corrections_that_are_not_told_yet_are_kept(periods_of_a_spring):
    database = periods_of_a_spring
    async with transaction(database) as tx:
        await periods.enter(tx)
        await run(tx, "INSERT INTO correction_lanes (partition, last, told) VALUES (0, 1, 0)")
        await run(
            tx,
            """INSERT INTO corrections (partition, number, after, supplier_id, order_id, order_event, previous, answer,
                                        event_key, event_id, event_source, trace, decided_at, period)
               VALUES (0, 1, 0, 's', 'o', '', '', '', '', '', '', '', now(), period_of(period_clock()))""",
        )
    for _ in range(5):
        await next_period(database)

    await retention(database)
    async with transaction(database) as tx:
        assert len(await rows(tx, "SELECT number FROM corrections")) == 1
        await run(tx, "UPDATE correction_lanes SET told = 1")

    await retention(database)
    async with transaction(database) as tx:
        assert await rows(tx, "SELECT number FROM corrections") == []


async def test_a_period_for_which_nobody_has_made_partitions_is_made_by_whoever_comes_first(periods_of_a_spring):
    database = periods_of_a_spring
    for _ in range(7):
        await next_period(database)

    new = await asyncio.gather(*(answered(database, an_answer(n, f"o-{n}")) for n in range(4)))

    assert new == [{key(n)} for n in range(4)]


async def test_the_present_period_is_made_where_it_is_missing_even_in_its_last_days(periods_of_a_spring):
    database = periods_of_a_spring
    for _ in range(7):
        await next_period(database)
    await clock(database, await start_of_next_period(database) - DAY)

    await retention(database)

    async with transaction(database) as tx:
        made = await rows(
            tx,
            """SELECT to_regclass('answers_p' || period_of(period_clock())) AS present,
                      to_regclass('answers_p' || period_of(period_clock()) + 1) AS next""",
        )
    assert None not in made[0]


async def test_one_process_at_a_time_drops_what_is_old(periods_of_a_spring):
    database = periods_of_a_spring
    await answered(database, an_answer(1))
    for _ in range(5):
        await next_period(database)

    async with transaction(database) as other:
        assert await alone(other, "retention")
        await retention(database)
        assert await parts(database) == [("answers", 1)]
    await asyncio.gather(*(retention(database) for _ in range(3)))

    assert await parts(database) == []


async def test_in_the_first_minute_of_a_period_an_order_waits_for_whoever_answers_it_in_the_one_before(
    periods_of_a_spring,
):
    database = periods_of_a_spring
    async with transaction(database) as late:
        await periods.enter(late)
        await next_period(database, after=timedelta(seconds=20))
        second = asyncio.create_task(answered(database, an_answer(2, answer='"second"')))
        await somebody_waits_for_a_lock(database)
        await run(
            late,
            """INSERT INTO answers (event_key, data_hash, supplier_id, order_id, answer, partition, "offset", answered_at,
                                    period)
               VALUES (:key, '', 's-1', 'o-1', '"first"', 0, 1, now(), period_of(period_clock()) - 1)""",
            {"key": key(1)},
        )

    assert await second == set()
    async with transaction(database) as tx:
        assert await told_last(tx, [("s-1", "o-1")]) == {("s-1", "o-1"): '"first"'}


async def test_after_the_first_minute_orders_are_answered_side_by_side_again(periods_of_a_spring):
    database = periods_of_a_spring
    await next_period(database, after=timedelta(days=-1))
    await periods.make(database)
    await next_period(database, after=timedelta(seconds=61))

    async with transaction(database) as tx:
        await periods.enter(tx)
        assert await answered(database, an_answer(2)) == {key(2)}


async def test_whoever_meets_the_change_itself_begins_anew(periods_of_a_spring):
    database = periods_of_a_spring
    await next_period(database, after=timedelta(seconds=1))
    async with transaction(database) as first:
        await periods.enter(first)
        second = asyncio.create_task(answered(database, an_answer(2)))
        await somebody_waits_for_a_lock(database)
        await next_period(database)

    with pytest.raises(DBAPIError) as why:
        await second
    assert why.value.orig.sqlstate == "40001"  # which a lane takes for an interruption, and does its batch again


async def test_nobody_inserts_for_longer_than_a_period_is_young_whatever_the_server_allows(database):
    """With a short bound in place of the 50 s, and a long one of the session's own."""
    async with transaction(database) as tx:
        [function] = await rows(tx, "SELECT pg_get_functiondef('enter_period'::regproc) AS text")
        assert "'transaction_timeout', '50s'" in function.text
        await tx.exec_driver_sql(function.text.replace("'50s'", "'200ms'"))
    async with database.connect() as session:
        await run(session, "SET transaction_timeout = '60s'")
        await session.commit()

        await periods.enter(session)
        with pytest.raises(DBAPIError):
            await run(session, "SELECT pg_sleep(20)")
        await session.invalidate()


@pytest.fixture
async def empty_database(empty_database_url):
    from relationship_worker.storage.database import open_database

    engine = open_database(empty_database_url, connections=3)
    yield engine
    await engine.dispose()


async def test_what_was_there_before_there_were_periods_is_moved_into_them(empty_database):
    await migrate(empty_database, to="0004")
    columns = 'event_key, data_hash, supplier_id, order_id, answer, partition, "offset", answered_at'
    async with transaction(empty_database) as tx:
        for table in ("answers", "repeated_orders"):
            await run(
                tx,
                f"""INSERT INTO {table} ({columns})
                    SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), '\\x0102030405060708', 's-1', 'o-' || n, '"first"', 0, n,
                           now() - n * interval '25 days' FROM generate_series(1, 5) AS n""",
            )
        await run(tx, "INSERT INTO inbox SELECT :key, :hash, now() - interval '70 days'", {"key": EVENT, "hash": DATA})

    await migrate(empty_database)

    assert await used_up(empty_database, OTHER) == {EVENT: DATA}
    assert await answered(empty_database, an_answer(99, "o-3"), an_answer(98, "o-98")) == {key(98)}
    async with transaction(empty_database) as tx:
        [count] = await rows(tx, "SELECT count(*) AS n, count(DISTINCT period) AS periods FROM repeated_orders")
    assert (count.n, count.periods >= 4) == (5, True)


async def insert_two(database, ago: int, event: str, order: str) -> None:
    async with transaction(database) as tx:
        await run(tx, AN_ANSWER, {"ago": ago, "event": "first", "order": "first"})
        await run(tx, AN_ANSWER, {"ago": ago, "event": event, "order": order})


async def test_keys_hold_in_each_period_that_was_there_before_they_were_made_anew(empty_database):
    """Also where a removal was cut short: such a partition can't be altered, and goes as it is."""
    database = empty_database
    await migrate(database, to="0006")
    async with transaction(database) as tx:
        await run(tx, "SELECT make_period(period_of(period_clock()) - n) FROM generate_series(0, 6) AS n")
        for ago in range(1, 7):
            await run(tx, AN_ANSWER, {"ago": ago, "event": f"e-{ago}", "order": f"o-{ago}"})
        [oldest, *_] = await periods.old_parts(tx, ["answers"], keep=90 * DAY)
    await begin_to_remove(database, oldest)

    await migrate(database)

    assert await answered(database, an_answer(99, "o-3"), an_answer(98, "o-98"), an_answer(98, "o-97")) == {key(98)}
    for ago in range(6):
        for event, order in (("first", "second"), ("second", "first")):
            with pytest.raises(DBAPIError, match="unique"):
                await insert_two(database, ago, event, order)
    await retention(database)
    async with transaction(database) as tx:
        assert await periods.old_parts(tx, ["answers"], keep=90 * DAY) == []


AN_ANSWER = """INSERT INTO answers (event_key, data_hash, supplier_id, order_id, answer, partition, "offset", answered_at,
                                    period)
               VALUES (decode(md5(:event), 'hex'), '\\x0102030405060708', 's-1', :order, '"first"', 0, 0, now(),
                       period_of(period_clock()) - :ago)"""


async def begin_to_remove(database, part: periods.Part) -> None:
    """As `periods.drop` does, which is ended while it waits for somebody who reads."""
    async with database.connect() as reader, database.connect() as connection:
        await rows(reader, f"SELECT count(*) FROM {part.table}")
        remover = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await run(remover, "SET statement_timeout = '300ms'")
        with pytest.raises(DBAPIError, match="statement timeout"):
            await run(remover, f"ALTER TABLE {part.table} DETACH PARTITION {part.name} CONCURRENTLY")
        [begun] = await rows(remover, "SELECT count(*) AS n FROM pg_inherits WHERE inhdetachpending")
        assert begun.n == 1
        await connection.invalidate()
