"""The careful lane, from topic to topic."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer

from roads.driving import SHOP, YESTERDAY, Road, pair


def later(minutes: float) -> datetime:
    return YESTERDAY + timedelta(minutes=minutes)


async def test_every_change_is_told_once_and_versions_have_no_gaps(road: Road):
    await road.start()
    await road.request("anna", at=later(0))
    await road.settled()
    await road.send("supplier.connection.deferred", {**pair("anna"), "reason": "Ferien"}, at=later(1))
    await road.accept("anna", " 0042 ", at=later(2))
    await road.send("supplier.customer-number.assigned", {**pair("anna"), "customer_number": "0043"}, at=later(3))
    await road.send("supplier.connection.ended", {**pair("anna"), "reason": "Umzug"}, at=later(4))

    told = await road.told("relationship-events", 5)

    assert [(o.type, o.data["version"], o.data.get("customer_number")) for o in told] == [
        ("relationship.requested", 1, None),
        ("relationship.deferred", 2, None),
        ("relationship.accepted", 3, "0042"),
        ("relationship.customer-number-changed", 4, "0043"),
        ("relationship.ended", 5, None),
    ]
    assert told[1].data["reason"] == "Ferien"
    assert told[3].data["previous"] == "0042"
    assert {o.key for o in told} == {b"shop-1/anna"}


async def test_a_decision_before_its_request_waits_for_it(road: Road):
    await road.start()
    accepted = await road.accept("ben", "7", at=later(0))
    await road.settled()
    await road.request("ben", at=later(10))

    told = await road.told("relationship-events", 2)

    assert [o.type for o in told] == ["relationship.requested", "relationship.accepted"]
    assert told[1].cause == accepted
    assert told[1].data["decided_at"] == instant(later(10))


async def test_a_decision_whose_request_never_comes_is_given_up_and_its_id_may_be_used_again(road: Road):
    road.settings["RELATIONSHIP_WORKER_PARKED_HOURS"] = str(1 / 3600)
    await road.start()
    await road.accept("cleo", "7", id_="waited", at=later(0))
    [letter] = await road.told("dead-letters", 1)
    assert letter.header("deadletter-reason") == "unknown_relationship"
    assert letter.data["customer_number"] == "7"

    await road.request("cleo", at=later(1))
    await road.settled()
    await road.accept("cleo", "8", id_="waited", at=later(2))

    told = await road.told("relationship-events", 2)
    assert [(o.type, o.data["customer_number"]) for o in told] == [
        ("relationship.requested", None),
        ("relationship.accepted", "8"),
    ]


async def test_refusals_say_why_and_make_no_version(road: Road):
    await road.start()
    await road.request("dora", at=later(10))
    await road.settled()
    await road.send("supplier.connection.ended", pair("dora"), at=later(11))
    await road.accept("dora", "a\u200bb", at=later(12))
    await road.accept("dora", at=later(5))
    await road.accept("dora", at=datetime.now(UTC) + timedelta(hours=1))
    day = {**pair("dora"), "resubmission_date": "31.12.2026"}
    await road.send("supplier.connection.deferred", day, at=later(13))
    settings = {"supplier_id": SHOP, "time_zone": "Europe/Nowhere"}
    await road.send("supplier.settings.changed", settings, at=later(0), key=SHOP.encode())

    refused = [o for o in await road.told("relationship-events", 7) if o.type == "relationship.decision-refused"]

    of_dora = [o.data for o in refused if o.key == b"shop-1/dora"]
    assert [(r["reason"], r["state"], r["version"]) for r in of_dora] == [
        ("not_a_partner", "requested", 1),
        ("invalid_customer_number", "requested", 1),
        ("stale", "requested", 1),
        ("from_the_future", "requested", 1),
        ("invalid_resubmission_date", "requested", 1),
    ]
    [of_settings] = [o.data for o in refused if o.key == b"shop-1"]
    assert (of_settings["reason"], of_settings["customer_id"], of_settings["state"]) == ("invalid_settings", None, None)


async def test_the_same_event_twice_has_one_effect_whatever_its_mode(road: Road):
    await road.start()
    data = {**pair("eve"), "message": "bitte"}
    text = json.dumps(data)
    first = await road.send("marketplace.connection.requested", text.encode(), key=b"shop-1/eve")
    envelope = (
        f'{{"specversion":"1.0","id":"{first}","source":"/test","type":"marketplace.connection.requested",'
        f'"time":"{YESTERDAY.isoformat()}","data": {text} }}'
    )
    headers: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    await road.raw("connection-requests", envelope.encode(), headers, key=b"shop-1/eve")
    await road.settled()
    await road.send("marketplace.connection.withdrawn", pair("eve"), at=later(1))

    told = await road.told("relationship-events", 2)

    assert [o.type for o in told] == ["relationship.requested", "relationship.withdrawn"]
    assert await road.read("dead-letters") == []


async def test_a_number_that_another_partner_carries_is_flagged_as_shared(road: Road):
    await road.start()
    for customer in ("finn", "gus"):
        await road.request(customer, at=later(0))
    await road.settled()
    await road.accept("finn", "K-1", at=later(1))
    await road.settled()
    await road.accept("gus", "K-1", at=later(2))

    accepted = {o.key: o.data for o in await road.told("relationship-events", 4) if o.type == "relationship.accepted"}

    assert (accepted[b"shop-1/finn"]["shared"], accepted[b"shop-1/gus"]["shared"]) == (False, True)


async def test_two_suppliers_with_the_same_customer_know_nothing_of_each_other(road: Road):
    await road.start()
    other = {"supplier_id": "shop-2", "customer_id": "hugo"}
    await road.request("hugo", at=later(0))
    await road.send("marketplace.connection.requested", other, at=later(0))
    await road.settled()
    await road.accept("hugo", "ONE", at=later(1))
    await road.settled()
    await road.send("marketplace.order.created", {"order_id": "O-1", **other}, key=b"O-1")
    await road.order("O-1", "hugo", at=later(2))

    told = {o.header("ce_supplierid"): o.answer["number"] for o in await road.told("enriched-orders", 2)}

    assert told == {"shop-1": "ONE", "shop-2": None}


async def test_a_reminder_of_a_day_that_has_passed_comes_at_once_and_of_a_superseded_deferral_never(road: Road):
    await road.start()
    await road.request("ida", at=later(0))
    await road.request("jan", at=later(0))
    await road.settled()
    past = {"resubmission_date": "2020-02-29", "reason": "nach Karneval"}
    future = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    deferred = "supplier.connection.deferred"
    await road.send(deferred, {**pair("jan"), "resubmission_date": future}, at=later(1))
    await road.send(deferred, {**pair("jan")}, at=later(2))
    ida = await road.send(deferred, {**pair("ida"), **past}, at=later(1))

    [reminder] = await road.told("reminders", 1)

    assert reminder.cause == ida
    assert reminder.key == b"shop-1/ida"
    told = reminder.data
    assert (told["due_on"], told["due_at"], told["overdue"]) == ("2020-02-29", "2020-02-29T07:00:00Z", True)
    assert (told["version"], told["reason"]) == (2, "nach Karneval")
    assert told["late_seconds"] > 0


async def test_settings_move_an_open_reminder_and_what_came_due_meanwhile_is_told_after_a_stop(road: Road):
    await road.start()
    settings: dict[str, Any] = {"supplier_id": SHOP, "time_zone": "UTC", "reminder_time": "23:59"}
    await road.send("supplier.settings.changed", settings, at=later(0), key=SHOP.encode())
    await road.request("kim", at=later(0))
    await road.settled()
    today = datetime.now(UTC).date().isoformat()
    await road.send("supplier.connection.deferred", {**pair("kim"), "resubmission_date": today}, at=later(1))
    await road.settled()
    assert await road.read("reminders") == []
    assert await road.stop() == [0]

    settings["reminder_time"] = "00:00"
    await road.send("supplier.settings.changed", settings, at=later(2), key=SHOP.encode())
    await road.start()

    [reminder] = await road.told("reminders", 1)
    assert reminder.data["due_at"] == f"{today}T00:00:00Z"


async def test_several_workers_tell_every_reminder_once(road: Road):
    for _ in range(3):
        await road.start()
    customers = [f"c{i}" for i in range(60)]
    for customer in customers:
        await road.request(customer, at=later(0))
    await road.settled()
    for customer in customers:
        day = {**pair(customer), "resubmission_date": "2024-03-31"}
        await road.send("supplier.connection.deferred", day, at=later(1))

    told = await road.told("reminders", 60)
    await road.settled()

    assert sorted(o.data["customer_id"] for o in told) == sorted(customers)
    assert len(await road.read("reminders")) == 60


async def test_the_group_is_told_how_far_the_relationships_are_behind_transaction_markers_too(road: Road):
    await road.start()
    producer = AIOKafkaProducer(
        bootstrap_servers=road.stack.kafka_bootstrap_servers, transactional_id=f"{road.prefix}portal"
    )
    await producer.start()
    headers = [("ce_id", b"tx-1"), ("ce_source", b"/portal"), ("ce_type", b"marketplace.connection.requested")]
    headers += [("ce_specversion", b"1.0"), ("ce_time", YESTERDAY.isoformat().encode())]
    async with producer.transaction():
        value = json.dumps(pair("lea")).encode()
        await producer.send(road.prefix + "connection-requests", value, headers=headers, partition=0)
    await producer.stop()
    await road.settled()

    await road.order("O-1", "lea")

    [order] = await road.told("enriched-orders", 1)
    assert order.answer["flags"] == []


def instant(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
