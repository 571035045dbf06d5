"""A desk for tests: what is stored is put in by storage's own functions, a command's answer is what it prints."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from builders import NOON, a_version
from relationship_worker import cli
from relationship_worker.domain.relationship import Relationship, State, Version
from relationship_worker.storage.database import transaction
from relationship_worker.storage.relationships import HistoryRow, Kept, lock, remember, remember_history

SHOP = "s-1"


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass
class Desk:
    """A database, and whoever asks about it."""

    database: AsyncEngine
    url: str

    async def ask(self, *arguments: str, **environment: str) -> Printed:
        """Run a command."""
        runner = CliRunner(env={"DATABASE_URL": self.url, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", **environment})
        done = await asyncio.to_thread(runner.invoke, cli.app, list(arguments))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Printed(done.exit_code, done.stdout, done.stderr)

    async def knows(
        self,
        customer: str,
        state: State,
        *,
        supplier: str = SHOP,
        number: str | None = None,
        since: datetime = NOON,
        profile: str | None = None,
        assortment: str | None = None,
        **more: Any,
    ) -> None:
        """A relationship in a state; open ones are open since then."""
        is_open = state in (State.REQUESTED, State.DEFERRED)
        kept = Kept(
            relationship=Relationship(
                state=state, version=1, valid_from=since, customer_number=number,
                open_since=since if is_open else None, **more,
            ),
            profile=profile,
            assortment=assortment,
        )  # fmt: skip
        pair = (supplier, customer)
        async with transaction(self.database) as tx:
            await lock(tx, [pair])
            await remember(tx, {pair: kept})

    async def remembers(self, customer: str, *versions: tuple[str, Version], message: str | None = None) -> None:
        """Versions, each with the type of the event that told it."""
        history = [
            HistoryRow(
                pair=(SHOP, customer), type=type_, version=version, message=message, settings_change=0,
                event_id=f"e-{version.version}", event_source="/portal",
            )
            for type_, version in versions
        ]  # fmt: skip
        async with transaction(self.database) as tx:
            await remember_history(tx, history, now=NOON)


__all__ = ["NOON", "SHOP", "Desk", "Printed", "State", "a_version"]
