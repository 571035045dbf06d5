"""Work of every kind on a secured road, and what it leads to."""

from datetime import timedelta

from roads.driving import YESTERDAY, pair
from secured.people import Desk

OLD = {"resubmission_date": "2020-01-02"}


async def send_all(desk: Desk, round_: int) -> None:
    """Input of every kind: a request, a decision that leads to a reminder at once, an order, and one that nobody can read."""
    customer = f"c-{round_}"
    await desk.road.request(customer, at=YESTERDAY)
    await desk.road.send("supplier.connection.deferred", {**pair(customer), **OLD}, at=YESTERDAY + timedelta(hours=1))
    await desk.road.order(f"O-{round_}", customer)
    await desk.road.raw("orders", b"no order", [], key=customer.encode())


async def all_told(desk: Desk, round_: int) -> None:
    """What these inputs lead to, of all rounds by now."""
    await desk.road.told("enriched-orders", round_)
    await desk.road.told("dead-letters", round_)
    await desk.road.told("relationship-events", 3 * round_)
    await desk.road.told("reminders", round_)


async def all_works(desk: Desk, round_: int) -> None:
    await send_all(desk, round_)
    await all_told(desk, round_)
