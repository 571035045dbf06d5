"""Corrections, from topic to topic: what an order must be told follows the facts, in whatever order they become known."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed_now
from roads.driving import SHOP, YESTERDAY, Road, Told
from waiting import until

CORRECTED = "order.customer-number-corrected"


def later(**some: float) -> datetime:
    return YESTERDAY + timedelta(**some)


async def default(road: Road, number: str | None = "D-1", *, at: datetime = YESTERDAY, **more: Any) -> str:
    change = {"supplier_id": SHOP, "default_customer_number": number, **more}
    return await road.send("supplier.settings.changed", change, at=at, key=SHOP.encode())


async def assigned(road: Road, customer: str, number: str | None, *, at: datetime) -> str:
    data = {"supplier_id": SHOP, "customer_id": customer, "customer_number": number}
    return await road.send("supplier.customer-number.assigned", data, at=at)


async def corrected(road: Road) -> dict[str, list[Told]]:
    """The corrections of each order, once all facts were followed up and all that came of it is told."""
    await road.settled()

    async def told() -> list[list[Told]] | None:
        to_tell = await road.corrections_to_tell()
        records = [record for record in await road.read("enriched-orders") if record.type == CORRECTED]
        return [records] if to_tell is not None and len(records) >= to_tell else None

    [records] = await until("all facts to be followed up, and all corrections to be told", told)
    found = defaultdict(list)
    for record in records:
        found[record.data["order_id"]].append(record)
    return found


def numbers(told: list[Told]) -> list[str | None]:
    return [record.answer["number"] for record in told]


async def test_a_default_that_is_set_later_corrects_an_order_that_went_out_without_a_number(road: Road):
    await road.start()
    await road.order("O-1", created_at=later(hours=0).isoformat(), key=b"any key", partition=2)
    await road.settled()

    set_ = await default(road, at=later(hours=1))

    [correction] = (await corrected(road))["O-1"]
    [order] = [r for r in await road.read("enriched-orders") if r.type == "order.enriched"]
    assert (correction.key, correction.partition) == (order.key, order.partition) == (b"any key", 2)
    assert correction.offset > order.offset
    assert correction.cause == set_
    assert correction.header("ce_subject") == "O-1"
    assert correction.header("ce_customernumber") == "D-1"
    assert correction.data["previous"] == order.answer
    assert correction.answer == {
        "number": "D-1",
        "source": "default",
        "reason": "not_a_partner",
        "rule": 5,
        "relationship_version": None,
        "as_of": later(hours=1).isoformat().replace("+00:00", "Z"),
        "flags": ["no_customer"],
    }


async def test_a_partner_that_gets_a_number_later_gets_it_onto_the_orders_before(road: Road):
    await road.start()
    await default(road)
    await road.request("anna")
    await road.accept("anna")
    await road.order("O-1", "anna", created_at=later(hours=1).isoformat())
    await road.settled()

    await assigned(road, "anna", "00042", at=later(hours=2))
    await assigned(road, "anna", "00043", at=later(hours=3))

    [correction] = (await corrected(road))["O-1"]
    assert (correction.answer["number"], correction.answer["source"]) == ("00042", "partner")
    assert (correction.answer["relationship_version"], correction.answer["rule"]) == (3, 1)
    assert correction.data["previous"]["number"] == "D-1"


async def test_a_decision_that_becomes_known_late_corrects_the_orders_since_it_was_taken(road: Road):
    await road.start()
    await default(road)
    await road.request("ben")
    before = await road.order("O-1", "ben", created_at=later(hours=1).isoformat())
    since = await road.order("O-2", "ben", created_at=later(hours=3).isoformat())
    await road.settled()

    taken = await road.accept("ben", "B-7", at=later(hours=2))

    told = await corrected(road)
    assert {order: numbers(some) for order, some in told.items()} == {"O-2": ["B-7"]}
    assert told["O-2"][0].cause == taken
    assert {before, since} == {r.cause for r in await road.read("enriched-orders") if r.type != CORRECTED}


async def test_an_order_is_told_each_change_of_what_it_must_be_told_and_nothing_twice(road: Road):
    await road.start()
    await road.request("cleo")
    await road.order("O-1", "cleo", created_at=later(hours=5).isoformat())
    await road.settled()

    await default(road, at=later(hours=1))
    await road.settled()
    await road.accept("cleo", "C-1", at=later(hours=2))
    await road.settled()
    await assigned(road, "cleo", "C-2", at=later(hours=3))
    await assigned(road, "cleo", None, at=later(hours=4))
    await road.settled()
    await default(road, at=later(hours=4), time_zone="Europe/Vienna")

    told = (await corrected(road))["O-1"]
    assert numbers(told) == ["D-1", "C-1", "C-2", "D-1"]
    assert [t.data["previous"]["number"] for t in told] == [None, "D-1", "C-1", "C-2"]


async def test_without_a_window_nothing_is_corrected(road: Road):
    await road.start()
    await default(road, None, correction_window_hours=0)
    await road.order("O-1", created_at=later(hours=1).isoformat())
    await road.settled()

    await default(road, at=later(hours=2))

    assert await corrected(road) == {}


async def test_an_order_that_comes_again_is_told_its_correction(road: Road):
    await road.start()
    await road.order("O-1", created_at=YESTERDAY.isoformat(), partition=0)
    await road.settled()
    await default(road, at=later(hours=1))
    [correction] = (await corrected(road))["O-1"]

    again = await road.order("O-1", created_at=YESTERDAY.isoformat(), partition=3, note="sent again")
    await road.settled()

    assert [r.answer for r in await road.read("enriched-orders") if r.cause == again] == [correction.answer]


async def test_a_default_reaches_thousands_of_orders_once_each_though_the_worker_is_killed_meanwhile(road: Road):
    worker = await road.start()
    ids = [f"O-{n}" for n in range(3_000)]
    for order in ids:
        value = b'{"order_id":"%b","supplier_id":"%b"}' % (order.encode(), SHOP.encode())
        await road.producer.send(
            f"{road.prefix}orders",
            value,
            key=order.encode(),
            headers=[
                ("ce_id", order.encode()),
                ("ce_source", b"/test"),
                ("ce_type", b"marketplace.order.created"),
                ("ce_specversion", b"1.0"),
                ("ce_time", later(hours=1).isoformat().encode()),
            ],
        )
    await road.producer.flush()
    await road.settled()

    await default(road, at=later(hours=2))

    async def some_are_corrected() -> bool:
        return any(r.type == CORRECTED for r in await road.read("enriched-orders"))

    await until("the first corrections", some_are_corrected)
    worker.kill()
    await worker.wait()
    await road.start()

    told = await corrected(road)
    assert {order: numbers(some) for order, some in told.items()} == {order: ["D-1"] for order in ids}


async def test_an_order_that_is_answered_while_a_fact_becomes_known_is_told_by_it_in_the_end(road: Road):
    for _ in range(2):
        await road.start()
    await road.order("O-warm", created_at=YESTERDAY.isoformat())
    await road.settled()

    for n in range(300):
        await road.order(f"O-{n}", created_at=later(hours=1).isoformat(), partition=n % 4)
        if n == 150:
            await default(road, at=later(minutes=30))

    found = await corrected(road)
    last = {}
    for record in await road.read("enriched-orders"):
        if record.type != CORRECTED:
            last.setdefault(record.header("ce_subject"), record.answer["number"])
    for order, some in found.items():
        assert last[order] is None
        last[order] = some[-1].answer["number"]
    assert last == {"O-warm": "D-1", **{f"O-{n}": "D-1" for n in range(300)}}


async def test_what_kafka_says_is_told_is_told_whatever_the_database_was_told_of_it(road: Road):
    """A Kafka that stops may undo what it had called done (KAFKA-20734): the correction, and the position with its note."""
    await road.start()
    await road.order("O-1", created_at=later(hours=0).isoformat(), partition=2)
    await road.settled()
    await default(road, at=later(hours=1))
    assert len((await corrected(road))["O-1"]) == 1
    assert await road.stop() == [0]

    place = TopicPartition(f"{road.prefix}orders", 2)
    committed = await committed_of(road, place)
    group = AIOKafkaConsumer(
        bootstrap_servers=road.stack.kafka_bootstrap_servers, group_id=road.group, enable_auto_commit=False
    )
    await group.start()
    group.assign([place])
    await group.commit({place: OffsetAndMetadata(committed.offset, "0")})
    await group.stop()
    await road.start()

    async def told_again() -> bool:
        return sum(record.type == CORRECTED for record in await road.read("enriched-orders")) == 2

    assert committed.metadata == "1"
    await until("the correction to be told", told_again)


async def committed_of(road: Road, place: TopicPartition) -> OffsetAndMetadata:
    kafka = Connection(bootstrap_servers=road.stack.kafka_bootstrap_servers, group=road.group, prefix=road.prefix)
    found = await committed_now(kafka, road.group, place)
    assert found is not None
    return found
