"""The database's schema: made once, by whoever comes first, and checked by everybody."""

import asyncio

import pytest
from sqlalchemy import make_url

from relationship_worker.storage.database import (
    ADMITS,
    ConnectionLost,
    SchemaMismatch,
    WorkerTooOld,
    alone,
    check_release,
    check_schema_in,
    migrate,
    open_database,
    rows,
    run,
    schema_version,
    transaction,
)
from relationship_worker.storage.notes import note, write_note


@pytest.fixture
async def empty_database(empty_database_url):
    engine = open_database(empty_database_url, connections=3)
    yield engine
    await engine.dispose()


async def check_schema(database) -> None:
    """As a start does it."""
    async with database.connect() as tx:
        await check_schema_in(tx)


async def tables(database) -> set[str]:
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row.tablename for row in found}


async def test_a_migrated_database_has_the_schema_of_this_worker(empty_database):
    await migrate(empty_database)

    await check_schema(empty_database)
    assert {"positions", "inbox", "relationships", "answers", "outbox"} <= await tables(empty_database)


async def test_migrating_again_keeps_what_is_there(database):
    async with transaction(database) as tx:
        await write_note(tx, "a note", "kept")

    await migrate(database)
    await migrate(database)

    await check_schema(database)
    async with transaction(database) as tx:
        assert await note(tx, "a note") == "kept"


async def test_two_who_migrate_at_once_wait_for_each_other(empty_database):
    await asyncio.gather(migrate(empty_database), migrate(empty_database))

    await check_schema(empty_database)


async def test_a_database_without_a_schema_is_named_with_what_to_do(empty_database):
    with pytest.raises(SchemaMismatch, match=r"no schema, .* needs version \w+: run `relationship-worker init`"):
        await check_schema(empty_database)


async def test_an_older_schema_is_named_with_what_to_do(empty_database):
    await migrate(empty_database, to="0007")

    with pytest.raises(SchemaMismatch, match=r"has version 0007, .* needs version \w+: run `relationship-worker init`"):
        await check_schema(empty_database)


async def of_a_later_release(database, admits: str | None) -> None:
    """As a later release's `init` leaves it, which says which workers may still run on it."""
    async with transaction(database) as tx:
        await run(tx, "UPDATE alembic_version SET version_num = '9999'")
        await run(tx, "DELETE FROM notes WHERE name = :name", {"name": ADMITS})
        if admits is not None:
            await write_note(tx, ADMITS, admits)


@pytest.mark.parametrize("admits", ["0001", schema_version()])
async def test_a_later_schema_that_admits_this_worker_is_taken_as_it_is(database, admits):
    await of_a_later_release(database, admits)

    await migrate(database)

    await check_schema(database)
    async with transaction(database) as tx:
        [row] = await rows(tx, "SELECT version_num FROM alembic_version")
        assert (row.version_num, await note(tx, ADMITS)) == ("9999", admits)


@pytest.mark.parametrize(("admits", "named"), [("9998", "9998"), (None, "9999")])
async def test_a_worker_that_a_later_schema_does_not_admit_is_too_old(database, admits, named):
    await of_a_later_release(database, admits)

    for asked in (check_schema, migrate):
        with pytest.raises(WorkerTooOld, match=f"version 9999, which admits workers of version {named} or later"):
            await asked(database)


async def test_a_migration_that_says_nothing_admits_no_older_worker(empty_database):
    await migrate(empty_database)

    async with transaction(empty_database) as tx:
        assert await note(tx, ADMITS) == schema_version()


async def test_a_schema_that_was_begun_and_never_made_is_no_schema(database):
    async with transaction(database) as tx:
        await run(tx, "DELETE FROM alembic_version")

    with pytest.raises(SchemaMismatch, match="no schema"):
        await check_schema(database)


async def test_a_server_that_is_too_old_is_named_with_what_to_do(database):
    async with transaction(database) as tx:
        with pytest.raises(SchemaMismatch, match=r"this is PostgreSQL \d+, the worker needs 99 or newer: upgrade"):
            await check_release(tx, oldest=99)


async def test_a_database_that_is_not_there_is_no_wrong_schema(database_url):
    nowhere = open_database(
        make_url(database_url).set(database="never_made").render_as_string(hide_password=False), connections=1
    )

    with pytest.raises(ConnectionLost):
        await check_schema(nowhere)

    await nowhere.dispose()


async def test_a_transaction_that_fails_leaves_nothing(database):
    async def fail():
        async with transaction(database) as tx:
            await write_note(tx, "a note", "never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with transaction(database) as tx:
        assert await note(tx, "a note") is None


async def test_a_note_is_written_over(database):
    async with transaction(database) as tx:
        await write_note(tx, "a note", "old")
        await write_note(tx, "a note", "new")
        await write_note(tx, "another", "other")

    async with transaction(database) as tx:
        assert await note(tx, "a note") == "new"


async def test_one_at_a_time_does_a_task_and_nobody_waits(database):
    async with transaction(database) as first, transaction(database) as second:
        assert await alone(first, "reminders")
        assert not await alone(second, "reminders")
        assert await alone(second, "parked decisions")


async def test_whoever_does_a_task_alone_may_ask_again(database):
    async with transaction(database) as tx:
        assert await alone(tx, "reminders")
        assert await alone(tx, "reminders")


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_task_is_free_again_when_its_transaction_ends(database, end):
    async with database.connect() as tx:
        assert await alone(tx, "reminders")
        await getattr(tx, end)()

        async with transaction(database) as other:
            assert await alone(other, "reminders")


async def test_the_newest_migration_is_the_schemas_version(empty_database):
    await migrate(empty_database)

    async with transaction(empty_database) as tx:
        [row] = await rows(tx, "SELECT version_num FROM alembic_version")
    assert row.version_num == schema_version()


async def test_requests_that_were_open_before_the_overview_keep_their_age_and_day(empty_database):
    database = empty_database
    await migrate(database, to="0002")
    async with transaction(database) as tx:
        for statement in (
            """INSERT INTO relationships (supplier_id, customer_id, state, version)
               VALUES ('s', 'a', 'deferred', 5), ('s', 'b', 'partner', 2), ('s', 'c', 'deferred', 2)""",
            """INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state,
                                                 brings_number, valid_from, recorded_at, resubmission_date,
                                                 previously_rejected, event_id, event_source)
               SELECT 's', c, v, '', state, '', false, date '2026-01-01' + v, now(), day::date, false, '', ''
               FROM (VALUES ('a', 1, 'requested', NULL), ('a', 2, 'rejected', NULL), ('a', 3, 'requested', NULL),
                            ('a', 4, 'deferred', '2026-04-01'), ('a', 5, 'deferred', '2026-05-01'),
                            ('b', 1, 'requested', NULL), ('b', 2, 'partner', NULL),
                            ('c', 1, 'requested', NULL), ('c', 2, 'deferred', NULL)) AS t (c, v, state, day)""",
        ):
            await run(tx, statement)

    await migrate(database)

    async with transaction(database) as tx:
        found = await rows(
            tx, "SELECT open_since::date::text, resubmission_date::text FROM relationships ORDER BY customer_id"
        )
    assert [tuple(row) for row in found] == [("2026-01-04", "2026-05-01"), (None, None), ("2026-01-02", None)]
