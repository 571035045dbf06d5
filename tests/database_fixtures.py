"""Databases for tests: each test has a fresh one, copied from a template that is migrated once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest_asyncio
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import migrate, open_database


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(stack) -> AsyncIterator[str]:
    """The name of a database that holds the schema and nothing else; nobody is connected to it."""
    name = f"template_{uuid4().hex}"
    await _execute(stack.database_url, f"CREATE DATABASE {name}")
    engine = open_database(_url_of(stack.database_url, name), connections=1)
    try:
        await migrate(engine)
        await engine.dispose()
        yield name
    finally:
        await engine.dispose()
        await _execute(stack.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def empty_database_url(stack) -> AsyncIterator[str]:
    """The address of a database in which nothing was ever made."""
    async with made_database(stack.database_url, "template0") as url:
        yield url


@pytest_asyncio.fixture
async def database_url(stack, migrated_template: str) -> AsyncIterator[str]:
    """The address of a migrated database of the test's own; it is dropped afterwards, whoever is still connected."""
    async with made_database(stack.database_url, migrated_template) as url:
        yield url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's own database."""
    engine = open_database(database_url, connections=5)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def made_database(server: str, template: str) -> AsyncIterator[str]:
    """The address of a copy of a database, for as long as the block runs."""
    name = f"test_{uuid4().hex}"
    await _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _url_of(server, name)
    finally:
        await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, statement: str) -> None:
    """Outside any transaction, as making and dropping databases wants it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
