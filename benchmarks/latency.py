"""How long an order takes from the producer's send to a reader of committed records, at a steady rate."""

import asyncio
import statistics
from dataclasses import dataclass
from time import monotonic

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders import Contender, Course
from benchmarks.course import admin, course_of, prepare, process_of
from benchmarks.cpu import cpu_seconds
from benchmarks.load import Load, orders
from relationship_worker.local.stack import Stack

TICK = 0.002  # seconds between two sends; what is due by then is sent one by one
PATIENCE = 30  # seconds for the last orders to come out


@dataclass(frozen=True)
class Latency:
    """Milliseconds from send to read, and what the process cost meanwhile."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    orders_per_second: float
    cpu_percent_of_a_core: float


async def measure(stack: Stack, runner: Contender, load: Load, *, rate: int, warm_up: float, seed: int) -> Latency:
    """`load.orders` at `rate` a second; those of the first `warm_up` seconds don't count."""
    async with admin(stack) as kafka, course_of(stack, runner, load) as course:
        await prepare(kafka, runner, course, load)
        async with process_of(runner, course) as process:
            return await measure_on(stack, runner, load, course, process.pid, rate=rate, warm_up=warm_up, seed=seed)


async def measure_on(
    stack: Stack, runner: Contender, load: Load, course: Course, pid: int, *, rate: int, warm_up: float, seed: int
) -> Latency:
    """The same, of a process that runs already."""
    sent: dict[bytes, float] = {}
    took: dict[bytes, float] = {}
    reader = await _reader(stack, runner, course, load)
    reading = asyncio.create_task(_read(reader, took, load.orders))
    try:
        before, begun = cpu_seconds(pid), monotonic()
        await _send(stack, course, load, sent, rate, seed)
        spent = (cpu_seconds(pid) - before) / (monotonic() - begun)
        await asyncio.wait_for(reading, PATIENCE)
    finally:
        reading.cancel()
        await reader.stop()
    first = min(sent.values()) + warm_up
    counted = sorted(took[key] - at for key, at in sent.items() if at >= first)
    return Latency(
        p50_ms=1e3 * statistics.median(counted),
        p99_ms=1e3 * counted[int(0.99 * len(counted))],
        worst_ms=1e3 * counted[-1],
        orders_per_second=rate,
        cpu_percent_of_a_core=100 * spent,
    )


async def _reader(stack: Stack, runner: Contender, course: Course, load: Load) -> AIOKafkaConsumer:
    topic = f"{course.prefix}enriched-orders" if runner.is_worker else course.output
    reader = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers, isolation_level="read_committed", auto_offset_reset="latest"
    )
    reader.assign([TopicPartition(topic, partition) for partition in range(load.partitions)])
    await reader.start()
    await reader.seek_to_end()
    for place in reader.assignment():
        await reader.position(place)
    return reader


async def _read(reader: AIOKafkaConsumer, took: dict[bytes, float], count: int) -> None:
    """Orders are known again by their event's id, which is the worker's causation id."""
    while len(took) < count:
        fetched = await reader.getmany(timeout_ms=100)
        now = monotonic()
        for records in fetched.values():
            for record in records:
                headers = dict(record.headers)
                took[headers.get("ce_causationid", headers["ce_id"])] = now


async def _send(stack: Stack, course: Course, load: Load, sent: dict[bytes, float], rate: int, seed: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, acks="all")
    await producer.start()
    begun = monotonic()
    try:
        for i, (key, value, headers) in enumerate(orders(load, seed=seed)):
            ahead = i / rate - (monotonic() - begun)
            if ahead > 0:
                await asyncio.sleep(max(ahead, TICK))
            sent[dict(headers)["ce_id"]] = monotonic()
            await producer.send(f"{course.prefix}orders", value, key, partition=i % load.partitions, headers=headers)
    finally:
        await producer.stop()
