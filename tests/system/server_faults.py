"""What happens to the servers: they restart, cleanly or not, refuse connections and lock tables."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random

import asyncpg

from relationship_worker.local.processes import StackUnavailable
from roads.driving import Road
from system.blows import Fault
from system.shaken_stack import ShakenStack

TABLES = ("answers", "relationships", "outbox", "positions", "inbox", "suppliers", "new_facts", "relationship_history")
OUTAGE = (0.2, 4.0)  # seconds
LOCKED = (3.0, 9.0)  # seconds
WITHOUT_CONNECTIONS = 4.0  # seconds
STARTS = 40  # tries; what a killed postmaster leaves behind ends within seconds


@dataclass
class ServerFaults:
    """For both servers."""

    shaken: ShakenStack
    road: Road
    rng: Random

    def strikes(self) -> dict[Fault, Callable[[], AbstractAsyncContextManager[None]]]:
        """By kind."""
        return {
            Fault.KAFKA_CLEAN: lambda: self._kafka(kill=False),
            Fault.KAFKA_HARD: lambda: self._kafka(kill=True),
            Fault.POSTGRES_FAST: lambda: self._postgres("fast"),
            Fault.POSTGRES_IMMEDIATE: lambda: self._postgres("immediate"),
            Fault.POSTGRES_KILLED: lambda: self._postgres("kill"),
            Fault.LOCKED_TABLE: self._locked_table,
            Fault.NO_CONNECTIONS: self._no_connections,
        }

    @asynccontextmanager
    async def _kafka(self, *, kill: bool) -> AsyncIterator[None]:
        await asyncio.to_thread(lambda: self.shaken.stack.stop_kafka(kill=kill))
        await asyncio.sleep(self.rng.uniform(*OUTAGE))
        await asyncio.to_thread(self.shaken.stack.start_kafka)
        yield

    @asynccontextmanager
    async def _postgres(self, mode: str) -> AsyncIterator[None]:
        await asyncio.to_thread(self.shaken.stack.stop_postgres, mode)
        await asyncio.sleep(self.rng.uniform(*OUTAGE))
        for trial in range(STARTS):
            try:
                await asyncio.to_thread(self.shaken.stack.start_postgres)
                break
            except StackUnavailable:  # processes of a killed postmaster are still about
                if trial == STARTS - 1:
                    raise
                await asyncio.sleep(0.25)
        yield

    @asynccontextmanager
    async def _locked_table(self) -> AsyncIterator[None]:
        connection = await asyncpg.connect(self.road.database_url)
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {self.rng.choice(TABLES)} IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(self.rng.uniform(*LOCKED))
        finally:
            await connection.close()
        yield

    @asynccontextmanager
    async def _no_connections(self) -> AsyncIterator[None]:
        """The workers' connections end, and others have taken all that there are."""
        admin = await asyncpg.connect(self.road.stack.database_url)
        taken: list[asyncpg.Connection] = []
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relationship-worker'"
            )
            loop = asyncio.get_running_loop()
            until = loop.time() + WITHOUT_CONNECTIONS
            while loop.time() < until:
                try:
                    taken.append(await asyncpg.connect(self.road.stack.database_url))
                except (asyncpg.PostgresError, OSError):
                    await asyncio.sleep(0.1)
        finally:
            for connection in (admin, *taken):
                connection.terminate()
        yield
