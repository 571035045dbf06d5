"""A server that loses one of its processes recovers without a new start: it forgets what was not written down yet."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.local.postgres import Postgres
from relationship_worker.storage.database import ConnectionLost, migrate, open_database, rows, statements, transaction
from relationship_worker.storage.known_facts import KnownFacts
from storage.test_answers import an_answer, at_once
from storage.test_known_facts import becomes_partner, looked
from waiting import until


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server of the test's own, which may crash."""
    with tempfile.TemporaryDirectory(prefix="relationship-worker-test-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        server = Postgres(Path(folder) / "postgres")
        server.prepare()
        server.start()
        yield server
        server.stop()


@pytest_asyncio.fixture
async def own_database(own_server: Postgres) -> AsyncIterator[AsyncEngine]:
    """An engine on it, with the schema."""
    database = open_database(own_server.url, connections=5)
    await migrate(database)
    yield database
    await database.dispose()


async def crash(database: AsyncEngine) -> None:
    """The out-of-memory killer takes a connection's process: all others end with it, the server recovers by itself."""
    async with statements(database) as tx:
        [row] = await rows(tx, "SELECT pg_backend_pid() AS pid")
    os.kill(row.pid, signal.SIGKILL)

    async def answers() -> bool:
        try:
            async with transaction(database) as tx:
                [now] = await rows(tx, "SELECT pg_backend_pid() AS pid")
        except ConnectionLost:
            return False
        return bool(now.pid != row.pid)

    await until("the server to recover", answers)


async def test_a_version_is_seen_whose_transaction_has_a_number_that_was_used_before_the_crash(own_database):
    """Numbers of transactions that wrote nothing are given anew: to the last look they seem to be seen."""
    known = KnownFacts()
    await becomes_partner(own_database, "c-1", 1, "4711")
    async with statements(own_database) as tx:
        for _ in range(20):
            await rows(tx, "SELECT pg_current_xact_id()")
    await looked(own_database, known, "c-1")
    seen = known.seen
    await crash(own_database)
    await becomes_partner(own_database, "c-1", 2, "4712")

    assert not await at_once(own_database, an_answer(1), seen=seen)
    assert await looked(own_database, known, "c-1") == [(2, "4712")]
