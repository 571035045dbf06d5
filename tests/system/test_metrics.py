"""What is counted of real orders, requests, reminders and faults; and that every metric means something."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker import metrics
from relationship_worker.storage.database import run, transaction
from roads.driving import SHOP, Road, pair
from waiting import until
from watching import Watched, watched

P = "relationship_worker_"


async def a_worker(road: Road, *arguments: str) -> Watched:
    await road.start(*arguments)
    return await watched(road.logs[-1])


async def becomes(worker: Watched, sample: str, value: float) -> None:
    async def look() -> bool:
        return await worker.metric(P + sample) == value

    await until(f"{sample} to be {value:g}", look)


async def test_orders_are_counted_by_whose_number_they_carry_and_why(road: Road):
    worker = await a_worker(road)
    await road.request("nora")
    await road.accept("nora", "00042")
    await road.settled()
    first = await road.order("O-1", "nora")
    await road.order("O-2", "nora")
    await road.order("O-3", "olga")
    await road.settled()
    await road.order("O-1", "nora", id_=first)  # the same event: nothing comes of it
    await road.order("O-2", "nora", note="by another event")
    await road.raw("orders", b"no json", [], key=b"x")
    await road.settled()

    await becomes(worker, 'orders_total{reason="",source="partner"}', 2)
    await becomes(worker, 'orders_total{reason="default_missing",source="none"}', 1)
    await becomes(worker, "orders_told_again_total", 1)
    await becomes(worker, 'dead_letters_total{reason="invalid_event",topic="orders"}', 1)
    assert (await worker.metric(P + "order_answer_seconds_count") or 0) >= 1
    assert (await worker.metric(P + "order_answer_seconds_sum") or 0) > 0
    assert (await worker.metric(P + 'kafka_transaction_seconds_count{topic="orders"}') or 0) >= 1


async def test_the_latency_of_an_answer_counts_from_the_time_of_its_record(road: Road, database: AsyncEngine):
    worker = await a_worker(road)
    async with transaction(database) as tx:
        await run(tx, "LOCK TABLE answers")  # whoever answers an order waits
        await road.order("O-1", "nora")
        await asyncio.wait_for(_lag(worker, 1), 60)
        await until("the order to be two seconds old", lambda: _older_than(worker, 2))

    await road.told("enriched-orders", 1)

    await becomes(worker, "order_answer_seconds_count", 1)
    assert (await worker.metric(P + "order_answer_seconds_sum") or 0) >= 2


async def test_requests_corrections_and_skipped_rules_are_counted(road: Road):
    worker = await a_worker(road)
    rules = [{"name": "all", "then": {"accept": {"customer_number": "MP-{customer_id}"}}}]
    customer = "a-customer-with-a-long-id"  # with MP- before it longer than a number may be
    old = datetime.now(UTC) - timedelta(days=3)
    await road.send("supplier.settings.changed", {"supplier_id": SHOP, "rules": rules}, at=old, key=SHOP.encode())
    await road.settled()
    await road.request(customer, at=old + timedelta(hours=1))
    await road.settled()  # a decision that waits for its request goes before any rule
    await road.accept(customer, at=old + timedelta(hours=2))
    await road.settled()
    await road.order("O-1", customer, created_at=(old + timedelta(hours=3)).isoformat())
    await road.settled()
    await road.send(
        "supplier.customer-number.assigned",
        {**pair(customer), "customer_number": "00042", "decided_by": "erp"},
        at=old + timedelta(hours=4),
    )

    await becomes(worker, "corrections_total", 1)
    await becomes(worker, "own_rules_skipped_total", 1)
    await becomes(worker, 'inputs_total{topic="connection-requests"}', 1)
    await becomes(worker, 'inputs_total{topic="relationship-decisions"}', 3)


async def test_reminders_are_counted_with_how_late_they_were_and_open_requests_with_their_age(road: Road):
    worker = await a_worker(road)
    asked = datetime.now(UTC) - timedelta(days=10)
    due = (datetime.now(UTC) - timedelta(days=2)).date()
    for customer in ("nora", "olga"):
        await road.request(customer, at=asked)
    deferred = {"decided_by": "desk", "resubmission_date": due.isoformat()}
    await road.send("supplier.connection.deferred", {**pair("nora"), **deferred}, at=asked + timedelta(days=1))
    await road.send(
        "supplier.connection.deferred", {**pair("olga"), "decided_by": "desk"}, at=asked + timedelta(days=1)
    )
    await road.told("reminders", 1)
    other = await a_worker(road)  # its first survey is of now; the first worker's may be a minute old

    await becomes(worker, "reminder_late_seconds_count", 1)
    await becomes(other, 'open_requests{dated="yes",state="deferred"}', 1)
    await becomes(other, 'open_requests{dated="no",state="deferred"}', 1)
    age = await other.metric(P + 'open_request_oldest_seconds{dated="no",state="deferred"}') or 0
    assert 10 * 86_400 <= age < 10 * 86_400 + 600
    assert await other.metric(P + "reminder_overdue_seconds") == 0


async def test_orders_past_the_freshness_bound_are_counted(road: Road, database: AsyncEngine):
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = "0.2"
    worker = await a_worker(road, "--only", "orders")  # nobody applies decisions
    await road.request("nora")
    await road.order("O-1", "nora")
    await road.told("enriched-orders", 1)

    await becomes(worker, "orders_not_caught_up_total", 1)
    await becomes(worker, "freshness_wait_seconds_count", 1)
    assert (await worker.metric(P + "freshness_wait_seconds_sum") or 0) >= 0.2


async def test_what_waits_in_the_outbox_is_shown_as_long_as_nobody_tells_it(road: Road, database: AsyncEngine):
    worker = await a_worker(road)
    async with transaction(database) as tx:
        await run(
            tx,
            """INSERT INTO outbox_lanes (lane, last) VALUES (77, 12)""",  # a lane that no partition stands for
        )
        await run(
            tx,
            """INSERT INTO outbox (lane, number, topic, partition, headers)
               SELECT 77, n, 'relationship-events', 0, '' FROM generate_series(10, 12) n""",
        )

    await becomes(worker, 'outbox_messages{lane="77"}', 3)


async def test_a_worker_that_is_fenced_counts_it(road: Road, database: AsyncEngine):
    worker = await a_worker(road)
    await road.request("nora")
    await road.settled()
    async with transaction(database) as tx:
        await run(tx, "UPDATE positions SET epoch = epoch + 1")  # as another worker does that takes the partitions over
    await road.request("olga")

    async def fenced() -> bool:
        return (await worker.metric(P + 'fences_total{topic="connection-requests"}') or 0) >= 1

    await until("a fence to be counted", fenced)
    await road.settled()


async def test_every_metric_says_what_it_means_and_names_nobody(road: Road):
    for family in metrics.REGISTRY.collect():
        if family.name.startswith(P):
            assert len(family.documentation) > 10, family.name
    worker = await a_worker(road)
    await road.request("a-customer")
    await road.order("an-order", "a-customer")
    await road.settled()

    page = (await worker.get("/metrics"))[1]

    assert "a-customer" not in page
    assert "an-order" not in page
    assert SHOP not in page
    labels = set(re.findall(r'[{,](\w+)="', page))
    assert labels <= {"source", "reason", "topic", "partition", "lane", "state", "dated", "le", "version", "roads"}


async def _lag(worker: Watched, records: int) -> None:
    async def look() -> bool:
        return (await worker.status()).get("lag") == records

    await until(f"a lag of {records}", look)


async def _older_than(worker: Watched, seconds: float) -> bool:
    return bool((await worker.status())["oldest_undecided_seconds"] > seconds)
