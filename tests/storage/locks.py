"""Wait for a transaction to wait: the moment at which another one's lock has stopped it."""

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import rows, transaction
from waiting import until

WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def somebody_waits_for_a_lock(database: AsyncEngine) -> None:
    """Come back once a statement in this database waits for a lock."""

    async def look() -> bool:
        async with transaction(database) as tx:
            return bool(await rows(tx, WAITING))

    await until("a statement that waits for a lock", look)
