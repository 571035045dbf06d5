"""A database whose schema is one role's and whose worker, readers and a supplier's own reader are others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import migrate, open_database, transaction
from relationship_worker.storage.roles import grant

PASSWORD = "geheim"


@dataclass(frozen=True)
class Roles:
    """Addresses of one database by who goes there. `shop`: a supplier's own reader, in the group of these."""

    server: str
    name: str

    def url(self, kind: str) -> str:
        """owner, worker, reader or shop."""
        url = make_url(self.server).set(username=self.role(kind), password=PASSWORD, database=self.name)
        return url.render_as_string(hide_password=False)

    def role(self, kind: str) -> str:
        """What the role is called."""
        worker = f"{self.name}_worker"
        return {"worker": worker, "reader": f"{worker}_reader", "supplier": f"{worker}_supplier"}.get(
            kind, f"{self.name}_{kind}"
        )

    @asynccontextmanager
    async def engine(self, kind: str) -> AsyncIterator[AsyncEngine]:
        """As that role."""
        engine = open_database(self.url(kind), connections=2)
        try:
            yield engine
        finally:
            await engine.dispose()

    async def ask(self, *statements: str) -> None:
        """As the schema's owner."""
        connection = await asyncpg.connect(self.url("owner"), ssl=False)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


async def make(server: str) -> Roles:
    """Roles and a database of the owner's, as a database's administrator makes them."""
    made = Roles(server, f"r_{uuid4().hex[:12]}")
    admin = await asyncpg.connect(server)
    try:
        for kind in ("owner", "worker", "reader", "shop"):
            await admin.execute(f"CREATE ROLE {made.role(kind)} LOGIN PASSWORD '{PASSWORD}'")
        await admin.execute(
            f"CREATE ROLE {made.role('supplier')}; GRANT {made.role('supplier')} TO {made.role('shop')}"
        )
        await admin.execute(f"CREATE DATABASE {made.name} OWNER {made.role('owner')} TEMPLATE template0")
    finally:
        await admin.close()
    await made.ask("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    return made


async def end(made: Roles) -> None:
    """Nothing of it is left."""
    admin = await asyncpg.connect(made.server)
    try:
        await admin.execute(f"DROP DATABASE {made.name} WITH (FORCE)")
        for kind in ("shop", "owner", "worker", "reader", "supplier"):
            await admin.execute(f"DROP ROLE {made.role(kind)}")
    finally:
        await admin.close()


async def migrated(made: Roles) -> None:
    """What `init` does to the database."""
    async with made.engine("owner") as owner:
        await migrate(owner)
        async with transaction(owner) as tx:
            await grant(tx, made.role("worker"))


@contextmanager
def roles_on(server: str) -> Iterator[Roles]:
    """For as long as the block runs."""
    made = asyncio.run(make(server))
    try:
        asyncio.run(migrated(made))
        yield made
    finally:
        asyncio.run(end(made))
