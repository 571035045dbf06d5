"""Roles: each has the rights that it needs and none more, and a supplier's own reader sees its rows alone."""

import re
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from relationship_worker.roads.retention import Retention
from relationship_worker.storage import periods, roles
from relationship_worker.storage.database import SchemaMismatch, Tx, rows, run, transaction
from storage.deeds import DEEDS
from storage.roles import Roles, end, make, migrated, roles_on

REFUSED = "42501"  # SQLSTATE
NOTHING_THERE = ("42P01", "42883")  # without its schema no table and no function is
LISTED = {"worker": roles.WORKER, "reader": roles.READER, "supplier": roles.SUPPLIER}


def each_right() -> list[tuple[str, str, str]]:
    """Kind of role, what for, right: of columns one by one."""
    found = [
        (kind, table, f"UPDATE ({column})" if column else right)
        for kind, rights in LISTED.items()
        for table, some in rights.items()
        for right in some
        for column in (re.fullmatch(r"UPDATE \((.*)\)", right) or [0, ""])[1].split(", ")
    ]
    found += [("worker", f"FUNCTION {function}", "EXECUTE") for function in roles.FUNCTIONS]
    found += [("worker", "a part of answers", right) for right in roles.PARTS]
    return found + [(kind, "SCHEMA public", "USAGE") for kind in LISTED]


@pytest.fixture(scope="module")
def shared(stack) -> Iterator[Roles]:
    """One database for all rights: each test gives back what it took."""
    with roles_on(stack.database_url) as made:
        yield made


@pytest.fixture
async def own(stack) -> Iterator[Roles]:
    """A database of the test's own."""
    made = await make(stack.database_url)
    try:
        await migrated(made)
        yield made
    finally:
        await end(made)


def who(kind: str) -> str:
    return "shop" if kind == "supplier" else kind


async def refused(made: Roles, kind: str) -> list[str]:
    """Deeds of this role that the database refuses it. Nothing stays of any."""
    found = []
    async with made.engine(who(kind)) as engine, engine.connect() as tx:
        for deed in DEEDS[kind]:
            try:
                await deed(tx)
            except (DBAPIError, asyncpg.PostgresError, SchemaMismatch) as error:  # COPY goes past SQLAlchemy
                state = getattr(getattr(error, "orig", error), "sqlstate", NOTHING_THERE[0])
                if state not in (REFUSED, *NOTHING_THERE):
                    raise
                found.append(deed.__name__)
            await tx.rollback()
    return found


@pytest.mark.parametrize("kind", LISTED)
async def test_a_role_can_do_all_that_it_is_for(shared: Roles, kind: str):
    assert await refused(shared, kind) == []


@pytest.mark.parametrize(("kind", "of", "right"), each_right(), ids=lambda text: text.replace(" ", "_"))
async def test_each_right_is_needed(shared: Roles, kind: str, of: str, right: str):
    role = shared.role(kind)
    things = [of] if of != "a part of answers" else await parts_of_answers(shared)
    listed = LISTED[kind].get(of, [right])
    given = [right] if right in listed else [one for one in listed if one.startswith("UPDATE")]
    await shared.ask(*(f"REVOKE {right} ON {thing} FROM {role}" for thing in things))
    try:
        assert await refused(shared, kind) != []
    finally:
        await shared.ask(*(f"GRANT {one} ON {thing} TO {role}" for thing in things for one in given))


async def parts_of_answers(made: Roles) -> list[str]:
    async with made.engine("owner") as owner, transaction(owner) as tx:
        found = await rows(
            tx,
            """SELECT make_period(period_of(period_clock()) + 1), inhrelid::regclass::text AS name FROM pg_inherits
               WHERE inhparent = 'answers'::regclass""",
        )
    return [row.name for row in found]


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize(
    "act",
    [
        "CREATE TABLE own (n int)",
        "ALTER TABLE answers ADD COLUMN own int",
        "DROP TABLE notes",
        "ALTER TABLE relationships DISABLE ROW LEVEL SECURITY",
        "DROP POLICY supplier ON relationships",
        "TRUNCATE answers",
        "DELETE FROM relationship_history",
        "UPDATE relationship_history SET state = 'partner'",
        "UPDATE answers SET answer = '{}'",
        "DELETE FROM answers",
        "DELETE FROM dead_letter_acts",
        "UPDATE alembic_version SET version_num = '0000'",
        "INSERT INTO supplier_readers VALUES (current_user, 's-2')",
        "CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT now()'",
        "SELECT remove_part('answers', period_of(period_clock()))",
        "SELECT remove_part('relationships', 1)",
    ],
)
async def test_nobody_but_the_owner_changes_the_schema_or_rewrites_history(shared: Roles, kind: str, act: str):
    async with shared.engine(who(kind)) as engine:
        with pytest.raises(DBAPIError) as why:
            async with transaction(engine) as tx:
                await run(tx, act)

    assert why.value.orig.sqlstate == REFUSED


@pytest.mark.parametrize("kind", ["reader", "supplier"])
async def test_whoever_reads_writes_nothing_and_sees_no_partition(shared: Roles, kind: str):
    async with shared.engine("owner") as owner, transaction(owner) as tx:
        found = await rows(
            tx,
            """SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
               AND (has_table_privilege(CAST(:role AS name), c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                    OR has_any_column_privilege(CAST(:role AS name), c.oid, 'INSERT, UPDATE')
                    OR c.relispartition AND has_table_privilege(CAST(:role AS name), c.oid, 'SELECT'))""",
            {"role": shared.role(who(kind))},
        )
    assert [row.relname for row in found] == []


async def fill(tx: Tx, table: str, supplier: str, n: int) -> None:
    """A row of this supplier, whatever else the table wants."""
    values = {"text": f"'t{n}'", "name": "'nobody'", "bytea": f"'\\x{n:02}'", "timestamptz": "now()", "date": "now()",
              "jsonb": "'{}'", "bool": "false", "int4": str(n), "int8": str(n)}  # fmt: skip
    columns = await rows(
        tx,
        """SELECT a.attname AS name, t.typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
           WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND a.attnotnull AND NOT a.atthasdef
                 AND a.attidentity = '' AND a.attname NOT IN ('supplier_id', 'period')""",
        {"table": table},
    )
    given = {"supplier_id": f"'{supplier}'"} | {row.name: values[row.type] for row in columns}
    if table in ("answers", "repeated_orders", "corrections"):
        given["period"] = "period_of(period_clock())"
    names = ", ".join(f'"{name}"' for name in given)
    await run(tx, f"INSERT INTO {table} ({names}) VALUES ({', '.join(given.values())})".replace(":", "\\:"))


async def test_a_suppliers_own_reader_sees_its_rows_alone_in_every_table(own: Roles):
    """Whatever it was granted: each table that says whose a row is, as the catalogue has them, is asked."""
    async with own.engine("owner") as owner, transaction(owner) as tx:
        tables = await roles.supplier_tables(tx)
        for table in tables:
            await fill(tx, table, "s-1", 1)
            await fill(tx, table, "s-2", 2)
        await run(tx, f"INSERT INTO supplier_readers VALUES ('{own.role('shop')}', 's-1')")
        await run(tx, f"GRANT SELECT ON {', '.join(tables)} TO {own.role('supplier')}, {own.role('reader')}")
        await run(tx, f"GRANT SELECT ON {', '.join(tables)} TO PUBLIC")

    async def seen(kind: str) -> dict[str, set[str]]:
        async with own.engine(kind) as engine, transaction(engine) as tx:
            return {t: {r.supplier_id for r in await rows(tx, f"SELECT supplier_id FROM {t}")} for t in tables}

    assert len(tables) >= 14
    assert {t: found for t, found in (await seen("shop")).items() if found != {"s-1"}} == {}
    others = [t for t in tables if t != "supplier_readers"]  # who may read which is nobody's business but the owner's
    for kind in ("worker", "reader"):
        found = await seen(kind)
        assert {t: found[t] for t in others if found[t] != {"s-1", "s-2"}} == {}


async def test_a_role_that_belongs_to_no_supplier_sees_nothing(own: Roles):
    async with own.engine("owner") as owner, transaction(owner) as tx:
        await fill(tx, "relationships", "s-1", 1)

    async with own.engine("shop") as engine, transaction(engine) as tx:
        assert await rows(tx, "SELECT supplier_id FROM relationships") == []


async def test_a_table_that_is_made_later_is_isolated_by_the_next_init(own: Roles):
    await own.ask("CREATE TABLE later (supplier_id text)", "INSERT INTO later VALUES ('s-2')")
    await migrated(own)
    await own.ask(f"GRANT SELECT ON later TO {own.role('supplier')}")

    async with own.engine("shop") as engine, transaction(engine) as tx:
        assert await rows(tx, "SELECT supplier_id FROM later") == []


async def test_rights_are_given_again_without_a_lock_that_others_wait_for(own: Roles):
    async with own.engine("worker") as worker, transaction(worker) as tx:
        await rows(tx, "SELECT supplier_id FROM relationships")

        await migrated(own)  # would wait for this transaction for ever


async def test_a_worker_without_its_policy_does_not_start(own: Roles):
    async with own.engine("worker") as worker, transaction(worker) as tx:
        await roles.check_worker(tx)
    await own.ask("DROP POLICY worker ON answers")

    async with own.engine("worker") as worker, transaction(worker) as tx:
        with pytest.raises(
            SchemaMismatch, match=r"has not been given a worker's rights: run .*_DATABASE_WORKER_ROLE=r_"
        ):
            await roles.check_worker(tx)


async def test_a_role_that_is_not_there_is_named_with_what_to_do(own: Roles):
    async with own.engine("owner") as owner, transaction(owner) as tx:
        with pytest.raises(SchemaMismatch, match=r"no role nobody_at_all: make it \(deploy/postgresql-roles\.sql\)"):
            await roles.grant(tx, "nobody_at_all")


async def moved_on(made: Roles, periods_on: int) -> None:
    """The database's clock, which the worker reads and does not set."""
    await made.ask(
        "CREATE TABLE IF NOT EXISTS standing_clock (ahead int)",
        f"GRANT SELECT ON standing_clock TO {made.role('worker')}",
        "DELETE FROM standing_clock",
        f"INSERT INTO standing_clock VALUES ({periods_on})",
        """CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS
           $$ BEGIN RETURN clock_timestamp() + (SELECT ahead FROM standing_clock) * interval '30 days'; END $$""",
    )


async def parts(made: Roles) -> set[int]:
    async with made.engine("owner") as owner, transaction(owner) as tx:
        found = await rows(
            tx, r"SELECT substring(relname FROM '\d+$')::int AS n FROM pg_class WHERE relname ~ '^answers_p\d+$'"
        )
    return {row.n for row in found}


async def test_a_worker_that_owns_nothing_makes_periods_and_removes_old_ones(own: Roles):
    [first] = await parts(own)
    await moved_on(own, 6)

    async with own.engine("worker") as worker:
        await Retention(database=worker, answers=timedelta(days=90), inbox=timedelta(days=90)).run_once()
        async with worker.connect() as tx:
            for deed in DEEDS["worker"]:
                await deed(tx)
                await tx.rollback()

    assert first not in await parts(own)
    assert first + 6 in await parts(own)


async def test_a_period_that_is_read_stays_until_nobody_reads_it(own: Roles):
    [first] = await parts(own)
    await moved_on(own, 6)

    async with own.engine("worker") as worker:
        kept = Retention(database=worker, answers=timedelta(days=90), inbox=timedelta(days=90))
        async with own.engine("owner") as owner, transaction(owner) as reader:
            await rows(reader, "SELECT count(*) FROM answers")
            await kept.run_once()
            assert first in await parts(own)
        await kept.run_once()

    assert first not in await parts(own)


async def test_a_removal_that_the_owner_began_is_finished_by_the_worker(own: Roles):
    await moved_on(own, 6)
    async with own.engine("owner") as owner:
        async with transaction(owner) as tx:
            [part, *_] = await periods.old_parts(tx, ["answers"], keep=timedelta(days=90))
        async with owner.connect() as reader, owner.connect() as connection:
            await rows(reader, "SELECT count(*) FROM answers")
            remover = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await run(remover, "SET statement_timeout = '300ms'")
            with pytest.raises(DBAPIError, match="statement timeout"):
                await run(remover, f"ALTER TABLE answers DETACH PARTITION {part.name} CONCURRENTLY")
            await connection.invalidate()

    async with own.engine("worker") as worker:
        await Retention(database=worker, answers=timedelta(days=90), inbox=timedelta(days=90)).run_once()

    assert part.period not in await parts(own)


async def test_corrections_that_are_not_told_yet_are_kept_whoever_asks(own: Roles):
    async with own.engine("owner") as owner, transaction(owner) as tx:
        await fill(tx, "corrections", "s-1", 1)
        await run(tx, "INSERT INTO correction_lanes (partition, last, told) VALUES (1, 1, 0)")
        [row] = await rows(tx, "SELECT period FROM corrections")
    await moved_on(own, 6)

    async with own.engine("worker") as worker, transaction(worker) as tx:
        with pytest.raises(DBAPIError, match="not told yet"):
            await run(tx, "SELECT remove_part('corrections', :period)", {"period": row.period})


LOOKS = [
    "SELECT version, state FROM relationships WHERE supplier_id = 's-1' AND customer_id = 'anna'",
    "SELECT version FROM relationship_history WHERE known_in >= '7'::xid8 AND NOT pg_visible_in_snapshot(known_in, '7:7:')",
    "SELECT settings FROM supplier_settings WHERE supplier_id = ANY('{s-1,s-2}') ORDER BY supplier_id, change",
    "SELECT FROM answers WHERE event_key = ANY('{a,b}')",
    "SELECT FROM repeated_orders WHERE event_key = ANY('{a,b}')",
    """SELECT a.answer FROM answers a JOIN unnest('{s-1}'::text[], '{o-1}'::text[]) AS t (s, o)
       ON a.supplier_id = t.s AND a.order_id = t.o ORDER BY a.supplier_id, a.order_id FOR SHARE OF a""",
    "UPDATE answers SET open = false WHERE supplier_id = 's-1' AND order_id = 'o-1'",
    """SELECT order_id FROM answers WHERE customer_id = 'anna' AND supplier_id = 's-1' AND order_id > 'o'
       ORDER BY order_id LIMIT 9""",
]


@pytest.mark.parametrize("look", LOOKS)
async def test_the_workers_policy_leaves_every_plan_as_the_owner_has_it(shared: Roles, look: str):
    async def plan(kind: str) -> list[str]:
        async with shared.engine(kind) as engine, transaction(engine) as tx:
            await run(tx, "SET LOCAL enable_seqscan = off")
            return [row[0] for row in await rows(tx, f"EXPLAIN (COSTS OFF) {look}")]

    of_the_worker = await plan("worker")

    assert of_the_worker == await plan("owner")
    assert "Index" in " ".join(of_the_worker)
