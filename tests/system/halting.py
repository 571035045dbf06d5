"""Halt a server without ending it: it answers nothing, and no connection breaks."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relationship_worker.local.stack import Stack
from relationship_worker.storage.database import open_database, rows, transaction


@asynccontextmanager
async def halted_postgres(stack: Stack) -> AsyncIterator[None]:
    """Every process of it stands still while the block runs; who connects meanwhile waits."""
    assert stack.postgres is not None
    postmaster = int((stack.postgres.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    database = open_database(stack.database_url, connections=1)
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT pid FROM pg_stat_activity")
    await database.dispose()
    pids = [postmaster, *(row.pid for row in found)]
    _send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(pids, signal.SIGCONT)


def _send(pids: list[int], sent: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            continue  # a connection that has ended
