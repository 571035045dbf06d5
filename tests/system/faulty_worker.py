"""A real worker in which something breaks on SIGUSR1: `FAULT=name python -m system.faulty_worker run`.

Only the fault is made here; how it is noticed, and what follows, is the worker's own.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from relationship_worker import app, cli, health
from relationship_worker.kafka.subscribers import Subscription
from relationship_worker.roads import reminders
from relationship_worker.roads.orders import OrdersRoad

health.TICK_SECONDS = 0.1  # so that a test waits for one second where an operator waits for ten
health.STUCK_SECONDS = 10.0  # a round takes that long on no machine

subscriptions: list[Subscription] = []


def block_the_event_loop() -> None:
    time.sleep(600)


def end_the_fetch_task() -> None:
    subscriptions[-1].consumer._fetcher._fetch_task.cancel()


def hang_orders() -> None:
    OrdersRoad.run_once = _hang


def hang_reminders() -> None:
    reminders.deferrals.relationships_due = _hang


async def _hang(*_: Any, **__: Any) -> int:
    await asyncio.Event().wait()
    return 0


FAULTS: dict[str, Callable[[], None]] = {
    "loop": block_the_event_loop,
    "fetch": end_the_fetch_task,
    "lane": hang_orders,
    "clock": hang_reminders,
}


def main() -> None:
    """The worker's own command line, with a fault in wait."""
    run, init = app.run, Subscription.__init__

    async def run_with_fault(*arguments: Any) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, FAULTS[os.environ["FAULT"]])
        await run(*arguments)

    def remembered(self: Subscription, *arguments: Any) -> None:
        init(self, *arguments)
        subscriptions.append(self)

    app.run = run_with_fault
    Subscription.__init__ = remembered
    cli.main()


if __name__ == "__main__":
    main()
