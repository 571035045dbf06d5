"""Read once, from one state of the database; whoever asks does not wait for a database that is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.access import CannotEnter
from relationship_worker.storage.database import ConnectionLost, SchemaMismatch, Tx, check_schema_in, run, where

READ_SECONDS = 10  # a view takes milliseconds; a lock or a lost connection may take for ever


class CannotRead(Exception):
    """PostgreSQL or its schema is missing; the message is one line that says which, and what to do."""


class NotThere(Exception):
    """What is asked for is not there; the message is one line that says what."""


@asynccontextmanager
async def reading(database: AsyncEngine) -> AsyncIterator[Tx]:
    """One transaction that sees one state and changes nothing. Raises CannotRead, at once: a person waits."""
    try:
        async with database.connect() as tx:
            await run(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            await run(tx, f"SET LOCAL statement_timeout = '{READ_SECONDS}s'")
            await check_schema_in(tx)
            yield tx
    except SchemaMismatch as why:
        raise CannotRead(str(why)) from None
    except ConnectionLost as why:
        raise CannotRead(missing(why, database)) from None


def missing(error: BaseException, database: AsyncEngine) -> str:
    """Which of PostgreSQL, its schema or a right is missing. Never the error's text: drivers put rows into it."""
    if isinstance(error, CannotEnter):
        return str(error)
    cause = (error.orig if isinstance(error, DBAPIError) else None) or error
    state = getattr(cause, "sqlstate", None) or ""
    if state.startswith("42"):  # a right, a table or a column that is missing
        return (
            f"PostgreSQL refuses what it is asked (SQLSTATE {state}): "
            "has the user the rights, and is the schema this worker's?"
        )
    kind = f"SQLSTATE {state}" if state else type(cause).__name__
    return f"{where(database)} can't be reached ({kind}): is it running, and is the address right?"
