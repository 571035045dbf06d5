"""A worker that ends, as if killed, at a point of its work: `python -m system.crashing_worker run`; see `crash_points`.

It works in small batches, so that there are many passes, and is missed soon, so that the next one need not wait.
"""

import asyncio
import functools
import importlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from relationship_worker.cli import main
from relationship_worker.kafka import subscribers
from relationship_worker.roads import corrections, orders, parked_decisions, relationships, relay, reminders
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.periods import Part
from system.crash_points import EXIT, POINTS, VARIABLE, When

SESSION_MS, HEARTBEAT_MS = 2_000, 500
LOOK_EVERY = 0.01  # seconds
_AMID = (When.WAITING, When.CUT_OFF)
_armed: dict[int, int] = {}  # by point: at which pass from now on the worker ends
_after_commit: dict[int, list[int]] = {}  # by database transaction: the points at its commit


def _pass(number: int) -> None:
    if _is_due(number):
        os._exit(EXIT + number)


def _is_due(number: int) -> bool:
    if number in _armed:
        _armed[number] -= 1
    return _armed.get(number, 1) <= 0


async def _end_amid_a_removal(number: int, detach: Callable[..., Awaitable[Any]], alone: Tx, part: Part) -> None:
    """Somebody reads the table, so that the server waits for him after the first of the removal's two transactions."""
    async with alone.engine.connect() as reader:
        await run(reader, f"SELECT FROM {part.table}")
        [removing] = await rows(alone, "SELECT pg_backend_pid() AS pid")
        task = asyncio.create_task(detach(alone, part))
        while not await _is_pending(reader, part):
            assert not task.done(), "it waits for the reader"
            await asyncio.sleep(LOOK_EVERY)
        if POINTS[number].when is When.CUT_OFF:
            await run(reader, "SELECT pg_terminate_backend(:pid, 10000)", {"pid": removing.pid})
        os._exit(EXIT + number)


async def _is_pending(reader: Tx, part: Part) -> bool:
    statement = "SELECT inhdetachpending AS so FROM pg_inherits WHERE inhrelid = CAST(:part AS regclass)"
    return bool([row for row in await rows(reader, statement, {"part": part.name}) if row.so])


def _counts(number: int, caller: str, arguments: tuple[Any, ...]) -> bool:
    of = POINTS[number].of
    if of.startswith("."):
        ids = getattr(arguments[0], "_id", None) or arguments[0]._txn_manager.transactional_id
        return of in ids
    return not of or caller == f"relationship_worker.roads.{of}"


def _watched(original: Callable[..., Awaitable[Any]], points: list[int]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    def called(*arguments: Any, **named: Any) -> Awaitable[Any]:
        caller = sys._getframe(1).f_globals["__name__"]
        counting = [number for number in points if _counts(number, caller, arguments)]

        async def ran() -> Any:
            for number in counting:
                if POINTS[number].when is When.BEFORE:
                    _pass(number)
                elif POINTS[number].when in _AMID and not arguments[1].pending and _is_due(number):
                    await _end_amid_a_removal(number, original, *arguments)
            result = await original(*arguments, **named)
            for number in counting:
                if POINTS[number].when is When.AFTER and result is not False:  # which says that nothing was done
                    _pass(number)
                elif POINTS[number].when is When.COMMITTED:
                    _after_commit.setdefault(id(arguments[0]), []).append(number)
            return result

        return ran()

    return called


def _with_commits_watched(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def transaction(database: Any) -> AsyncIterator[Any]:
        async with original(database) as tx:
            _after_commit.pop(id(tx), None)  # of an earlier one, which was rolled back
            yield tx
        for number in _after_commit.pop(id(tx), []):
            _pass(number)

    return transaction


def _watch() -> None:
    by_function: dict[str, list[int]] = {}
    for number, point in enumerate(POINTS):
        by_function.setdefault(point.function, []).append(number)
    for function, points in by_function.items():
        module, _, path = function.partition(":")
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, _watched(getattr(owner, name), points))
    for road in (corrections, orders, parked_decisions, relationships, relay, reminders):
        road.transaction = _with_commits_watched(road.transaction)  # type: ignore[attr-defined]


def _work_in_small_batches() -> None:
    orders.BATCH_CORRECTIONS = 3
    if os.getpid() % 2 or len(_armed) == 1:  # these answer at once, one by one: of several, one order may need more
        orders.BATCH_RECORDS = orders.AT_ONCE = 1
    else:
        orders.BATCH_RECORDS, orders.AT_ONCE = 20, 0
    relationships.BATCH_RECORDS, relay.BATCH_MESSAGES, reminders.BATCH = 20, 20, 3
    corrections.BATCH_FACTS, corrections.BATCH_ANSWERS = 10, 10


def run_to_the_end() -> None:
    """The worker's own command line, as the environment says where it ends."""
    _armed.update({int(number): passes for number, passes in json.loads(os.environ.get(VARIABLE) or "{}").items()})
    subscribers.SESSION_TIMEOUT_MS, subscribers.HEARTBEAT_MS = SESSION_MS, HEARTBEAT_MS
    _watch()
    _work_in_small_batches()
    main()


if __name__ == "__main__":
    run_to_the_end()
