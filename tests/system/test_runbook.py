"""What the runbook tells an operator to type, done as it stands there."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import run, transaction
from roads.driving import SHOP, Road, opened_road, pair
from waiting import until
from watching import GREEN, watched

RUNBOOK = Path(__file__).parents[2] / "deploy" / "runbook.md"


def statements_of(section: str) -> list[str]:
    """The SQL that a section shows."""
    [text] = re.findall(rf"^## {section}\n(.*?)(?=^## )", RUNBOOK.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    [sql] = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    return [statement for line in sql.split(";") if (statement := line.strip())]


async def test_another_cluster_knows_what_was_told_on_the_old_one_and_corrects_it(
    road: Road, database: AsyncEngine, tmp_path: Path
):
    then = datetime.now(UTC) - timedelta(days=2)
    await road.start()
    worker = await watched(road.logs[0])
    await road.request("nora", at=then)
    await road.settled()
    await road.accept("nora", at=then + timedelta(hours=1))
    await road.settled()
    told = [await road.order(f"O-{i}", "nora", created_at=(then + timedelta(hours=2)).isoformat()) for i in range(20)]
    await road.settled()

    async def drained() -> bool:
        status = await worker.status()
        waits = [status[name] for name in ("lag", "open_outbox", "facts_waiting", "corrections_waiting")]
        return waits == [0, 0, 0, 0]

    await until("all of it to be drained", drained)
    assert await road.stop() == [0]

    async with transaction(database) as tx:
        for statement in statements_of("Moving to another cluster"):
            await run(tx, statement)
    folder = tmp_path / "new"
    folder.mkdir()
    async with opened_road(road.stack, road.database_url, f"{road.prefix}new.", folder) as new:
        new.settings |= road.settings
        await new.start()
        await (await watched(new.logs[0])).turns("/health/ready", GREEN)
        await new.order("O-0", "nora", created_at=(then + timedelta(hours=2)).isoformat(), id_=told[0])
        for partition in range(4):
            await new.order(f"P-{partition}", "olga", partition=partition)
        number = {**pair("nora"), "customer_number": "00042", "decided_by": "erp"}
        await new.send("supplier.customer-number.assigned", number, at=then + timedelta(hours=3))

        async def corrected() -> bool:
            return len([o for o in await new.read("enriched-orders") if "corrected" in (o.type or "")]) >= 20

        await until("all orders of the old cluster to be corrected", corrected)
        events = await new.read("relationship-events")
        orders = await new.read("enriched-orders")

    assert len([o for o in orders if "corrected" in (o.type or "")]) == 20
    assert sorted(o.data["order"]["order_id"] for o in orders if o.type == "order.enriched") == [
        f"P-{partition}" for partition in range(4)
    ]
    [change] = [event for event in events if event.type == "relationship.customer-number-changed"]
    assert (change.data["version"], change.data["supplier_id"]) == (3, SHOP)
