"""What one order, one relationship and one input leave behind: bytes in PostgreSQL, in its log, and in Kafka.

Tables are counted whole: rows, free space, indexes. The log (WAL) is the difference of positions, with the pages that
PostgreSQL writes in full after a checkpoint; Kafka's bytes are those of its files for one replica, uncompressed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from benchmarks.contenders import Course, worker
from benchmarks.course import admin, course_of, processes_of
from benchmarks.desk import send_inputs
from benchmarks.load import Load, fill_orders
from benchmarks.throughput import Figures
from relationship_worker.local.stack import Stack

LOOK = 0.2  # seconds between two looks
PATIENCE = 1_800  # seconds; a busy machine takes long, and nothing here is a speed
VERSIONS = 2  # of each relationship, as the load fills them in

_PARTS = "(SELECT $1::regclass AS part UNION SELECT relid FROM pg_partition_tree($1::regclass)) AS parts"
_WHOLE = f"SELECT sum(pg_total_relation_size(part))::bigint FROM {_PARTS}"
_ROWS = f"SELECT sum(pg_table_size(part))::bigint FROM {_PARTS}"
_LOG = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


async def of_orders(stack: Stack, load: Load) -> Figures:
    """A backlog of orders on top of the load's relationships."""
    async with admin(stack) as kafka, course_of(stack, kafka, worker(), load) as course:
        await fill_orders(stack.kafka_bootstrap_servers, f"{course.prefix}orders", load, seed=1)
        postgres = await asyncpg.connect(course.database_url, command_timeout=PATIENCE)
        try:
            count = load.relationships
            stored = {
                "bytes_per_relationship": await postgres.fetchval(_WHOLE, "relationships") / count,
                "bytes_per_version": await postgres.fetchval(_WHOLE, "relationship_history") / (VERSIONS * count),
            }
            before = await postgres.fetchval(_LOG)
            async with processes_of(worker(), course):
                await _until(lambda: _done(kafka, course, load.orders))
            logged = await postgres.fetchval(_LOG) - before
            whole, rows = [await postgres.fetchval(size, "answers") for size in (_WHOLE, _ROWS)]
        finally:
            await postgres.close()
        return {
            "answer_bytes_per_order": whole / load.orders,
            "of_these_indexes_per_order": (whole - rows) / load.orders,
            "wal_bytes_per_order": int(logged) / load.orders,
            "kafka_bytes_in_per_order": _bytes_of(stack, course, "orders") / load.orders,
            "kafka_bytes_out_per_order": _bytes_of(stack, course, "enriched-orders") / load.orders,
            **stored,
        }


async def of_inputs(stack: Stack, count: int) -> Figures:
    """A request and an acceptance for each of `count / 2` new customers."""
    load = Load(orders=0, relationships=0)
    async with admin(stack) as kafka, course_of(stack, kafka, worker(), load) as course:
        await send_inputs(course, count // 2)
        postgres = await asyncpg.connect(course.database_url, command_timeout=PATIENCE)
        try:
            before = await postgres.fetchval(_LOG)

            async def done() -> bool:
                decided = await postgres.fetchval("SELECT coalesce(sum(position), 0)::int FROM positions")
                told = await postgres.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)")
                return bool(decided == count and told)

            async with processes_of(worker(), course):
                await _until(done)
            logged = await postgres.fetchval(_LOG) - before
            inbox = await postgres.fetchval(_WHOLE, "inbox")
        finally:
            await postgres.close()
        return {
            "inbox_bytes_per_input": inbox / count,
            "wal_bytes_per_input": int(logged) / count,
            "kafka_bytes_out_per_input": _bytes_of(stack, course, "relationship-events") / count,
        }


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    end = monotonic() + PATIENCE
    while not await done():
        assert monotonic() < end, f"not done after {PATIENCE} s"
        await asyncio.sleep(LOOK)


async def _done(kafka: AIOKafkaAdminClient, course: Course, count: int) -> bool:
    places = [TopicPartition(f"{course.prefix}orders", partition) for partition in range(course.partitions)]
    try:
        committed = await kafka.list_consumer_group_offsets(course.group, partitions=places)
    except GroupCoordinatorNotAvailableError:  # the first group of a new broker
        return False
    return sum(max(at.offset, 0) for at in committed.values()) >= count


def _bytes_of(stack: Stack, course: Course, topic: str) -> int:
    """Of a topic's files, indexes apart: those are made large and cut later."""
    assert stack.kafka is not None, "the broker's files are to be here: unset KAFKA_BOOTSTRAP_SERVERS"
    folders = Path(stack.kafka.folder / "data").glob(f"{course.prefix}{topic}-*")
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.log"))
