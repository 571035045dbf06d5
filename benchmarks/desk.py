"""The careful lane and the reminders: how many inputs a second, how many reminders, and what orders wait meanwhile."""

import asyncio
import json
from datetime import UTC, datetime
from time import monotonic

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders import Course, worker
from benchmarks.course import admin, course_of, processes_of
from benchmarks.cpu import cpu_seconds, cpu_seconds_of, peak_mib
from benchmarks.latency import measure_on
from benchmarks.load import LOAD_BATCH, Load
from benchmarks.relationships import without_indexes
from benchmarks.throughput import Figures
from relationship_worker.local.stack import Stack

WARM_UP, STOP_AT = 0.15, 0.95  # of the backlog
LOOK = 0.1  # seconds between two looks
PATIENCE = 900  # seconds: at a fifth of the goal, a million reminders take that long
SUPPLIERS = 50


async def inputs(stack: Stack, count: int) -> Figures:
    """A backlog of `count` inputs: a request and an acceptance with a number for each customer."""
    load = Load(orders=0, relationships=0)
    async with admin(stack) as kafka, course_of(stack, kafka, worker(), load) as course:
        await send_inputs(course, count // 2)
        postgres = await asyncpg.connect(course.database_url)
        try:
            async with processes_of(worker(), course) as [process]:

                async def reached(wanted: float) -> tuple[int, float, float, float]:
                    end = monotonic() + PATIENCE
                    while (
                        now := await postgres.fetchval("SELECT coalesce(sum(position), 0)::int FROM positions")
                    ) < wanted:
                        assert monotonic() < end, f"{now} of {count} inputs after {PATIENCE} s"
                        await asyncio.sleep(LOOK)
                    return now, monotonic(), cpu_seconds([process.pid]), cpu_seconds_of("postgres")

                first, last = await reached(WARM_UP * count), await reached(STOP_AT * count)
                await reached(count)
                peak = peak_mib([process.pid])
            partners = await postgres.fetchval(
                "SELECT count(*) FROM relationships WHERE state = 'partner' AND customer_number = 'N' || substr(customer_id, 2)"
            )
            assert partners == count // 2, f"{partners} of {count // 2} customers are partners with their number"
        finally:
            await postgres.close()
    done, seconds, cpu, database = (b - a for a, b in zip(first, last, strict=True))
    return {
        "inputs_per_second": done / seconds,
        "cpu_us_per_input": 1e6 * cpu / done,
        "postgres_cpu_us_per_input": 1e6 * database / done,
        "peak_rss_mib": peak,
    }


async def send_inputs(course: Course, customers: int) -> None:
    """A request and an acceptance with a number for each of so many customers."""
    producer = AIOKafkaProducer(
        bootstrap_servers=course.stack.kafka_bootstrap_servers, max_batch_size=LOAD_BATCH, linger_ms=20
    )
    await producer.start()
    try:
        for topic, type_, at, more in (
            ("connection-requests", "marketplace.connection.requested", "2026-11-02T09:00:00Z", {}),
            ("relationship-decisions", "supplier.connection.accepted", "2026-11-02T10:00:00Z", {"decided_by": "desk"}),
        ):
            for c in range(customers):
                number = {"customer_number": f"N{c}"} if more else {}
                value = {"supplier_id": f"s{c % SUPPLIERS}", "customer_id": f"c{c}", **more, **number}
                await producer.send(
                    f"{course.prefix}{topic}",
                    json.dumps(value).encode(),
                    f"s{c % SUPPLIERS}/c{c}".encode(),
                    partition=c % course.partitions,
                    headers=[
                        ("ce_id", f"{type_}-{c}".encode()),
                        ("ce_source", b"/bench"),
                        ("ce_type", type_.encode()),
                        ("ce_specversion", b"1.0"),
                        ("ce_time", at.encode()),
                        ("content-type", b"application/json"),
                    ],
                )
    finally:
        await producer.stop()


async def reminders(stack: Stack, count: int, *, rate: int, seconds: float, warm_up: float) -> Figures:
    """`count` deferrals due at the same instant; `rate` orders a second for `seconds` before, and for as long as
    reminders go out."""
    load = Load(orders=int(rate * seconds))
    longer = Load(orders=rate * PATIENCE)
    async with admin(stack) as kafka, course_of(stack, kafka, worker(), load) as course:
        postgres = await asyncpg.connect(course.database_url, command_timeout=PATIENCE)
        try:
            await _deferred(postgres, count)
            async with processes_of(worker(), course) as [process]:
                pid = process.pid
                alone = await measure_on(course, load, pid, rate=rate, warm_up=warm_up, seed=1)
                await _make_due(postgres)
                telling = asyncio.create_task(_told(course, count))
                meanwhile = await measure_on(course, longer, pid, rate=rate, warm_up=0, seed=2, beside=telling)
                told = await telling
                peak = peak_mib([pid])
        finally:
            await postgres.close()
    return {
        **told,
        "orders_p50_before_ms": alone["p50_ms"],
        "orders_p50_meanwhile_ms": meanwhile["p50_ms"],
        "orders_p99_before_ms": alone["p99_ms"],
        "orders_p99_meanwhile_ms": meanwhile["p99_ms"],
        "orders_per_second": meanwhile["orders_per_second"],
        "peak_rss_mib": peak,
    }


async def _deferred(postgres: asyncpg.Connection, count: int) -> None:
    """Deferred relationships, written in bulk past the lane; and their deferrals, laid aside."""
    async with without_indexes(postgres, ["relationships"]):
        await postgres.execute(
            """INSERT INTO relationships (supplier_id, customer_id, state, version, valid_from, open_since,
                                          resubmission_date)
               SELECT 'r' || r % $1::int, 'd' || r, 'deferred', 2, '2026-01-03Z', '2026-01-02Z', $2
               FROM generate_series(0, $3::int - 1) AS r""",
            SUPPLIERS,
            datetime.now(UTC).date(),
            count,
        )
    await postgres.execute(
        """CREATE TABLE bench_deferrals AS
           SELECT 'r' || r % $1::int AS supplier_id, 'd' || r AS customer_id,
                  decode(lpad(to_hex(r), 32, '0'), 'hex') AS event_key, 'e' || r AS event_id
           FROM generate_series(0, $2::int - 1) AS r""",
        SUPPLIERS,
        count,
    )
    await postgres.execute("VACUUM ANALYZE relationships")
    await postgres.execute("CHECKPOINT")


async def _make_due(postgres: asyncpg.Connection) -> None:
    """In one transaction: all become due at the same instant."""
    async with postgres.transaction():
        await postgres.execute(
            """INSERT INTO deferrals (supplier_id, customer_id, version, due_on, due_at, deferred_at, event_key, event_id,
                                      event_source, trace)
               SELECT supplier_id, customer_id, 2, $1, $2, '2026-01-03Z', event_key, event_id, '/bench', '\\x90'
               FROM bench_deferrals""",
            datetime.now(UTC).date(),
            datetime.now(UTC),
        )
        await postgres.execute("ANALYZE deferrals")


async def _told(course: Course, count: int) -> Figures:
    """Reminders a second, from the first to the last; each of them once."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=course.stack.kafka_bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    consumer.assign([TopicPartition(f"{course.prefix}reminders", partition) for partition in range(course.partitions)])
    await consumer.start()
    told: set[bytes] = set()
    try:
        begun, end = 0.0, monotonic() + PATIENCE
        while len(told) < count:
            assert monotonic() < end, f"{len(told)} of {count} reminders after {PATIENCE} s"
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    key = record.key + dict(record.headers)["ce_id"]
                    assert key not in told, "a reminder was told twice"
                    told.add(key)
            begun = begun or (monotonic() if told else 0.0)
        return {"reminders_per_second": count / (monotonic() - begun)}
    finally:
        await consumer.stop()
