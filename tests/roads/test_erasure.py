"""Erasure: canaries are sent in through every door, one event erases them, and then every place is searched for them."""

import json
from datetime import datetime, timedelta
from typing import Any

from relationship_worker.storage.database import open_database, rows, transaction
from roads.driving import DECISIONS, REQUESTS, SHOP, YESTERDAY, Road, pair
from waiting import until

ERASED = "marketplace.customer.erased"
NOON = YESTERDAY
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"


def canary(door: str, of: str) -> str:
    """A text that stands nowhere else."""
    return f"canary-{of}-{door}"


async def say(road: Road, type_: str, customer: str, *, at: datetime = NOON, **data: Any) -> str:
    return await road.send(type_, {**pair(customer), **data}, at=at)


async def through_every_door(road: Road, of: str, *, at: datetime = NOON) -> None:
    """What somebody may write about the customers `of`-1, `of`-2, …, right and wrong, with a canary in each."""
    contacts = [{"name": canary("name", of), "email": canary("email", of), "phone": canary("phone", of)}]
    profile = {"company_name": "Müller GmbH", "contacts": contacts}
    requested, rejected = "marketplace.connection.requested", "supplier.connection.rejected"
    await say(road, requested, f"{of}-1", at=at, profile=profile, message=canary("message", of))
    await say(road, "marketplace.customer.profile-updated", f"{of}-1", at=at, profile=profile)
    await road.settled()
    await say(road, "supplier.connection.deferred", f"{of}-1", at=at, reason=canary("deferred", of),
              resubmission_date=(at + timedelta(days=300)).date().isoformat())  # fmt: skip
    await say(road, "supplier.connection.accepted", f"{of}-2", at=at, reason=canary("parked", of))  # waits for ever
    await say(road, rejected, f"{of}-1", at=at - timedelta(days=9), reason=canary("refused", of))
    wrong = {**pair(f"{of}-1"), "profile": {**profile, "vat_id": 7}}
    await road.send(requested, wrong, at=at)
    await road.send(requested, json.dumps({**pair(f"{of}-1"), "profile": profile}).encode()[:-1], at=at, key=b"k")
    id_ = await say(road, rejected, f"{of}-3", at=at, reason=canary("parked-too", of))
    await road.send(rejected, {**pair(f"{of}-3"), "reason": canary("conflict", of)}, at=at, id_=id_)
    envelope = {
        "specversion": "1.0", "id": f"structured-{of}-{at}", "source": "/test", "type": requested,
        "time": at.isoformat(), "data": {**pair(f"{of}-4"), "profile": profile, "message": canary("structured", of)},
    }  # fmt: skip
    headers = [("content-type", b"application/cloudevents+json")]
    await road.raw(REQUESTS, json.dumps(envelope).encode(), headers, key=f"{SHOP}/{of}-4".encode())
    envelope |= {"id": f"parked-{of}-{at}", "type": rejected, "data": {**pair(f"{of}-5"), "reason": canary("5", of)}}
    await road.raw(DECISIONS, json.dumps(envelope).encode(), headers, key=f"{SHOP}/{of}-5".encode())
    await road.settled()


async def tables_with(road: Road, text: str) -> set[str]:
    """The tables that hold a text anywhere, in a column of text or of bytes."""
    database = open_database(road.database_url, connections=1)
    try:
        async with transaction(database) as tx:
            names = [row.tablename for row in await rows(tx, TABLES)]
            return {name for name in names if await _holds(tx, name, text)}
    finally:
        await database.dispose()


async def forgotten(road: Road) -> None:
    """What was told stays in the outbox for a second, or until something later is told."""

    async def is_empty() -> bool:
        database = open_database(road.database_url, connections=1)
        try:
            async with transaction(database) as tx:
                return not await rows(tx, "SELECT 1 FROM outbox LIMIT 1")
        finally:
            await database.dispose()

    await until("the outbox to be empty", is_empty)


async def _holds(tx: Any, table: str, text: str) -> bool:
    look = f"SELECT 1 FROM {table} AS t WHERE position(:text IN t::text) > 0 OR position(:hex IN t::text) > 0 LIMIT 1"
    return bool(await rows(tx, look, {"text": text, "hex": text.encode().hex()}))


async def test_after_an_erasure_no_table_no_log_and_no_new_message_holds_what_was_written_about_the_customer(
    road: Road,
):
    worker = await road.start()
    await through_every_door(road, "gone")
    await through_every_door(road, "stays")
    kept = {"relationships", "relationship_history", "deferrals", "parked"}
    await forgotten(road)
    assert await tables_with(road, "canary-gone") == await tables_with(road, "canary-stays") == kept

    for n in range(1, 6):
        await road.send(ERASED, {"customer_id": f"gone-{n}"}, at=NOON + timedelta(hours=1), key=b"any")
    await road.settled()
    told_before = len(await road.read("relationship-events"))
    assert await tables_with(road, "canary-gone") == set()

    await through_every_door(road, "gone", at=NOON + timedelta(minutes=59))  # late, and older than the erasure
    await say(road, "marketplace.connection.requested", "gone-5", at=NOON)
    await road.settled()

    await forgotten(road)  # dead letters are told as they came
    assert await tables_with(road, "canary-gone") == set()
    assert await tables_with(road, "canary-stays") == kept
    events = sorted(await road.read("relationship-events"), key=lambda record: record.timestamp)
    for record in events:
        assert b"canary-gone-name" not in (record.value or b"")
        assert b"canary-gone-message" not in (record.value or b"")
    new = [record.value or b"" for record in events[told_before:]]
    assert any(b"gone-5" in value for value in new)
    assert not any(b"canary" in value for value in new)
    worker.terminate()
    await worker.wait()
    assert "canary" not in "".join(log.read_text() for log in road.logs)


async def test_numbers_and_decisions_stay_and_the_order_desk_goes_on(road: Road):
    await road.start()
    await say(road, "marketplace.connection.requested", "anna")
    await road.settled()
    await say(road, "supplier.connection.accepted", "anna", customer_number="A-1", decided_by="desk", reason="by phone")
    await road.settled()

    await road.send(ERASED, {"customer_id": "anna", "supplier_id": SHOP}, key=b"any")
    await road.settled()
    await road.order("O-1", "anna")

    [order] = await road.told("enriched-orders", 1)
    assert order.answer["number"] == "A-1"


async def test_what_is_told_anew_after_an_erasure_is_kept(road: Road):
    await road.start()
    await say(road, "marketplace.connection.requested", "ben")
    await road.send(ERASED, {"customer_id": "ben"}, at=NOON, key=f"{SHOP}/ben".encode())
    await road.settled()

    profile = {"contacts": [{"name": canary("again", "ben")}]}
    await say(road, "marketplace.customer.profile-updated", "ben", at=NOON + timedelta(seconds=1), profile=profile)
    await road.settled()

    await forgotten(road)
    assert await tables_with(road, canary("again", "ben")) == {"relationships"}


async def test_an_erasure_that_comes_together_with_a_request_lets_the_request_be_told(road: Road):
    """Sent before the worker runs, so that they are one batch."""
    profile = {"contacts": [{"name": canary("before", "cleo")}]}
    key = f"{SHOP}/cleo".encode()
    request = await say(road, "marketplace.connection.requested", "cleo", profile=profile)
    await road.send(ERASED, {"customer_id": "cleo"}, at=NOON, key=key)
    update = {"contacts": [{"name": canary("late", "cleo")}]}
    await say(road, "marketplace.customer.profile-updated", "cleo", at=NOON, profile=update)
    await say(road, "marketplace.connection.withdrawn", "cleo")

    await road.start()

    told = await road.told("relationship-events", 2)
    assert [record.type for record in told] == ["relationship.requested", "relationship.withdrawn"]
    assert told[0].cause == request
    assert await tables_with(road, canary("before", "cleo")) == set()
    assert await tables_with(road, canary("late", "cleo")) == set()


async def test_a_reason_that_a_rule_gives_is_the_suppliers_and_is_told_also_of_whoever_was_erased(road: Road):
    await road.start()
    rule = {"name": "no", "then": {"reject": {"reason": "only by appointment"}}}
    await road.send("supplier.settings.changed", {"supplier_id": SHOP, "rules": [rule]}, at=NOON, key=SHOP.encode())
    await road.send(ERASED, {"customer_id": "dora"}, at=NOON + timedelta(hours=2), key=b"any")
    await road.settled()

    asked = NOON + timedelta(hours=1)  # before the erasure, and comes late
    await say(road, "marketplace.connection.requested", "dora", at=asked, message=canary("late", "dora"))
    _, rejected = await road.told("relationship-events", 2)

    assert (rejected.type, rejected.data["reason"]) == ("relationship.rejected", "only by appointment")
    await road.settled()
    await forgotten(road)
    assert await tables_with(road, canary("late", "dora")) == set()
