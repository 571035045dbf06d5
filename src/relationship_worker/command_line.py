"""What all commands share: exit codes, the one line that says why not, the settings."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from relationship_worker.settings import InvalidSetting, Settings, read_settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from relationship_worker.kafka.connection import Connection
    from relationship_worker.kafka.rights import Role

NOT_THERE = 1  # exit code: what is asked for is not stored
USAGE = 2  # exit code: a setting or an argument makes no sense
MISSING = 3  # exit code: Kafka, PostgreSQL, the schema or a topic is missing

Insecure = Annotated[bool, typer.Option("--insecure", help="Plain text also beyond loopback.")]


def settings_now(*, insecure: bool = False) -> Settings:
    """The settings; or the end, with the one that makes no sense. `insecure`: the command's option."""
    try:
        return read_settings(insecure=insecure)
    except InvalidSetting as why:
        fail(str(why), USAGE)


def kafka_of(now: Settings) -> "Connection":
    """Where Kafka is, by the settings; or the end, with the one that makes no sense."""
    from relationship_worker.reaching_kafka import kafka_by

    try:
        return kafka_by(now)
    except InvalidSetting as why:
        fail(str(why), USAGE)


def kafka_failed(kafka: "Connection", role: "Role", error: BaseException) -> NoReturn:
    """Say in one line why Kafka was of no use, and end."""
    from relationship_worker.kafka.refusals import refusal

    said = asyncio.run(refusal(kafka, role, error))
    away = f"{kafka.where} can't be reached ({type(error).__name__})"
    fail(said or f"{away}: is it running, and is the address right?", MISSING)


def database_of(now: Settings, *, connections: int) -> "AsyncEngine":
    """Where PostgreSQL is, by the settings."""
    from relationship_worker.storage.database import open_database

    return open_database(now.database_url.get_secret_value(), connections=connections, access=now.database_access)


def fail(line: str, code: int) -> NoReturn:
    """Say in one line why not, and end."""
    from relationship_worker.views.screen import visible

    print(f"relationship-worker: {visible(line)}", file=sys.stderr)
    raise typer.Exit(code)
