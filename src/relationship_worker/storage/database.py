"""The database: its connections, its schema, and who may call it missing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from relationship_worker.storage.access import Access, CannotEnter, Way, servers_of, way, why_not

Tx = AsyncConnection
"""An open transaction: what goes through the same one is remembered together or not at all."""

OLDEST_RELEASE = 17  # of PostgreSQL; the first to end a transaction by its age, see `periods`
APPLICATION = "relationship-worker"  # under which the server lists the connections
COMMAND_TIMEOUT = 30  # seconds; a statement takes milliseconds, a dead connection for ever
SILENT_SECONDS = (
    15  # amid a transaction; the server ends it then, or a frozen worker's locks would hold up its successor
)
ConnectionLost = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, TimeoutError)
"""What a statement raises where PostgreSQL is away, restarts or refuses: all of it is tried again."""


class SchemaMismatch(Exception):
    """The database or its schema is not one that this worker was made for; the message says what to do."""


class WorkerTooOld(SchemaMismatch):
    """The schema is a later release's, and does not admit this worker any more."""


def open_database(url: str, *, connections: int, access: Access | None = None) -> AsyncEngine:
    """An engine with at most `connections` connections. `url`: postgresql://…; nothing is opened yet.

    Beyond loopback by verified TLS. Raises UnsafeAddress where the address asks for less.
    """
    to = way(url, access or Access())
    engine = create_async_engine(
        to.url.set(drivername="postgresql+asyncpg"),
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=False,
        connect_args={
            "command_timeout": COMMAND_TIMEOUT,
            "timeout": 10,
            "server_settings": {
                "application_name": APPLICATION,
                # Whoever has waited for a lock must see what he waited for, however the database is set.
                "default_transaction_isolation": "read committed",
                "idle_in_transaction_session_timeout": f"{SILENT_SECONDS}s",
                # Who is frozen between a statement's text and its values is not idle. A live client gives up by then.
                "statement_timeout": f"{COMMAND_TIMEOUT}s",
            },
        },
    )
    _enter_by(engine, to)
    return engine


def where(engine: AsyncEngine) -> str:
    """For people: without user, password and name."""
    return f"PostgreSQL at {servers_of(engine.url)}"


def _enter_by(engine: AsyncEngine, to: Way) -> None:
    """Each new connection reads the files anew, so that what was rotated is used without a restart. Raises CannotEnter."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def enter(dialect: Any, record: Any, positional: Any, named: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*positional, **(named | to.arguments()))
        except Exception as error:  # the driver's own kinds, which SQLAlchemy has not wrapped yet
            reason = why_not(error, to)
            if reason is None:
                raise
            raise CannotEnter(reason) from None


@asynccontextmanager
async def transaction(database: AsyncEngine) -> AsyncIterator[Tx]:
    """One transaction: committed where the block ends, rolled back where it raises."""
    async with database.begin() as tx:
        yield tx


@asynccontextmanager
async def statements(database: AsyncEngine) -> AsyncIterator[Tx]:
    """Each statement is a transaction of its own: a round trip where `transaction` takes three."""
    async with database.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


async def rows(tx: Tx, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
    """All rows of a statement."""
    return (await tx.execute(_text(statement), values or {})).all()


async def run(tx: Tx, statement: str, values: Mapping[str, Any] | None = None) -> int:
    """How many rows a statement changed."""
    return (await tx.execute(_text(statement), values or {})).rowcount


async def may_be_silent(tx: Tx) -> None:
    """For a transaction that others do not wait for: the server does not end it for its silence."""
    await run(tx, "SET LOCAL idle_in_transaction_session_timeout = 0")


async def end_silent_copies(tx: Tx) -> int:
    """End the transactions of workers that are frozen, or cut off, amid a COPY; how many. While the server waits for rows
    it heeds none of its time-outs, so their locks would be held for as long as the connection lives: hours, without a word
    from the network. A live client has given up by then."""
    [row] = await rows(
        tx,
        f"""SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
            WHERE datname = current_database() AND usename = session_user AND application_name = '{APPLICATION}'
              AND state = 'active' AND wait_event = 'ClientRead' AND query_start < now() - interval '{COMMAND_TIMEOUT}s'""",
    )
    return int(row.ended)


async def alone(tx: Tx, task: str) -> bool:
    """True for one transaction at a time: whoever else asks for the same task meanwhile is told no, and does not wait."""
    [row] = await rows(
        tx, "SELECT pg_try_advisory_xact_lock(hashtext(:task)) AS mine", {"task": f"relationship-worker:{task}"}
    )
    return bool(row.mine)


_compiled: dict[str, Any] = {}


def _text(statement: str) -> Any:
    """The same object for the same text, so that SQLAlchemy compiles it once. The statements are constants of this package."""
    if statement not in _compiled:
        _compiled[statement] = text(statement)
    return _compiled[statement]


_MIGRATIONS = Path(__file__).parent / "migrations"
ADMITS = "the oldest workers that the schema admits"  # a note: their schema's version; written by `migrate`


def schema_version() -> str:
    """The version of the newest migration: its file's name begins with it."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


async def migrate(database: AsyncEngine, to: str = "head") -> None:
    """Bring the schema to this worker's version (or only to an earlier one). Repeatable; two at once wait in turn. A later
    release's schema is left as it is, where it admits this worker.

    Raises SchemaMismatch where PostgreSQL is too old, WorkerTooOld where this worker is.
    """
    from alembic import command  # here alone: it takes longer to import than a view to answer
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from relationship_worker.storage.notes import write_note  # which needs this module

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, to)

    async with database.begin() as tx:
        await check_release(tx)
        await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('relationship-worker:migrate'))"))
        found = await _found_version(tx)
        if found is not None and found > schema_version():
            await _check_admits(tx, found)
            return
        await tx.run_sync(upgrade)
        done = await _found_version(tx) or ""
        scripts = ScriptDirectory.from_config(config).walk_revisions(head=done)
        admits = max(getattr(script.module, "oldest_worker", script.revision) for script in scripts)
        await write_note(tx, ADMITS, admits)


async def check_release(tx: Tx, oldest: int = OLDEST_RELEASE) -> None:
    """Raises SchemaMismatch where PostgreSQL is older than what the worker needs."""
    found = int(await tx.scalar(text("SHOW server_version_num")) or 0) // 10_000
    if found < oldest:
        raise SchemaMismatch(f"this is PostgreSQL {found}, the worker needs {oldest} or newer: upgrade the server")


async def check_schema_in(tx: Tx) -> None:
    """Raises SchemaMismatch where the schema is none that this worker may run on, WorkerTooOld where it is of a later release
    that does not admit it."""
    await check_release(tx)
    wanted, found = schema_version(), await _found_version(tx)
    if found is None or found < wanted:
        have = f"version {found}" if found else "no schema"
        raise SchemaMismatch(
            f"the database has {have}, this worker needs version {wanted}: run `relationship-worker init`"
        )
    if found > wanted:
        await _check_admits(tx, found)


async def _found_version(tx: Tx) -> str | None:
    there = await tx.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    found: str | None = await tx.scalar(text("SELECT version_num FROM alembic_version")) if there else None
    return found


async def _check_admits(tx: Tx, found: str) -> None:
    """Whether a schema of a later release says that it admits this worker; one that says nothing admits none."""
    admits = await tx.scalar(_text("SELECT text FROM notes WHERE name = :name"), {"name": ADMITS}) or found
    if admits > schema_version():
        raise WorkerTooOld(
            f"the database has schema version {found}, which admits workers of version {admits} or later, and this one is of "
            f"version {schema_version()}: run a later release of the worker"
        )
