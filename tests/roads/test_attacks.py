"""Whoever may do nothing but send neither loses nor doubles an order, and books none to another one's account."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer

from roads.driving import ORDER_CREATED, ORDERS, SHOP, YESTERDAY, Road, Told, pair

OTHER_SHOP = "shop-2"
EARLIER = YESTERDAY - timedelta(days=5)
ATTRIBUTES = {"ce_source": "/test", "ce_specversion": "1.0", "content-type": "application/json"}


async def partners(road: Road) -> None:
    """A worker knows: anna is "A 1" at the one supplier and "X 9" at the other; bert is "B 2"."""
    await road.start(RELATIONSHIP_WORKER_FRESHNESS_SECONDS="30")
    for supplier, customer, number in ((SHOP, "anna", "A 1"), (SHOP, "bert", "B 2"), (OTHER_SHOP, "anna", "X 9")):
        both: dict[str, Any] = {"supplier_id": supplier, "customer_id": customer}
        await road.send("marketplace.connection.requested", both, at=EARLIER)
        await road.send("supplier.connection.accepted", {**both, "customer_number": number}, at=EARLIER)
    await road.told("relationship-events", 6)  # before its request a decision of any age waits, and counts as of that


def an_order(order_id: str, customer: str | None = "anna", supplier: str = SHOP) -> dict[str, Any]:
    return {"order_id": order_id, "supplier_id": supplier, "customer_id": customer}


def numbers(orders: list[Told]) -> dict[tuple[str | None, str], str | None]:
    """By the event behind it and the order's supplier."""
    return {(order.cause, order.data["order"]["supplier_id"]): order.answer["number"] for order in orders}


async def test_ids_of_others_take_nothing_away_from_them(road: Road):
    await partners(road)
    id_ = "the-same"
    await road.send("marketplace.connection.withdrawn", pair("carl"), id_=id_)
    await road.send("supplier.connection.rejected", pair("dora"), id_=id_)
    await road.send(ORDER_CREATED, an_order("O-1"), id_=id_)
    await road.told("enriched-orders", 1)
    await road.send(ORDER_CREATED, an_order("O-1", supplier=OTHER_SHOP), id_=id_)
    await road.send(ORDER_CREATED, an_order("O-1", supplier=OTHER_SHOP), id_="another")
    await road.send(ORDER_CREATED, an_order("O-1", supplier=OTHER_SHOP), id_=id_, ce_source="/test/")

    told = await road.told("enriched-orders", 3)
    letters = await road.told("dead-letters", 1)

    assert sorted((order.cause, order.header("ce_causationsource"), order.answer["number"]) for order in told) == [
        ("another", "/test", "X 9"),
        ("the-same", "/test", "A 1"),
        ("the-same", "/test/", "X 9"),
    ]
    assert [letter.header("deadletter-reason") for letter in letters] == ["conflicting_event_id"]


async def test_what_stands_around_an_order_says_nothing_of_whose_it_is(road: Road):
    await partners(road)
    lies = {"customernumber": "B 2", "ce_customernumber": "B 2", "ce_customerid": "bert", "ce_supplierid": OTHER_SHOP}
    lies |= {"ce_causationid": "another", "deadletter-reason": "none", "ce_subject": "O-9"}
    await road.send(ORDER_CREATED, an_order("O-1"), id_="headers", key=b"shop-2/bert", **lies)
    twice = (
        b'{"customer_id":"bert","order_id":"O-9","order_id":"O-2","supplier_id":"shop-1","customer_\\u0069d":"anna"}'
    )
    await road.send(ORDER_CREATED, twice, id_="twice", key=b"k")
    inner = {"order": an_order("O-9", "bert"), "customer_number": {"number": "B 2"}}
    await road.send(ORDER_CREATED, {**an_order("O-3"), **inner}, id_="inner")
    escape = json.dumps(an_order("O-4")).encode() + b',"customer_number":{"number":"B 2"}}'
    await road.send(ORDER_CREATED, escape, id_="escape", key=b"k")

    told = await road.told("enriched-orders", 3)
    [letter] = await road.told("dead-letters", 1)

    assert {order.cause: order.answer["number"] for order in told} == {"headers": "A 1", "twice": "A 1", "inner": "A 1"}
    for order in told:
        names = [name for name, _ in order.headers]
        assert len(names) == len(set(names))
        routed = [order.header(f"ce_{name}") for name in ("supplierid", "customerid", "customernumber")]
        assert routed == [SHOP, "anna", "A 1"]
    assert [order.key for order in told if order.cause == "headers"] == [b"shop-2/bert"]
    assert (letter.header("ce_id"), letter.header("deadletter-reason")) == ("escape", "invalid_json")


async def test_the_same_order_in_another_guise_is_told_once(road: Road):
    await partners(road)
    text = json.dumps(an_order("O-1")).encode()
    time = YESTERDAY.isoformat()
    for partition in range(4):  # at once, under no key: each partition has a lane of its own
        await road.send(ORDER_CREATED, text, id_="one", key=None, partition=partition)
    attributes = {"id": "one", "source": "/test", "type": ORDER_CREATED, "specversion": "1.0", "time": time}
    envelope = json.dumps(attributes).encode()[:-1] + b',"data": \n' + text + b" }"
    structured: list[tuple[str, bytes | None]] = [
        ("content-type", b"application/cloudevents+json"),
        ("ce_id", b"two"),
        ("ce_type", b"marketplace.order.cancelled"),
    ]
    await road.raw(ORDERS, envelope, structured, partition=2)
    await road.send(ORDER_CREATED, b"\r\n " + text + b"\t", id_="one", key=b"k", traceparent="00-1-2-01")
    await road.raw(ORDERS, None, [("ce_id", b"one")], key=b"k")  # a tombstone takes nothing back
    await road.send(ORDER_CREATED, text.replace(b": ", b":"), id_="one", key=b"k")
    behind = [await road.send(ORDER_CREATED, an_order(f"O-{p}"), key=None, partition=p) for p in range(2, 6 - 2)]
    await road.settled()

    told = await road.read("enriched-orders")
    letters = await road.read("dead-letters")

    assert sorted(order.cause or "" for order in told) == sorted(["one", *behind])
    assert sorted(str(letter.header("deadletter-reason")) for letter in letters) == [
        "conflicting_event_id",
        "empty_value",
    ]


async def test_texts_that_look_alike_are_not_the_same(road: Road):
    await partners(road)
    composed, decomposed = "Bestellung-Ü", "Bestellung-U\u0308"
    sent = [
        await road.send(ORDER_CREATED, an_order(composed, "anna"), key=b"k"),
        await road.send(ORDER_CREATED, an_order(decomposed, "bert"), key=b"k"),
        await road.send(ORDER_CREATED, an_order("o-1", "bert"), key=b"k"),
        await road.send(ORDER_CREATED, an_order("O-1", "anna"), key=b"k"),
    ]
    for order_id, customer in (
        ("O-1\u200b", "bert"), ("\u202eO-1", "bert"), ("O-1\u00a0", "bert"), ("O-1\ufeff", "bert"), ("O-1\n", "bert"),
        ("O-7", "аnna"), ("O-7", "anna\u200b"), ("O-7", "ａnna"), ("O-7", "anna "), ("O-7", "ANNA/"),
    ):  # fmt: skip
        await road.send(ORDER_CREATED, an_order(order_id, customer), key=b"k")
    last = await road.send(ORDER_CREATED, an_order("O-8", "Anna"), key=b"k")

    told = await road.told("enriched-orders", 5)
    letters = await road.told("dead-letters", 10)

    assert [order.cause for order in told] == [*sent, last]
    assert [order.answer["number"] for order in told] == ["A 1", "B 2", "B 2", "A 1", None]
    assert {letter.header("deadletter-reason") for letter in letters} == {"invalid_data"}


async def test_times_beyond_all_others_change_no_number(road: Road):
    await partners(road)
    ends = {"first": "2000-01-01T00:00:00Z", "last": "2199-12-31T23:59:59.9999999999Z"}
    for id_, created_at in ends.items():
        await road.send(ORDER_CREATED, {**an_order(id_), "created_at": created_at}, id_=id_)
    far = datetime(2199, 1, 1, tzinfo=UTC)
    await road.send("supplier.customer-number.assigned", {**pair("anna"), "customer_number": "stolen"}, at=far)
    await road.send("supplier.connection.ended", pair("anna"), at=EARLIER - timedelta(days=365))
    settings = {"supplier_id": SHOP, "default_customer_number": "stolen"}
    await road.send("supplier.settings.changed", settings, at=far, key=SHOP.encode())
    for number, millis in enumerate((0, 1, -1)):  # by Kafka's own clock
        batch = road.producer.create_batch()
        headers = {**ATTRIBUTES, "ce_id": f"clock-{number}", "ce_type": ORDER_CREATED, "ce_time": YESTERDAY.isoformat()}
        pairs = [(name, text.encode()) for name, text in headers.items()]
        value = json.dumps(an_order(f"clock-{number}")).encode()
        batch.append(timestamp=millis, key=b"k", value=value, headers=pairs)
        await (await road.producer.send_batch(batch, road.prefix + ORDERS, partition=0))
    last = await road.send(ORDER_CREATED, an_order("O-1"))

    told = await road.told("enriched-orders", 6)
    refused = [
        event for event in await road.read("relationship-events") if event.type == "relationship.decision-refused"
    ]

    found = {order.cause: order.answer["number"] for order in told}
    clocks = {f"clock-{number}": "A 1" for number in range(3)}
    assert found == {"first": None, "last": "A 1", last: "A 1", **clocks}
    assert sorted(event.data["reason"] for event in refused) == ["from_the_future", "from_the_future", "stale"]


async def test_what_was_rolled_back_was_never_ordered_and_what_is_left_open_holds_back_no_other_partition(road: Road):
    await partners(road)
    options: dict[str, Any] = {"bootstrap_servers": road.stack.kafka_bootstrap_servers}
    async with AIOKafkaProducer(transactional_id=f"{road.prefix}mine", transaction_timeout_ms=5_000, **options) as mine:
        headers = {**ATTRIBUTES, "ce_type": ORDER_CREATED, "ce_time": YESTERDAY.isoformat()}
        for id_, partition in (("rolled back", 0), ("left open", 1)):
            await mine.begin_transaction()
            pairs = [(name, text.encode()) for name, text in {**headers, "ce_id": id_}.items()]
            value = json.dumps(an_order(id_)).encode()
            await mine.send_and_wait(road.prefix + ORDERS, value, headers=pairs, partition=partition)
            if id_ == "rolled back":
                await mine.abort_transaction()
        sent = [await road.send(ORDER_CREATED, an_order(f"O-{p}"), key=None, partition=p) for p in range(4)]
        told = await road.told("enriched-orders", 3)
        assert {order.cause for order in told} >= {sent[0], sent[2], sent[3]}

        told = await road.told("enriched-orders", 4)  # the broker rolls back what is left open

    assert sorted(order.cause or "" for order in told) == sorted(sent)
