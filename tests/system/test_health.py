"""What the pages say of a worker that is well, and of each way in which it is not: every fault is made for real."""

import asyncio
import json
import signal
import socket
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.database import run, transaction
from roads.driving import ORDERS, PARTITIONS, Road, pair
from system.halting import halted_postgres
from waiting import until
from watching import GREEN, RED, Watched, watched

BROKEN, MISSING = 3, 3  # exit codes
PAGES = ("/health/live", "/health/ready", "/status", "/metrics")


async def a_ready_worker(road: Road, *arguments: str, **more: str) -> Watched:
    await road.start(*arguments, **more)
    worker = await watched(road.logs[-1])
    await worker.turns("/health/ready", GREEN)
    return worker


async def test_a_worker_that_is_well_is_live_and_ready_and_tells_where_it_stands(road: Road):
    worker = await a_ready_worker(road)
    due = datetime.now(UTC).date() + timedelta(days=30)
    await road.request("nora")
    await road.send(
        "supplier.connection.deferred", {**pair("nora"), "decided_by": "desk", "resubmission_date": due.isoformat()}
    )
    await road.order("O-1", "nora")
    await road.settled()
    await until("the survey to be of now", lambda: _no_lag_after(worker, records=3))

    status = await worker.status()

    assert (await worker.get("/health/live"))[0] == GREEN
    assert (status["ready"], status["why_not"]) == (True, [])
    assert status["version"] == version("relationship-worker")
    assert (status["group"], status["roads"]) == (road.group, "all")
    assert status["guarantee"] == "exactly once"
    assert (status["lag"], status["open_outbox"], status["stopped"]) == (0, 0, {})
    assert status["oldest_undecided_seconds"] == 0
    assert status["next_reminder"].startswith(due.isoformat())
    assert len(status["partitions"]) == 3 * PARTITIONS
    assert status["relays"] == list(range(PARTITIONS))


async def test_pages_change_nothing_and_take_no_orders(road: Road, database: AsyncEngine):
    worker = await a_ready_worker(road)
    for path in PAGES:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await worker.get(path, method=method))[0] == 501
        assert (await worker.get(f"{path}?try=it"))[0] == GREEN
    assert (await worker.get("/"))[0] == 404
    assert (await worker.get("/docs/asyncapi/try", method="POST"))[0] == 501
    assert (await worker.get("/health/live", method="HEAD")) == (GREEN, "")

    assert [len(await road.read(topic)) for topic in ("enriched-orders", "relationship-events", "dead-letters")] == [
        0,
        0,
        0,
    ]
    assert await road.stop() == [0]


async def test_a_silent_client_keeps_nobody_from_the_pages(road: Road):
    worker = await a_ready_worker(road)
    silent = [socket.create_connection(("127.0.0.1", worker.port)) for _ in range(7)]

    found, _ = await asyncio.wait_for(worker.get("/health/live"), 4)

    assert found == GREEN
    for connection in silent:
        connection.close()


async def test_a_halted_postgresql_makes_it_not_ready_and_no_less_alive(own_road: Road):
    worker = await a_ready_worker(own_road)

    async with halted_postgres(own_road.stack):
        await worker.turns("/health/ready", RED, "PostgreSQL does not answer")
        assert (await worker.get("/health/live"))[0] == GREEN
        assert (await worker.status())["guarantee"] is None
        assert await worker.metric("relationship_worker_database_up") == 0

    await worker.turns("/health/ready", GREEN)
    assert await worker.metric("relationship_worker_database_up") == 1


async def test_a_killed_kafka_makes_it_not_ready_and_no_less_alive(own_road: Road):
    worker = await a_ready_worker(own_road)

    own_road.stack.stop_kafka(kill=True)

    await worker.turns("/health/ready", RED, "Kafka does not answer")
    assert (await worker.get("/health/live"))[0] == GREEN
    assert await worker.metric("relationship_worker_kafka_up") == 0
    assert (await worker.status())["lag"] is None
    own_road.stack.start_kafka()
    await worker.turns("/health/ready", GREEN)


async def test_a_worker_that_waits_for_its_dependencies_is_live_and_not_ready(road: Road):
    road.settings["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"  # port 1: nobody listens
    await road.start()
    worker = await watched(road.logs[0])

    await worker.turns("/health/ready", RED, "no partitions were assigned yet")
    assert (await worker.get("/health/live"))[0] == GREEN


async def test_orders_that_wait_longer_than_the_bound_make_it_not_ready(road: Road, database: AsyncEngine):
    road.settings["RELATIONSHIP_WORKER_READY_SECONDS"] = "1"
    worker = await a_ready_worker(road)

    async with transaction(database) as tx:
        await run(tx, "LOCK TABLE answers")  # whoever answers an order waits
        await road.order("O-1", "nora")
        told = await worker.turns("/health/ready", RED, "s behind")
        assert json.loads(told)["why_not"][0].startswith("orders-")
        assert (await worker.status())["lag"] == 1
        assert (await worker.get("/health/live"))[0] == GREEN

    await worker.turns("/health/ready", GREEN)


async def test_a_lane_at_a_named_stop_makes_it_not_ready_and_is_named(road: Road):
    consumer = AIOKafkaConsumer(bootstrap_servers=road.stack.kafka_bootstrap_servers, group_id=road.group)
    await consumer.start()
    place = TopicPartition(f"{road.prefix}{ORDERS}", 2)
    consumer.assign([place])
    await consumer.commit({place: OffsetAndMetadata(7, "")})
    await consumer.stop()

    await road.start()
    worker = await watched(road.logs[0])

    await worker.turns("/health/ready", RED, "orders-2 stands still: ")
    assert "the position is 7, but the partition ends at 0" in (await worker.status())["stopped"]["orders-2"]
    assert await worker.metric('relationship_worker_lane_stopped{partition="2",topic="orders"}') == 1
    assert await worker.metric('relationship_worker_lane_stopped{partition="1",topic="orders"}') == 0


async def test_a_database_that_forgets_commits_in_a_crash_lowers_the_guarantee(road: Road, database: AsyncEngine):
    async with transaction(database) as tx:
        await run(tx, f'ALTER DATABASE "{database.url.database}" SET synchronous_commit = off')
    worker = await a_ready_worker(road)

    status = await worker.status()

    assert status["guarantee"] == "exactly once until the database's server crashes: synchronous_commit is off"


async def test_a_blocked_event_loop_turns_it_red_and_ends_the_process(road: Road):
    road.settings["FAULT"] = "loop"
    worker = await a_ready_worker(road, module="system.faulty_worker")

    road.workers[0].send_signal(signal.SIGUSR1)

    await worker.turns("/health/live", RED, "the event loop has not moved")
    assert await asyncio.wait_for(road.workers[0].wait(), 20) == BROKEN
    assert "the event loop is blocked" in road.logs[0].read_text()


async def test_a_lane_that_does_not_come_round_turns_it_red_and_ends_the_process(road: Road):
    road.settings["FAULT"] = "lane"
    worker = await a_ready_worker(road, module="system.faulty_worker")

    road.workers[0].send_signal(signal.SIGUSR1)
    for partition in range(PARTITIONS):
        await road.order(f"O-{partition}", "nora", partition=partition)

    await worker.turns("/health/live", RED, "no round in 10 s")
    assert await asyncio.wait_for(road.workers[0].wait(), 20) == BROKEN
    assert '"broken"' in road.logs[0].read_text()


async def test_a_clock_that_does_not_come_round_turns_it_red_and_ends_the_process(road: Road):
    road.settings["FAULT"] = "clock"
    await a_ready_worker(road, module="system.faulty_worker")

    road.workers[0].send_signal(signal.SIGUSR1)

    assert await asyncio.wait_for(road.workers[0].wait(), 60) == BROKEN
    assert "reminders (no round in 10 s) is broken" in road.logs[0].read_text()


async def test_a_dead_fetch_task_turns_it_red_and_ends_the_process(road: Road):
    road.settings["FAULT"] = "fetch"
    await a_ready_worker(road, module="system.faulty_worker")

    road.workers[0].send_signal(signal.SIGUSR1)

    assert await asyncio.wait_for(road.workers[0].wait(), 20) == BROKEN
    assert "the fetch loop is broken" in road.logs[0].read_text()


async def test_a_port_that_was_asked_for_and_is_taken_stops_the_start_with_one_line(road: Road):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = await road.command("run", RELATIONSHIP_WORKER_HTTP_PORT=str(port))

    assert code == MISSING
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"relationship-worker: 127.0.0.1:{port} can't be listened on")


async def test_the_default_port_taken_by_another_worker_stops_nobody(road: Road):
    del road.settings["RELATIONSHIP_WORKER_HTTP_PORT"]
    await road.start()
    await road.start()
    logs = list(road.logs)

    async def both() -> bool:
        return all("partitions assigned" in log.read_text() for log in logs)

    await until("both to have partitions", both)
    said = [log.read_text() for log in logs]
    assert sum("health and metrics are shown" in text for text in said) <= 1
    assert any("health and metrics are not shown" in text and "9464" in text for text in said)


async def test_no_port_is_no_pages(road: Road):
    road.settings["RELATIONSHIP_WORKER_HTTP_PORT"] = ""
    await road.start()
    await road.order("O-1", "nora")

    await road.told("enriched-orders", 1)

    assert "health and metrics" not in road.logs[0].read_text()


async def _no_lag_after(worker: Watched, *, records: int) -> bool:
    status = await worker.status()
    return sum(p["position"] or 0 for p in status["partitions"]) >= records and status["lag"] == 0
