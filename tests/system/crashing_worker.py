"""A worker that ends, as if killed, at a point of its work: `python -m system.crashing_worker run`; see `crash_points`.

It works in small batches, so that there are many passes, and is missed soon, so that the next one need not wait.
"""

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
from system.crash_points import EXIT, POINTS, VARIABLE, When

SESSION_MS, HEARTBEAT_MS = 2_000, 500
_armed = {int(number): passes for number, passes in json.loads(os.environ.get(VARIABLE) or "{}").items()}
_after_commit: dict[int, list[int]] = {}  # by database transaction: the points at its commit


def _pass(number: int) -> None:
    if number in _armed:
        _armed[number] -= 1
        if _armed[number] <= 0:
            os._exit(EXIT + number)


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

        async def run() -> Any:
            for number in counting:
                if POINTS[number].when is When.BEFORE:
                    _pass(number)
            result = await original(*arguments, **named)
            for number in counting:
                if POINTS[number].when is When.AFTER:
                    _pass(number)
                elif POINTS[number].when is When.COMMITTED:
                    _after_commit.setdefault(id(arguments[0]), []).append(number)
            return result

        return run()

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
    orders.BATCH_RECORDS, orders.BATCH_CORRECTIONS, orders.AT_ONCE = 40, 3, 20
    relationships.BATCH_RECORDS, relay.BATCH_MESSAGES, reminders.BATCH = 20, 20, 3
    corrections.BATCH_FACTS, corrections.BATCH_ANSWERS = 10, 10


if __name__ == "__main__":
    subscribers.SESSION_TIMEOUT_MS, subscribers.HEARTBEAT_MS = SESSION_MS, HEARTBEAT_MS
    _watch()
    _work_in_small_batches()
    main()
