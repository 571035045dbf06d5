"""Periods: answers and used-up events lie in a partition per thirty days, which goes as a whole when it is old enough.

Uniqueness over periods: a unique constraint holds within one, and who inserts looks for its keys in the others first. In the
first minute of a period two transactions might insert the same key into two of them without seeing each other, so there
everybody who inserts waits for everybody else; afterwards nobody inserts into the period before any more, because no such
transaction lives longer than 50 s. Only the database's clock counts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import Tx, rows, run, transaction

LENGTH = timedelta(days=30)  # of a period; as in the migration that makes them
AHEAD = timedelta(days=2)  # before its start a period is made; whoever finds none makes it

LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE

ANSWERS = ("answers", "repeated_orders", "corrections")
INBOX = ("inbox",)


@dataclass(frozen=True, kw_only=True)
class Period:
    """The period that a transaction inserts into, and the earlier ones that are kept.

    A later one, too, where it is there: it has rows where the clock went back, as after a move to another server.
    """

    now: int
    earlier: Sequence[int]


async def enter(tx: Tx) -> Period:
    """The period that this transaction inserts into. Before any row is locked: around a change it waits for others."""
    [row] = await rows(
        tx,
        r"""WITH entered AS MATERIALIZED (SELECT enter_period() AS now)
            SELECT now, ARRAY(SELECT substring(c.relname FROM '\d+$')::int AS period
                              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                              WHERE i.inhparent = 'answers'::regclass AND substring(c.relname FROM '\d+$')::int <> now
                              ORDER BY period) AS earlier FROM entered""",
    )
    return Period(now=int(row.now), earlier=row.earlier)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A partition of a table; `attached` is false where its removal was begun and not finished. `owned`: this role's own."""

    table: str
    period: int
    attached: bool
    pending: bool
    owned: bool

    @property
    def name(self) -> str:
        """The partition's own name."""
        return f"{self.table}_p{self.period}"


async def make(database: AsyncEngine) -> None:
    """Make this period's partitions where they are missing, and the next one's some days before it begins."""
    async with transaction(database) as tx:
        await _make_period(tx, timedelta())
        await _make_period(tx, AHEAD)


async def _make_period(tx: Tx, ahead: timedelta) -> None:
    await run(tx, "SELECT make_period(period_of(period_clock() + :ahead))", {"ahead": ahead})


async def old_parts(tx: Tx, tables: Collection[str], *, keep: timedelta) -> list[Part]:
    """Partitions in which all is older than what is to be kept, the oldest first."""
    found = await rows(
        tx,
        r"""SELECT t.name AS table, p.period, i.inhrelid IS NOT NULL AS attached,
                   coalesce(i.inhdetachpending, false) AS pending, pg_has_role(c.relowner, 'USAGE') AS owned
            FROM unnest(CAST(:tables AS text[])) AS t (name)
            JOIN pg_class c ON c.relname ~ ('^' || t.name || '_p\d+$') AND c.relkind = 'r'
                 AND c.relnamespace = current_schema()::regnamespace
            CROSS JOIN LATERAL (SELECT substring(c.relname FROM '\d+$')::int AS period) AS p
            LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
            WHERE period_start(p.period + 1) <= period_clock() - CAST(:keep AS interval)
            ORDER BY p.period, t.name""",
        {"tables": list(tables), "keep": keep},
    )
    return [
        Part(table=row.table, period=row.period, attached=row.attached, pending=row.pending, owned=row.owned)
        for row in found
    ]


async def is_needed(tx: Tx, part: Part) -> bool:
    """True for corrections that no lane has told yet, however old."""
    if part.table != "corrections":
        return False
    [row] = await rows(  # one that is detached already was not needed any more
        tx,
        """SELECT EXISTS (SELECT FROM corrections c JOIN correction_lanes l USING (partition)
                          WHERE c.period = :period AND c.number > l.told) AS needed""",
        {"period": part.period},
    )
    return bool(row.needed)


async def drop(database: AsyncEngine, part: Part) -> bool:
    """Remove a partition. Who reads or writes its table meanwhile goes on: it is detached first, which waits for them.

    A role that does not own it asks the owner's function, for which others wait half a second at the most: false where
    somebody used the table for longer.
    """
    if not part.owned:
        return await _drop_by_function(database, part)
    async with database.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if part.attached:
            await _detach(alone, part)
        await run(alone, f"DROP TABLE {part.name}")
    return True


async def _drop_by_function(database: AsyncEngine, part: Part) -> bool:
    gone = False
    try:
        while not gone:  # detached, then dropped, each in a transaction of its own
            async with transaction(database) as tx:
                of = {"table": part.table, "period": part.period}
                [row] = await rows(tx, "SELECT remove_part(:table, :period) AS gone", of)
            gone = row.gone
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
    return gone


async def _detach(alone: Tx, part: Part) -> None:
    """Two transactions, the first of which leaves it `pending`."""
    how = "FINALIZE" if part.pending else "CONCURRENTLY"
    await run(alone, f"ALTER TABLE {part.table} DETACH PARTITION {part.name} {how}")
