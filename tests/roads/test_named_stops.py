"""Where going on would mean guessing, the lane concerned stands still and says why; all others go on."""

import asyncio
import json
import signal
from pathlib import Path
from uuid import uuid4

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from sqlalchemy import make_url

from roads.driving import DECISIONS, ORDERS, PARTITIONS, REQUESTS, Road
from waiting import until

MORE = 5  # records behind those that are done


async def orders_in(road: Road, partition: int, count: int) -> list[str]:
    return [await road.order(f"O-{uuid4().hex}", "anna", partition=partition) for _ in range(count)]


async def stopped(log: Path) -> list[str]:
    """What stopped lanes of a worker say."""
    text = await asyncio.to_thread(log.read_text)
    lines = [json.loads(line) for line in text.splitlines() if '"stopped"' in line]
    return [line["reason"] for line in lines if "lane" in line]


async def delete_records(road: Road, topic: str, before: int, partition: int = 0) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(road.prefix + topic, partition): RecordsToDelete(before)})
    await admin.close()


async def make_anew(road: Road, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([road.prefix + topic])

    async def made() -> bool:
        answer = await admin.create_topics([NewTopic(road.prefix + topic, PARTITIONS, 1)])
        return answer.topic_errors[0][1] == 0  # until the old one is gone, its name is taken

    await until(f"{topic} to be made anew", made)
    await admin.close()


async def on_server(road: Road, statement: str) -> None:
    server = await asyncpg.connect(road.stack.database_url)
    try:
        await server.execute(statement)
    finally:
        await server.close()


async def reason_of(log: Path, begins: str) -> str:
    """What a lane says that stopped."""

    async def found() -> str | None:
        return next((reason for reason in await stopped(log) if reason.startswith(begins)), None)

    return await until(f"{begins} to stop", found)


async def test_orders_made_anew_are_not_taken_for_the_old_ones(road: Road):
    await road.start()
    await orders_in(road, 0, MORE)
    await road.settled()
    await road.stop()
    await make_anew(road, ORDERS)
    await orders_in(road, 0, MORE)

    await road.start()

    assert "the group has no position any more" in await reason_of(road.logs[1], "orders-0")
    await road.request("anna")
    await road.told("relationship-events", MORE + 1)  # of the orders, that they got no number; and of the request
    assert len(await road.read("enriched-orders")) == MORE


async def test_orders_made_anew_under_a_running_worker_stop_their_lane(road: Road):
    await road.start()
    await orders_in(road, 0, MORE)
    await road.settled()

    await make_anew(road, ORDERS)
    await orders_in(road, 0, 1)

    reason = await reason_of(road.logs[0], "orders-0")
    assert "the topic was made anew" in reason
    assert len(await road.read("enriched-orders")) == MORE


async def test_decisions_made_anew_stop_their_lane_and_no_other(road: Road):
    await road.start()
    for _ in range(MORE):
        await road.accept("anna", partition=0)
    await road.settled()
    await road.stop()
    await make_anew(road, DECISIONS)

    await road.start()

    assert f"the position is {MORE}, but the partition ends at 0" in await reason_of(
        road.logs[1], f"{road.prefix}{DECISIONS}-0"
    )
    await road.request("anna")
    await road.told("relationship-events", 1)


async def test_orders_that_were_deleted_unread_stop_their_lane(road: Road):
    await road.start()
    await orders_in(road, 0, 1)
    await road.settled()
    await road.stop()
    await orders_in(road, 0, MORE)
    await delete_records(road, ORDERS, 3)

    await road.start()

    reason = await reason_of(road.logs[1], f"{road.prefix}{ORDERS}-0")
    assert "records from" in reason
    assert "to 2 were deleted before they were read" in reason
    await orders_in(road, 1, 1)
    assert len(await road.told("enriched-orders", 2)) == 2


async def test_requests_that_were_deleted_under_a_running_worker_stop_their_lane(road: Road):
    worker = await road.start()
    await road.request("anna", partition=0)
    await road.settled()
    worker.send_signal(signal.SIGSTOP)
    for number in range(MORE):
        await road.request(f"anna-{number}", partition=0)
    await delete_records(road, REQUESTS, 3)

    worker.send_signal(signal.SIGCONT)

    reason = await reason_of(road.logs[0], f"{road.prefix}{REQUESTS}-0")
    assert "to 2 were deleted before they were read" in reason
    assert b"shop-1/anna-2" not in [event.key for event in await road.read("relationship-events")]


async def test_a_database_that_was_restored_to_an_earlier_time_stops_what_it_does_not_know(road: Road):
    await road.start()
    await road.request("anna", partition=0)
    await road.settled()
    await road.stop()
    backup = f"backup_{uuid4().hex}"
    await on_server(road, f"CREATE DATABASE {backup} TEMPLATE {make_url(road.database_url).database}")
    await road.start()
    await road.request("berta", partition=0)
    await road.told("relationship-events", 2)
    await road.settled()
    await road.stop()

    restored = make_url(road.database_url).set(database=backup).render_as_string(hide_password=False)
    await road.start(DATABASE_URL=restored)

    reason = await reason_of(road.logs[2], f"{REQUESTS}-0")
    assert "the database is applied up to 1, but the group has committed 2" in reason
    assert "Kafka was told up to message" in await reason_of(road.logs[2], "outbox lane")
    await orders_in(road, 0, 1)
    assert len(await road.told("enriched-orders", 1)) == 1
    await road.stop()
    await on_server(road, f"DROP DATABASE {backup} WITH (FORCE)")
