"""Two releases of the worker side by side on one schema: rolled out and back under traffic, each order is told once."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roads.driving import Road
from system.releases import NEXT, THIS, next_release
from waiting import until

CANNOT_START = 3  # exit code
KEYS = 8  # of orders; two a partition
PAUSE = 0.02  # seconds between two orders: the sender's own pace


@asynccontextmanager
async def traffic(road: Road) -> AsyncIterator[list[str]]:
    """Orders, one after the other until the block ends; their events' ids, which grow meanwhile."""
    sent: list[str] = []
    over = asyncio.Event()

    async def send() -> None:
        while not over.is_set():
            number = len(sent)
            sent.append(await road.order(f"O-{number}", "anna", key=f"{number % KEYS}".encode()))
            await asyncio.sleep(PAUSE)

    sending = asyncio.create_task(send())
    try:
        yield sent
    finally:
        over.set()
        await sending


async def all_answer(road: Road, *workers: asyncio.subprocess.Process) -> None:
    """Until each of these workers has answered orders that it had not answered before."""
    logs = [road.logs[road.workers.index(worker)] for worker in workers]
    before = [batches_of_orders(log) for log in logs]

    async def more() -> bool:
        return all(batches_of_orders(log) > count for log, count in zip(logs, before, strict=True))

    await until("each worker to answer orders", more)


def batches_of_orders(log: Path) -> int:
    return log.read_text("utf-8").count('"event": "orders"')


async def stop(worker: asyncio.subprocess.Process) -> None:
    worker.terminate()
    assert await asyncio.wait_for(worker.wait(), 10) == 0


async def test_a_release_whose_migration_only_adds_is_rolled_out_and_back_under_traffic(road: Road, tmp_path: Path):
    newer = next_release(tmp_path / "next", oldest_worker=THIS)
    old = [await road.start(), await road.start()]
    await road.request("anna")
    await road.accept("anna", "4711")
    await road.told("relationship-events", 2)

    async with traffic(road) as sent:
        await all_answer(road, *old)

        code, _, err = await road.command("init", **newer)
        assert code == 0, err
        await all_answer(road, *old)  # the schema has changed under them

        new = await road.start(**newer)
        await all_answer(road, *old, new)  # side by side
        await road.request("bert")
        await stop(old[0])
        again = await road.start()  # of the former release, on the later schema: the way back
        await all_answer(road, old[1], new, again)
        await road.accept("bert", "4712")
        await stop(new)
        await all_answer(road, old[1], again)
    await road.settled()

    told = await road.read("enriched-orders")
    by_key = defaultdict(list)
    for order in told:
        by_key[order.key].append(int(order.data["order"]["order_id"].removeprefix("O-")))
    events = [(e.data["customer_id"], e.data["version"]) for e in await road.told("relationship-events", 4)]
    assert sorted(order.cause or "" for order in told) == sorted(sent)
    assert len(by_key) == KEYS
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert {order.answer["number"] for order in told} == {"4711"}
    assert sorted(events) == [("anna", 1), ("anna", 2), ("bert", 1), ("bert", 2)]
    assert set(await road.stop()) == {0}


async def test_a_worker_that_the_schema_does_not_admit_any_more_says_so_and_ends(road: Road, tmp_path: Path):
    newer = next_release(tmp_path / "next", oldest_worker=NEXT)
    assert (await road.command("init", **newer))[0] == 0

    for command in ("run", "init"):
        code, _, err = await road.command(command)

        assert code == CANNOT_START
        said = err.strip().splitlines()[-1]
        assert f"schema version {NEXT}, which admits workers of version {NEXT} or later" in said
        assert f"this one is of version {THIS}: run a later release" in said
    new = await road.start(**newer)
    await road.order("O-1", "anna")
    assert len(await road.told("enriched-orders", 1)) == 1
    await stop(new)
