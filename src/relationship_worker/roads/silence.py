"""Silence: a worker that is frozen, or cut off, amid a transaction must not hold up the others by what it has locked."""

from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import end_silent_copies, statements

log = structlog.get_logger()

TICK = 5.0  # seconds between two looks


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Ends what PostgreSQL does not end by itself. Any number of workers may look at once."""

    database: AsyncEngine

    async def run_once(self) -> int:
        """Always 0: there is nothing to do at once again."""
        async with statements(self.database) as tx:
            ended = await end_silent_copies(tx)
        if ended:
            log.warning("ended the transaction of a worker that fell silent", transactions=ended)
        return 0
