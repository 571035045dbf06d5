"""Trouble of the worker's own: a constraint that the database did not have when the worker was written.

A record whose reason or default number is `trouble` can't be remembered; what it breaks is undone by `fixed`.
"""

from typing import Any

from roads.driving import SHOP, YESTERDAY, Road, Told, pair
from waiting import until

TROUBLE = "trouble"
BROKEN = {
    "relationship_history": "reason IS DISTINCT FROM 'trouble'",
    "supplier_settings": "settings ->> 'default_customer_number' IS DISTINCT FROM 'trouble'",
    "answers": "order_id <> 'trouble'",
}


async def broken(road: Road) -> None:
    """From now on the worker fails on whatever is trouble."""
    for table, check in BROKEN.items():
        await road.ask(f"ALTER TABLE {table} ADD CONSTRAINT no_trouble CHECK ({check}) NOT VALID")


async def fixed(road: Road) -> None:
    """A worker that does not fail any more."""
    for table in BROKEN:
        await road.ask(f"ALTER TABLE {table} DROP CONSTRAINT no_trouble")


async def rejected(road: Road, customer: str, reason: str, **more: Any) -> str:
    data = {**pair(customer), "reason": reason, "decided_by": "desk"}
    return await road.send("supplier.connection.rejected", data, **{"at": YESTERDAY, **more})


async def letters(road: Road, count: int) -> list[Told]:
    """The dead letters on which the worker itself failed, once there are so many."""

    async def there() -> list[Told] | None:
        found = [o for o in await road.read("dead-letters") if o.header("deadletter-reason") == "processing_failed"]
        return found if len(found) >= count else None

    return await until(f"{count} records on which the worker failed", there)


def place_of(letter: Told) -> str:
    """The dead letter's name on the command line: where it came from."""
    return ":".join(str(letter.header(f"deadletter-{part}")) for part in ("topic", "partition", "offset"))


__all__ = ["SHOP", "TROUBLE", "broken", "fixed", "letters", "place_of", "rejected"]
