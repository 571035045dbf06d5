"""A worker that is frozen amid its work holds the others up for some seconds only."""

import asyncio
from pathlib import Path

from roads.driving import SHOP, YESTERDAY, Road
from roads.test_corrections import CORRECTED
from waiting import until

BOUND = 120.0  # seconds; the group misses a worker after six, PostgreSQL its rows after thirty


async def test_corrections_are_told_though_a_worker_is_frozen_amid_the_answer_to_an_order(road: Road):
    """Corrections wait for whoever may answer an order by less: its transaction has to end."""
    frozen = await road.start(module="system.frozen_worker")
    await road.order("O-1", created_at=YESTERDAY.isoformat())
    await until("the worker to be frozen", lambda: is_frozen(frozen.pid))
    await road.start()
    await road.told("enriched-orders", 1)

    settings = {"supplier_id": SHOP, "default_customer_number": "D-1"}
    await road.send("supplier.settings.changed", settings, at=YESTERDAY, key=SHOP.encode())

    async def told() -> bool:
        return CORRECTED in [record.type for record in await road.read("enriched-orders")]

    await until("the order to be told its number", told, seconds=BOUND)


async def is_frozen(pid: int) -> bool:
    stat = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
    return stat.rpartition(")")[2].split()[0] == "T"
