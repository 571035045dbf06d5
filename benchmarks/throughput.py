"""How fast each contender answers a backlog of orders, and what that costs: rounds in which they take turns."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from benchmarks.contenders import Contender, Course
from benchmarks.course import admin, course_of, make_topic, prepare, process_of
from benchmarks.cpu import cpu_seconds, cpu_seconds_of, resident_bytes
from benchmarks.load import Load, fill_orders
from relationship_worker.local.stack import Stack

STOP_AT = 0.95  # of the backlog: the last batches are small
MOST_SECONDS = 30  # measured after the warm-up; whoever needs longer is measured so long
PATIENCE = 120  # seconds for the warm-up
LOOK = 0.02  # seconds between two looks at the group's committed offsets


@dataclass(frozen=True)
class Figures:
    """One run, between warm-up and the tail. CPU is user + system of all its threads."""

    orders_per_second: float
    cpu_us_per_order: float
    postgres_cpu_us_per_order: float
    kafka_cpu_us_per_order: float
    resident_mib: float


async def race(stack: Stack, runners: Sequence[Contender], load: Load, *, seed: int) -> dict[str, Figures]:
    """One round: every contender reads the same orders, one after the other."""
    prefix = f"bench_{uuid4().hex[:12]}."
    async with admin(stack) as kafka:
        await make_topic(kafka, f"{prefix}orders", load.partitions)
        await fill_orders(stack.kafka_bootstrap_servers, f"{prefix}orders", load, seed=seed)
        figures = {}
        for runner in runners:
            figures[runner.name] = await _run(stack, kafka, runner, load, prefix)
        await kafka.delete_topics([f"{prefix}orders"])
    return figures


async def _run(stack: Stack, kafka: AIOKafkaAdminClient, runner: Contender, load: Load, prefix: str) -> Figures:
    try:
        async with course_of(stack, runner, load, prefix=prefix) as course:
            await prepare(kafka, runner, course, load)
            async with process_of(runner, course) as process:
                return await _measure(kafka, process, runner, course, load)
    finally:
        made = {topic for topic in await kafka.list_topics() if topic.startswith(prefix)}
        await kafka.delete_topics(sorted(made - {f"{prefix}orders"}))


async def _measure(
    kafka: AIOKafkaAdminClient, process: Process, runner: Contender, course: Course, load: Load
) -> Figures:
    places = [TopicPartition(f"{course.prefix}orders", partition) for partition in range(load.partitions)]

    async def done() -> int:
        try:
            committed = await kafka.list_consumer_group_offsets(course.group, partitions=places)
        except GroupCoordinatorNotAvailableError:  # the first group of a new broker
            return 0
        return sum(max(at.offset, 0) for at in committed.values())

    async def reached(count: float, seconds: float) -> tuple[int, list[float]]:
        """Measured where the committed offsets have just moved, so that long commit intervals blur nothing."""
        end = monotonic() + seconds
        seen = await done()
        while True:
            assert process.returncode is None, f"ended with {process.returncode}"
            now = await done()
            if now != seen and (now >= count or monotonic() > end):
                return now, [
                    monotonic(),
                    cpu_seconds(process.pid),
                    cpu_seconds_of("postgres"),
                    cpu_seconds_of("java") - (cpu_seconds(process.pid) if runner.name == "kafka-streams" else 0),
                ]
            assert monotonic() < end + 10, f"{now} of {load.orders} orders after {seconds:.0f} s"
            seen = now
            await asyncio.sleep(LOOK)

    first, begun = await reached(runner.warm_up * load.orders, PATIENCE)
    last, ended = await reached(STOP_AT * load.orders, MOST_SECONDS)
    count = last - first
    seconds, worker, postgres, broker = (b - a for a, b in zip(begun, ended, strict=True))
    return Figures(
        orders_per_second=count / seconds,
        cpu_us_per_order=1e6 * worker / count,
        postgres_cpu_us_per_order=1e6 * postgres / count if runner.is_worker else 0.0,
        kafka_cpu_us_per_order=1e6 * broker / count,
        resident_mib=resident_bytes(process.pid) / 2**20,
    )
