"""Starting, stopping, and dependencies that go away."""

import asyncio
import json
import signal
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.local.processes import free_port
from relationship_worker.storage.database import run, transaction
from roads.driving import COMMAND_BOUND, ORDERS, PARTITIONS, Road
from waiting import until

NOBODY_AT = "127.0.0.1:1"
NOBODY = f"postgresql://nobody@{NOBODY_AT}/none"  # port 1: nobody listens
MISSING, USAGE = 3, 2  # exit codes
MOMENTS_OF_A_START = (
    "relationship_worker.app:database",
    "relationship_worker.app:check_schema_in",
    "relationship_worker.app:partition_counts",
    "relationship_worker.app:topics_kept_longer",
    "relationship_worker.kafka.subscribers:Ends.open",
    "faststream.kafka:KafkaBroker.start",
    "relationship_worker.kafka.subscribers:Subscription.on_partitions_revoked",
    "relationship_worker.kafka.subscribers:Subscription.on_partitions_assigned",
    "relationship_worker.app:Worker._start_clocks",
    "relationship_worker.roads.orders:OrdersRoad.open",
    "relationship_worker.roads.retention:Retention.run_once",
)


async def test_a_missing_postgresql_is_one_clear_line_and_an_exit_code(road: Road):
    code, _, err = await road.command("run", DATABASE_URL=NOBODY, RELATIONSHIP_WORKER_START_SECONDS="1")

    assert code == MISSING
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"relationship-worker: PostgreSQL at {NOBODY_AT} can't be reached within 1 s")


async def test_a_postgresql_without_a_connection_left_says_what_to_look_at(road: Road, database: AsyncEngine):
    guest = f"guest_{road.prefix.rstrip('.')}"
    async with transaction(database) as tx:
        await run(tx, f"CREATE ROLE {guest} LOGIN CONNECTION LIMIT 0")
    try:
        url = database.url.set(drivername="postgresql", username=guest).render_as_string(hide_password=False)
        code, _, err = await road.command("run", DATABASE_URL=url, RELATIONSHIP_WORKER_START_SECONDS="1")
    finally:
        async with transaction(database) as tx:
            await run(tx, f"DROP ROLE {guest}")

    assert code == MISSING
    assert (
        "no connection left (max_connections, RELATIONSHIP_WORKER_DATABASE_CONNECTIONS)" in err.strip().splitlines()[-1]
    )


async def test_a_missing_kafka_is_one_clear_line_and_an_exit_code(road: Road):
    nobody = f"127.0.0.1:{free_port()}"
    code, _, err = await road.command("run", KAFKA_BOOTSTRAP_SERVERS=nobody, RELATIONSHIP_WORKER_START_SECONDS="1")

    assert code == MISSING
    assert (
        err.strip().splitlines()[-1].startswith(f"relationship-worker: Kafka at {nobody} can't be reached within 1 s")
    )


async def test_a_missing_schema_says_what_to_run(road: Road, empty_database_url: str):
    code, _, err = await road.command("run", DATABASE_URL=empty_database_url)

    *log, said = err.strip().splitlines()
    assert code == MISSING
    assert "no schema" in said
    assert "run `relationship-worker init`" in said
    assert all(json.loads(line)["event"] for line in log)


async def test_missing_topics_are_named(road: Road):
    code, _, err = await road.command("run", RELATIONSHIP_WORKER_TOPIC_PREFIX="nowhere.")

    assert code == MISSING
    assert "nowhere.orders" in err
    assert "run `relationship-worker init`" in err


async def test_a_setting_that_makes_no_sense_stops_the_start_and_is_named(road: Road):
    code, _, err = await road.command("run", RELATIONSHIP_WORKER_FRESHNESS_SECONDS="soon")

    assert code == USAGE
    assert len(err.strip().splitlines()) == 1
    assert "RELATIONSHIP_WORKER_FRESHNESS_SECONDS" in err


async def test_init_is_repeatable_and_names_a_topic_that_differs_without_altering_it(road: Road):
    prefix = f"{road.prefix}own."
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    await admin.start()
    compacted = NewTopic(f"{prefix}orders", 7, 1, topic_configs={"cleanup.policy": "compact"})
    await admin.create_topics([compacted, NewTopic(f"{prefix}dead-letters", 2, 1)])

    code, out, err = await road.command("init", RELATIONSHIP_WORKER_TOPIC_PREFIX=prefix)
    again, _, _ = await road.command("init", RELATIONSHIP_WORKER_TOPIC_PREFIX=prefix)
    found = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if t["topic"].startswith(prefix)}
    await admin.close()

    assert (code, again) == (0, 0)
    assert f"differs: {prefix}dead-letters: max.message.bytes is 1048588" in err
    assert f"differs: {prefix}orders: cleanup.policy is compact" in err
    assert f"made the topic {prefix}enriched-orders" in out
    assert found[f"{prefix}orders"] == found[f"{prefix}enriched-orders"] == 7
    assert found[f"{prefix}dead-letters"] == 2
    assert found[f"{prefix}reminders"] == PARTITIONS


async def test_input_topics_that_outlive_the_ids_of_their_events_are_named_at_the_start(road: Road):
    road.settings["RELATIONSHIP_WORKER_ANSWERS_DAYS"] = "5"  # the topics keep seven days, as Kafka does by default
    await road.start()
    await until("the worker to run", lambda: logged(road.logs[0], '"started"'))

    code, _, err = await road.command("init")

    said = f"{road.prefix}orders: records are kept for 7 days (retention.ms), their ids for 5 days"
    assert await logged(road.logs[0], said)
    assert not await logged(road.logs[0], f"{road.prefix}connection-requests: records are kept")
    assert (code, f"differs: {said}" in err) == (0, True)


async def test_orders_and_decisions_go_on_over_a_change_of_period_and_ids_are_known_beyond_it(
    road: Road, database: AsyncEngine
):
    """Periods are partitions of what is remembered; the database's clock is set forward by sixty days."""
    await road.start()
    request = await road.request("nora")
    first = await road.order("O-1", "nora")
    await road.settled()

    async with transaction(database) as tx:
        await run(
            tx,
            """CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
               $$ SELECT clock_timestamp() + interval '60 days' $$""",
        )
    await road.request("nora", id_=request)
    await road.order("O-1", "nora", id_=first)
    again = await road.order("O-1", "nora", note="by another event")
    new = await road.order("O-2", "nora")
    await road.settled()

    assert sorted(o.cause or "" for o in await road.read("enriched-orders")) == sorted([first, again, new])
    assert len(await road.read("dead-letters")) == 0
    told = [event.type for event in await road.read("relationship-events")]
    assert told.count("relationship.requested") == 1


async def test_sigterm_finishes_what_is_in_hand_and_exits_0(road: Road):
    await road.start()
    sent = [await road.order(f"O-{i}", "mia") for i in range(300)]
    await road.told("enriched-orders", 1)

    began = asyncio.get_running_loop().time()
    codes = await road.stop()

    assert codes == [0]
    assert asyncio.get_running_loop().time() - began < 10
    await road.start()
    await road.settled()
    assert sorted(o.cause or "" for o in await road.read("enriched-orders")) == sorted(sent)


async def test_sigterm_while_the_start_waits_ends_it(road: Road):
    road.settings["DATABASE_URL"] = NOBODY
    worker = await road.start()
    await until("the worker to wait for PostgreSQL", lambda: logged(road.logs[0], '"waiting"'))

    worker.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(worker.wait(), 10) == 0


async def test_sigterm_at_any_moment_of_the_start_ends_it_well(road: Road):
    workers = [await road.start(module="system.stopped_worker", STOPS_AT=moment) for moment in MOMENTS_OF_A_START]

    codes = [await asyncio.wait_for(worker.wait(), COMMAND_BOUND) for worker in workers]

    assert dict(zip(MOMENTS_OF_A_START, codes, strict=True)) == dict.fromkeys(MOMENTS_OF_A_START, 0)
    assert not [log.name for log in road.logs if "stopped before all was finished" in log.read_text()]


async def test_a_log_that_cannot_be_written_holds_up_no_order(road: Road):
    await road.start(module="system.full_disk_worker")
    sent = [await road.order(f"O-{i}", "anna") for i in range(20)]

    told = await road.told("enriched-orders", 20)

    assert sorted(order.cause or "" for order in told) == sorted(sent)
    assert await road.stop() == [0]


async def test_one_road_alone_does_only_its_own(road: Road):
    await road.start("--only", "relationships")
    await road.request("nora")
    await road.order("O-1", "nora")
    assert len(await road.told("relationship-events", 1)) == 1
    assert await road.read("enriched-orders") == []

    await road.start("--only", "orders")

    assert len(await road.told("enriched-orders", 1)) == 1


async def test_several_processes_share_the_orders(road: Road):
    for _ in range(2):
        await road.start()
    for log in list(road.logs):
        await until("each worker to have some partitions", lambda log=log: logged(log, f"{ORDERS}-"))
    sent = [await road.order(f"O-{i}", "olga", key=f"{i}".encode()) for i in range(100)]

    told = await road.told("enriched-orders", 100)

    assert sorted(o.cause or "" for o in told) == sorted(sent)


async def logged(log: Path, text: str) -> bool:
    return text in await asyncio.to_thread(log.read_text)
