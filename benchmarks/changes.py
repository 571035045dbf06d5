"""Relationship changes at a steady rate beside the orders, and whether the orders were answered right.

Changes are written past the careful lane, many at once: the newest version in `relationships`, and a row of history that
names the transaction that brought it, as the lane writes it. What only corrections go by (`new_facts`) is left out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import asyncpg

from benchmarks.contenders import Course
from benchmarks.load import CREATED_WITHIN, FIRST_CREATED, SUPPLIERS_OF_A_CUSTOMER, Load
from benchmarks.relationships import FIRST_VERSIONS, PATIENCE

TICK = 0.05  # seconds: 500 changes a transaction at 10,000 a second, as many as a batch of decisions
WALK = (
    20  # seconds in which the changes' own time goes over that of the orders: early ones are as of before most orders
)

_CHANGE = f"""
WITH changed AS (
    UPDATE relationships
    SET version = version + 1, valid_from = $5, customer_number = 'N' || t.r || '.' || version + 1
    FROM (SELECT n % $2::int AS r FROM generate_series($3::int, $4::int - 1) AS n) AS t
    WHERE supplier_id = 's' || t.r % $1::int AND customer_id = 'c' || t.r / {SUPPLIERS_OF_A_CUSTOMER}
    RETURNING supplier_id, customer_id, version, customer_number, valid_from)
INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state, customer_number,
    brings_number, valid_from, recorded_at, previously_rejected, settings_change, event_id, event_source)
SELECT supplier_id, customer_id, version, 'bench', 'partner', 'partner', customer_number, true, valid_from, now(), false, 1,
       'bench', 'bench' FROM changed"""

# What history says of each order by what the worker says that it knew; and how many versions were there before it answered.
_JUDGE = f"""
SELECT count(*) AS answers,
       count(*) FILTER (WHERE told ->> 'number' IS DISTINCT FROM customer_number
                           OR (told ->> 'relationship_version')::int IS DISTINCT FROM version) AS wrong,
       count(*) FILTER (WHERE knew_version < least) AS behind,
       count(*) FILTER (WHERE least > {FIRST_VERSIONS}) AS changed
FROM (SELECT knew_version, answer::json AS told, version, customer_number,
             {FIRST_VERSIONS} + (coalesce(changes, 0) - regexp_substr(customer_number, '\\d+')::int + $1 - 1) / $1 AS least
      FROM answers AS a
      LEFT JOIN LATERAL (SELECT changes FROM bench_commits WHERE committed_at <= answered_at
                         ORDER BY committed_at DESC LIMIT 1) AS c ON true
      LEFT JOIN LATERAL (SELECT version, customer_number FROM relationship_history AS h
                         WHERE h.supplier_id = a.supplier_id AND h.customer_id = a.customer_id
                               AND version <= knew_version AND valid_from <= created_at
                         ORDER BY version DESC LIMIT 1) AS v ON true
      WHERE "offset" % $2 = 0) AS judged"""


@dataclass(kw_only=True)
class Changes:
    """What was changed so far. `commits`: when, by the clock that workers have too, how many changes were committed."""

    done: int = 0
    commits: list[tuple[datetime, int]] = field(default_factory=list)
    backend: int | None = None  # PostgreSQL's process that writes them
    stopping: bool = False

    async def write(self, postgres: asyncpg.Connection, load: Load) -> None:
        """At the load's rate, one relationship after the other, until told to stop."""
        begun = monotonic()
        while not self.stopping:
            until = int((monotonic() - begun) * load.changes_per_second)
            until = min(until, self.done + load.relationships)
            at = FIRST_CREATED + CREATED_WITHIN * (until / load.changes_per_second / WALK)
            await postgres.execute(_CHANGE, load.suppliers, load.relationships, self.done, until, at)
            self.done = until
            self.commits.append((datetime.now(UTC), until))
            await asyncio.sleep(TICK - (monotonic() - begun) % TICK)


@contextlib.asynccontextmanager
async def changing(course: Course, load: Load) -> AsyncIterator[Changes]:
    """For as long as the block runs; nothing, where the load has no changes."""
    changes = Changes()
    if not load.changes_per_second:
        yield changes
        return
    postgres = await asyncpg.connect(course.database_url, command_timeout=PATIENCE)
    try:
        for way in ("seqscan", "hashjoin", "mergejoin"):  # five hundred rows are found one by one
            await postgres.execute(f"SET enable_{way} = off")
        changes.backend = postgres.get_server_pid() if course.stack.postgres else None
        writing = asyncio.create_task(changes.write(postgres, load))
        try:
            yield changes
        finally:
            changes.stopping = True
            await writing
    finally:
        await postgres.close()


async def check_answers(course: Course, load: Load, changes: Changes, *, at_least: int) -> None:
    """Fails where an order was told another number than history has for its creation, or by fewer versions than were
    committed before it was answered; all orders where there were changes, one of ten elsewhere."""
    every = 1 if load.changes_per_second else 10
    postgres = await asyncpg.connect(course.database_url, command_timeout=PATIENCE)
    try:
        await postgres.execute(
            "CREATE TEMPORARY TABLE bench_commits (committed_at timestamptz PRIMARY KEY, changes int)"
        )
        await postgres.copy_records_to_table("bench_commits", records=changes.commits)
        await postgres.execute("ANALYZE bench_commits")
        found = await postgres.fetchrow(_JUDGE, load.relationships, every)
    finally:
        await postgres.close()
    assert found["answers"] >= 0.99 * at_least / every, f"{found['answers']} of {at_least} orders have an answer"
    assert not found["wrong"], f"{found['wrong']} of {found['answers']} orders were told a wrong number"
    assert not found["behind"], (
        f"{found['behind']} of {found['answers']} answers did not know what was committed before"
    )
    assert bool(found["changed"]) == bool(changes.done), "no order met a change"
