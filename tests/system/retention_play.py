"""Periods pass, and workers end at each step of retention: what is kept as long as promised is kept, the rest goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from relationship_worker.storage.database import Tx, open_database, rows, run, transaction
from roads.driving import YESTERDAY, Road
from system.crash_points import AS_PERIODS_PASS, EXIT, POINTS, VARIABLE
from waiting import until

KEPT_DAYS = "30"  # as long as a period: the one before this one is kept, and those before go
ENDS_WITHIN = 120.0  # seconds; a start takes one or two
BOUND = 180.0  # seconds until all is told and removed; that takes two or three
TABLES = 4  # of periods
CUSTOMER = "anna"
BEFORE, AFTER = (YESTERDAY - timedelta(days=days) for days in (7, 3))  # her number's change
FIRST, SECOND = "A 1", "B 2"


@dataclass
class RetentionPlay:
    """On a database whose clock stands still, but for this play."""

    road: Road
    periods: int = 0  # that have passed
    orders: int = 0

    async def open(self) -> None:
        """A customer whose number has changed, and an order from before that."""
        self.road.settings |= {
            "RELATIONSHIP_WORKER_ANSWERS_DAYS": KEPT_DAYS,
            "RELATIONSHIP_WORKER_INBOX_DAYS": KEPT_DAYS,
            "RELATIONSHIP_WORKER_FRESHNESS_SECONDS": "30",  # no order goes out before what was decided before it
        }
        await self._run(
            "CREATE TABLE standing_clock AS SELECT clock_timestamp() AS at",
            """CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS
               $$ BEGIN RETURN (SELECT at FROM standing_clock); END $$""",
        )
        await self._next_period()
        await self.road.request(CUSTOMER, at=YESTERDAY - timedelta(days=20))
        await self.road.accept(CUSTOMER, FIRST, at=YESTERDAY - timedelta(days=10))
        await self.road.accept(CUSTOMER, SECOND, at=YESTERDAY - timedelta(days=5))
        await self._order(BEFORE)
        await self._work_through()

    async def period(self) -> None:
        """The next one: a worker ends at each point, and another one finishes what they began."""
        await self._next_period()
        for point in AS_PERIODS_PASS:
            number = POINTS.index(point)
            worker = await self.road.start(module="system.crashing_worker", **{VARIABLE: json.dumps({number: 1})})
            ended = await asyncio.wait_for(worker.wait(), ENDS_WITHIN)
            assert ended == EXIT + number, f"{point.name}: ended with {ended}, see {self.road.logs[-1]}"
        await self._order(AFTER, again=True)  # of the period before: its answer is known, or wrong
        await self._order(BEFORE)
        await self._work_through()

    async def _work_through(self) -> None:
        """All that is there, by a worker that does not end."""
        await self.road.start()
        await self.road.told("enriched-orders", 2 * self.periods - 1)
        await self.road.settled()
        await until("old partitions to be gone, and no other", self._is_tidy, seconds=BOUND)
        assert await self.road.stop() == [0]

    async def numbers_told(self) -> set[str | None]:
        """To all orders: each was created, for the first time, before the customer's number changed."""
        return {order.answer["number"] for order in await self.road.read("enriched-orders")}

    async def _order(self, created_at: datetime, *, again: bool = False) -> None:
        self.orders += not again
        await self.road.order(f"O-{self.orders}", CUSTOMER, at=YESTERDAY, created_at=created_at.isoformat())

    async def _next_period(self) -> None:
        self.periods += 1
        await self._run("UPDATE standing_clock SET at = period_start(period_of(at) + 1) + interval '3 days'")

    async def _is_tidy(self) -> bool:
        """Partitions of this period and of the one before it are there, and no others."""
        async with self._transaction() as tx:
            [found] = await rows(
                tx,
                r"""SELECT count(*) FILTER (WHERE period < now - 1 OR NOT attached) AS wrong,
                           count(*) FILTER (WHERE period = now) AS present,
                           count(*) FILTER (WHERE period = now - 1) AS before
                    FROM (SELECT substring(c.relname FROM '\d+$')::int AS period, period_of(period_clock()) AS now,
                                 i.inhrelid IS NOT NULL AND NOT i.inhdetachpending AS attached
                          FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
                          WHERE c.relkind = 'r' AND c.relname ~ '^(answers|repeated_orders|corrections|inbox)_p\d+$')""",
            )
        return (found.wrong, found.present, found.before) == (0, TABLES, TABLES)

    async def _run(self, *statements: str) -> None:
        async with self._transaction() as tx:
            for statement in statements:
                await run(tx, statement)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tx]:
        database = open_database(self.road.database_url, connections=1)
        try:
            async with transaction(database) as tx:
                yield tx
        finally:
            await database.dispose()
