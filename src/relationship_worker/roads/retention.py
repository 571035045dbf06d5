"""Retention: what was kept as long as promised goes, a partition at a time."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage import periods
from relationship_worker.storage.database import alone, may_be_silent, run, transaction

log = structlog.get_logger()

TICK = 3_600.0  # seconds; a partition is dropped once in thirty days


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Makes the next partitions before they are needed, and drops the old ones. One process at a time."""

    database: AsyncEngine
    answers: timedelta
    inbox: timedelta

    async def run_once(self) -> int:
        """Always 0: there is nothing to do at once again."""
        async with transaction(self.database) as turn:  # touches no table: removing a partition waits for whoever does
            await may_be_silent(turn)
            if await alone(turn, "retention"):
                # A removal that is finished waits for every snapshot, also that of the last query here: this takes none.
                await run(turn, "SET TRANSACTION READ ONLY")
                await periods.make(self.database)
                await self._drop_old()
        return 0

    async def _drop_old(self) -> None:
        async with transaction(self.database) as tx:
            old = await periods.old_parts(tx, periods.ANSWERS, keep=self.answers)
            old += await periods.old_parts(tx, periods.INBOX, keep=self.inbox)
            needed = [part for part in old if await periods.is_needed(tx, part)]
        for part in needed:
            log.warning("kept though it is old: corrections in it are not told yet", partition=part.name)
        for part in old:
            if part in needed:
                continue
            if await periods.drop(self.database, part):
                log.info("dropped what was kept as long as promised", partition=part.name)
            else:
                log.warning("kept though it is old: somebody uses its table", partition=part.name, again_seconds=TICK)
