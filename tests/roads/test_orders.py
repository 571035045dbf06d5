"""The order lane, from topic to topic."""

import json
from datetime import timedelta

import pytest

from contracts.published import read_with_the_cloudevents_sdk
from relationship_worker.roads.orders import AT_ONCE
from roads.driving import SHOP, YESTERDAY, Road

DEFAULT = {"supplier_id": SHOP, "default_customer_number": "D-1"}


async def test_an_order_carries_the_number_that_applied_when_it_was_created(road: Road):
    await road.start()
    await road.send("supplier.settings.changed", DEFAULT, at=YESTERDAY)
    await road.request("anna", at=YESTERDAY)
    await road.accept("anna", "00042", at=YESTERDAY + timedelta(hours=1))

    before = await road.order("O-1", "anna", created_at=(YESTERDAY + timedelta(minutes=59)).isoformat())
    at = await road.order("O-2", "anna", created_at=(YESTERDAY + timedelta(hours=1)).isoformat())

    told = {o.cause: o.answer for o in await road.told("enriched-orders", 2)}
    assert (told[before]["number"], told[before]["source"], told[before]["rule"]) == ("D-1", "default", 5)
    assert (told[at]["number"], told[at]["source"], told[at]["relationship_version"]) == ("00042", "partner", 2)


async def test_an_order_sent_right_behind_a_decision_counts_the_decision(road: Road):
    await road.start()
    await road.request("ben", at=YESTERDAY)
    await road.settled()

    await road.accept("ben", "B-7", at=YESTERDAY)
    await road.order("O-1", "ben")

    [order] = await road.told("enriched-orders", 1)
    assert order.answer["number"] == "B-7"
    assert order.answer["flags"] == []


async def test_the_order_document_is_passed_on_byte_for_byte(road: Road):
    await road.start()
    document = (
        b'{ "order_id":"O-1" ,\n"supplier_id": "shop-1","price": 2.10, "big":12345678901234567890123, "tiny": 1E-7,'
        b' "twice": 1, "twice": 2, "text": "\\u00e4\\/ \\ud800", "lines":[{"sku":"007"}] }'
    )

    await road.send("marketplace.order.created", document, key=b"any")

    [order] = await road.told("enriched-orders", 1)
    assert order.key == b"any"
    assert order.value is not None
    assert order.value.endswith(b',"order":' + document + b"}")


async def test_the_same_event_twice_goes_out_once_and_another_event_of_the_order_gets_the_first_answer(road: Road):
    await road.start()
    await road.request("cleo", at=YESTERDAY)
    await road.accept("cleo", "C-1", at=YESTERDAY)
    first = await road.order("O-1", "cleo", partition=0)
    await road.settled()
    await road.send("supplier.connection.ended", {"supplier_id": SHOP, "customer_id": "cleo"}, at=YESTERDAY)

    await road.order("O-1", "cleo", id_=first, partition=3)
    again = await road.order("O-1", "cleo", partition=2, note="sent again")
    await road.settled()

    told = await road.read("enriched-orders")
    assert sorted(o.cause or "" for o in told) == sorted([first, again])
    assert [o.answer["number"] for o in told] == ["C-1", "C-1"]


async def test_the_same_event_id_with_other_data_is_a_dead_letter(road: Road):
    await road.start()
    first = await road.order("O-1", "dora")
    await road.settled()

    await road.order("O-1", "dora", id_=first, note="changed")

    [letter] = await road.told("dead-letters", 1)
    assert letter.header("deadletter-reason") == "conflicting_event_id"
    assert letter.data["note"] == "changed"


async def test_an_order_without_a_number_goes_out_and_the_supplier_is_told_once(road: Road):
    await road.start()
    first = await road.order("O-1", "nobody")
    await road.settled()
    await road.order("O-1", "nobody", note="again")
    walk_in = await road.order("O-2")
    await road.settled()

    enriched = await road.read("enriched-orders")
    missing = {o.cause: o for o in await road.read("relationship-events")}
    assert [o.answer["number"] for o in enriched] == [None, None, None]
    assert set(missing) == {first, walk_in}
    assert missing[first].key == b"shop-1/nobody"
    assert missing[walk_in].key == b"shop-1"
    assert missing[walk_in].data["reason"] == "default_missing"


async def test_orders_of_one_key_keep_their_order_and_orders_without_a_key_go_out(road: Road):
    await road.start()
    keyed = [await road.order(f"K-{i}", "eve", key=b"one lane") for i in range(30)]
    await road.order("F-1", "eve", key=None)

    told = await road.told("enriched-orders", 31)

    assert [o.cause for o in told if o.key == b"one lane"] == keyed
    assert [o.header("ce_subject") for o in told if o.key is None] == ["F-1"]


async def test_orders_wait_for_decisions_only_so_long_and_say_so(road: Road):
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = "0.2"
    await road.start("--only", "orders")
    await road.request("finn", at=YESTERDAY)

    await road.order("O-1", "finn")

    [order] = await road.told("enriched-orders", 1)
    assert order.answer["flags"] == ["decisions_not_caught_up"]


async def test_a_killed_worker_loses_and_doubles_nothing(road: Road):
    first = await road.start()
    sent = [await road.order(f"O-{i}", "gus") for i in range(200)]
    await road.told("enriched-orders", 1)
    first.kill()
    sent += [await road.order(f"P-{i}", "gus") for i in range(200)]
    await road.start()
    await road.settled()

    told = await road.read("enriched-orders")
    assert sorted(o.cause or "" for o in told) == sorted(sent)


async def test_an_enriched_order_can_be_routed_without_reading_it(road: Road):
    await road.start()
    await road.request("hugo", at=YESTERDAY)
    await road.accept("hugo", "  Ä-1 ", at=YESTERDAY)
    cause = await road.order("Bestellung №1", "hugo", traceparent="00-0123-4567-01")

    [order] = await road.told("enriched-orders", 1)

    assert order.header("ce_supplierid") == "shop-1"
    assert order.header("ce_customerid") == "hugo"
    assert order.header("ce_customernumber") == "Ä-1"
    assert order.header("ce_subject") == "Bestellung №1"
    assert order.header("traceparent") == "00-0123-4567-01"
    assert order.header("ce_causationid") == cause
    assert json.loads(order.value or b"")["order"]["order_id"] == "Bestellung №1"


async def test_what_comes_out_is_read_by_the_official_cloudevents_sdk(road: Road):
    await road.start()
    await road.send("supplier.settings.changed", DEFAULT, at=YESTERDAY)
    await road.request("ida", at=YESTERDAY)
    day = {"supplier_id": SHOP, "customer_id": "ida", "resubmission_date": "2020-01-02"}
    await road.send("supplier.connection.deferred", day, at=YESTERDAY + timedelta(hours=1))
    cause = await road.order("Bestellung №1", "ida")

    records = [*await road.told("enriched-orders", 1), *await road.told("reminders", 1)]
    records += await road.told("relationship-events", 2)

    events = [read_with_the_cloudevents_sdk(list(r.headers), r.value, key=r.key) for r in records]
    assert [event.get_type() for event in events][:2] == ["order.enriched", "relationship.reminder-due"]
    assert {event.get_source() for event in events} == {"relationship-worker"}
    assert events[0].get_subject() == "Bestellung №1"
    assert events[0].get_extension("causationid") == cause


@pytest.mark.parametrize("repeated", [False, True])
async def test_a_backlog_is_answered_as_single_orders_are(road: Road, repeated: bool):
    """Large batches go into the database another way than small ones, and where some were answered before, a third."""
    await road.start()
    await road.send("supplier.settings.changed", DEFAULT, at=YESTERDAY)
    await road.request("hanna", at=YESTERDAY)
    await road.accept("hanna", "H-1", at=YESTERDAY + timedelta(hours=1))
    answered = await road.order("first", "hanna", partition=0)
    await road.settled()
    await road.stop()
    later = (YESTERDAY + timedelta(hours=2)).isoformat()
    earlier = YESTERDAY.isoformat()
    for n in range(AT_ONCE + 50):
        await road.order(f"new-{n:04}", "hanna", partition=0, created_at=later if n % 2 else earlier)
    if repeated:
        await road.order("first", "hanna", id_=answered, partition=0)
        again = await road.order("first", "hanna", partition=0, note="sent again")

    await road.start()
    await road.settled()

    told = {o.cause: o for o in await road.read("enriched-orders")}
    assert len(await road.read("enriched-orders")) == len(told) == 1 + AT_ONCE + 50 + repeated
    numbers = [o.answer["number"] for o in told.values() if o.header("ce_subject") != "first"]
    assert numbers == ["D-1", "H-1"] * ((AT_ONCE + 50) // 2)
    if repeated:
        assert told[again].answer == told[answered].answer
