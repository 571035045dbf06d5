"""Relationships by the million, written past the careful lane: orders are answered as if they had come by it.

Each is a partner with a number, by two versions, a request and an acceptance, that were known before any order came.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg

from benchmarks.load import SUPPLIERS_OF_A_CUSTOMER, Load

AT_ONCE = 250_000  # relationships written by one statement
PATIENCE = 1_200  # seconds for a statement; ten million take a minute or two for each index
FIRST_VERSIONS = 2  # that each relationship has from here

_SETTINGS = """
INSERT INTO supplier_settings (supplier_id, change, valid_from, recorded_at, settings, event_id, event_source)
SELECT 's' || s, 1, '2020-01-01Z', now(),
       jsonb_build_object('default_customer_number', 'D' || s, 'time_zone', 'Europe/Berlin', 'reminder_time', '08:00',
                          'partner_without_number', 'default', 'public_catalogue', 'individual_first',
                          'customer_number_max_length', 20, 'correction_window_hours', 72), 'bench', 'bench'
FROM generate_series(0, $1 - 1) AS s"""

_PAIR = f"'s' || r % $1::int, 'c' || r / {SUPPLIERS_OF_A_CUSTOMER}"

_VERSIONS = f"""
INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state, customer_number,
    brings_number, valid_from, recorded_at, previously_rejected, settings_change, event_id, event_source)
SELECT {_PAIR}, v, 'bench', CASE v WHEN 1 THEN 'requested' ELSE 'partner' END,
       CASE v WHEN 1 THEN 'none' ELSE 'requested' END, CASE v WHEN 2 THEN 'N' || r END, v = 2,
       '2020-01-01Z'::timestamptz + v * interval '1 day', now(), false, 1, 'bench', 'bench'
FROM generate_series($2::int, $3::int - 1) AS r, generate_series(1, 2) AS v"""

_NEWEST = f"""
INSERT INTO relationships (supplier_id, customer_id, state, version, valid_from, customer_number)
SELECT {_PAIR}, 'partner', 2, '2020-01-03Z', 'N' || r FROM generate_series($2::int, $3::int - 1) AS r"""


async def fill_relationships(database_url: str, load: Load) -> None:
    """Relationships, their history, and a default number for every supplier, into a schema that holds none yet."""
    connection = await asyncpg.connect(database_url, command_timeout=PATIENCE)
    try:
        await connection.execute(_SETTINGS, load.suppliers)
        tables = ("relationship_history", "relationships")
        async with without_indexes(connection, tables):
            for first in range(0, load.relationships, AT_ONCE):
                last = min(first + AT_ONCE, load.relationships)
                await connection.execute(_VERSIONS, load.suppliers, first, last)
                await connection.execute(_NEWEST, load.suppliers, first, last)
        await connection.execute(f"VACUUM ANALYZE supplier_settings, {', '.join(tables)}")
        await connection.execute("CHECKPOINT")  # not while orders are measured
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def without_indexes(connection: asyncpg.Connection, tables: Sequence[str]) -> AsyncIterator[None]:
    """Written first and sorted once: a fifth of the time that ten million rows take with their indexes in place."""
    names = "SELECT unnest($1::text[])::regclass"
    keys = await connection.fetch(
        f"""SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition
            FROM pg_constraint WHERE contype = 'p' AND conrelid IN ({names})""",
        tables,
    )
    indexes = await connection.fetch(
        f"""SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
            FROM pg_index WHERE NOT indisprimary AND indrelid IN ({names})""",
        tables,
    )
    for key in keys:
        await connection.execute(f"ALTER TABLE {key['table']} DROP CONSTRAINT {key['name']}")
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for key in keys:
        await connection.execute(f"ALTER TABLE {key['table']} ADD CONSTRAINT {key['name']} {key['definition']}")
    for index in indexes:
        await connection.execute(index["definition"])
