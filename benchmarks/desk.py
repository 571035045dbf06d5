"""The careful lane and the reminders: how many inputs a second, how many reminders, and what orders wait meanwhile."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders import Contender, Course
from benchmarks.course import admin, course_of, prepare, process_of
from benchmarks.cpu import cpu_seconds, cpu_seconds_of
from benchmarks.latency import Latency, measure_on
from benchmarks.load import LOAD_BATCH, Load
from relationship_worker.local.stack import Stack

WARM_UP, STOP_AT = 0.15, 0.95  # of the backlog
LOOK = 0.1  # seconds between two looks
PATIENCE = 400  # seconds


@dataclass(frozen=True)
class Inputs:
    """Requests and decisions, applied."""

    inputs_per_second: float
    cpu_us_per_input: float
    postgres_cpu_us_per_input: float


@dataclass(frozen=True)
class Reminders:
    """Deferrals that come due at the same instant, and orders at a steady rate: alone, and meanwhile."""

    reminders_per_second: float
    orders_alone: Latency
    orders_meanwhile: Latency


async def inputs(stack: Stack, runner: Contender, count: int) -> Inputs:
    """A backlog of `count` inputs: a request and an acceptance with a number for each customer."""
    load = Load(orders=0, relationships=0)
    async with admin(stack) as kafka, course_of(stack, runner, load) as course:
        await prepare(kafka, runner, course, load)
        await _send_inputs(stack, course, count // 2)
        postgres = await asyncpg.connect(course.database_url)
        try:
            async with process_of(runner, course) as process:

                async def reached(wanted: float) -> tuple[int, float, float, float]:
                    end = monotonic() + PATIENCE
                    while (
                        now := await postgres.fetchval("SELECT coalesce(sum(position), 0)::int FROM positions")
                    ) < wanted:
                        assert monotonic() < end, f"{now} of {count} inputs after {PATIENCE} s"
                        await asyncio.sleep(LOOK)
                    return now, monotonic(), cpu_seconds(process.pid), cpu_seconds_of("postgres")

                first, last = await reached(WARM_UP * count), await reached(STOP_AT * count)
        finally:
            await postgres.close()
    done, seconds, cpu, database = (b - a for a, b in zip(first, last, strict=True))
    return Inputs(
        inputs_per_second=done / seconds,
        cpu_us_per_input=1e6 * cpu / done,
        postgres_cpu_us_per_input=1e6 * database / done,
    )


async def _send_inputs(stack: Stack, course: Course, customers: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka_bootstrap_servers, max_batch_size=LOAD_BATCH, linger_ms=20
    )
    await producer.start()
    try:
        for topic, type_, at, more in (
            ("connection-requests", "marketplace.connection.requested", "2026-11-02T09:00:00Z", {}),
            ("relationship-decisions", "supplier.connection.accepted", "2026-11-02T10:00:00Z", {"decided_by": "desk"}),
        ):
            for c in range(customers):
                number = {"customer_number": f"N{c}"} if more else {}
                value = {"supplier_id": f"s{c % 50}", "customer_id": f"c{c}", **more, **number}
                await producer.send(
                    f"{course.prefix}{topic}",
                    json.dumps(value).encode(),
                    f"s{c % 50}/c{c}".encode(),
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


async def reminders(stack: Stack, runner: Contender, count: int, *, rate: int, seconds: int) -> Reminders:
    """`count` deferrals due at once, and `rate` orders a second: for `seconds` alone, and as long while reminders go out."""
    load = Load(orders=rate * seconds)
    async with admin(stack) as kafka, course_of(stack, runner, load) as course:
        await prepare(kafka, runner, course, load)
        postgres = await asyncpg.connect(course.database_url)
        try:
            async with process_of(runner, course) as process:
                alone = await measure_on(stack, runner, load, course, process.pid, rate=rate, warm_up=5, seed=1)
                await _deferred(postgres, count)
                counting = asyncio.create_task(_told(stack, course, count))
                meanwhile = await measure_on(stack, runner, load, course, process.pid, rate=rate, warm_up=1, seed=2)
                per_second = await counting
        finally:
            await postgres.close()
    return Reminders(reminders_per_second=per_second, orders_alone=alone, orders_meanwhile=meanwhile)


async def _deferred(postgres: asyncpg.Connection, count: int) -> None:
    """Written in bulk past the lane, in one transaction: all become due at the same instant."""
    async with postgres.transaction():
        await postgres.execute(
            """INSERT INTO relationships (supplier_id, customer_id, state, version, valid_from)
               SELECT 'r' || r % 50, 'd' || r, 'deferred', 2, '2026-01-03Z' FROM generate_series(0, $1 - 1) AS r""",
            count,
            timeout=PATIENCE,
        )
        await postgres.execute(
            """INSERT INTO deferrals (supplier_id, customer_id, version, due_on, due_at, deferred_at, event_key, event_id,
                                      event_source, trace)
               SELECT 'r' || r % 50, 'd' || r, 2, $2, $3, '2026-01-03Z', decode(lpad(to_hex(r), 32, '0'), 'hex'),
                      'e' || r, '/bench', '\\x90' FROM generate_series(0, $1 - 1) AS r""",
            count,
            datetime.now(UTC).date(),
            datetime.now(UTC),
            timeout=PATIENCE,
        )


async def _told(stack: Stack, course: Course, count: int) -> float:
    """Reminders a second, from the first to the last."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(f"{course.prefix}reminders", partition) for partition in range(course.partitions)])
    await consumer.start()
    try:
        told, begun, end = 0, 0.0, monotonic() + PATIENCE
        while told < count:
            assert monotonic() < end, f"{told} of {count} reminders after {PATIENCE} s"
            found = await consumer.getmany(timeout_ms=200)
            told += sum(len(records) for records in found.values())
            begun = begun or (monotonic() if told else 0.0)
        return count / (monotonic() - begun)
    finally:
        await consumer.stop()
