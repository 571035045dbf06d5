"""How long an order takes from the producer's send to a reader of committed records, at a steady rate."""

import asyncio
import statistics
from time import monotonic

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders import Course, worker
from benchmarks.course import admin, course_of, processes_of
from benchmarks.cpu import cpu_seconds
from benchmarks.load import Load, orders
from benchmarks.throughput import Figures
from relationship_worker.local.stack import Stack

TICK = 0.002  # seconds between two sends; what is due by then is sent one by one
PATIENCE = 30  # seconds for the last orders to come out


async def measure(stack: Stack, load: Load, *, rate: int, warm_up: float, seed: int) -> Figures:
    """The worker, `load.orders` at `rate` a second; those of the first `warm_up` seconds don't count."""
    async with (
        admin(stack) as kafka,
        course_of(stack, kafka, worker(), load) as course,
        processes_of(worker(), course) as [process],
    ):
        return await measure_on(course, load, process.pid, rate=rate, warm_up=warm_up, seed=seed)


async def measure_on(
    course: Course,
    load: Load,
    pid: int,
    *,
    rate: int,
    warm_up: float,
    seed: int,
    beside: asyncio.Task[Figures] | None = None,
) -> Figures:
    """The same, of a process that runs already; where there is something `beside`, orders flow no longer than that."""
    sent: dict[bytes, float] = {}
    took: dict[bytes, float] = {}
    reader = await _reader(course, load)
    try:
        before, begun = cpu_seconds([pid]), monotonic()
        sending = asyncio.create_task(_send(course, load, sent, rate, seed, beside))
        reading = asyncio.create_task(_read(reader, took, sent, sending))
        try:
            await sending
            spent = (cpu_seconds([pid]) - before) / (monotonic() - begun)
            await asyncio.wait_for(reading, PATIENCE)
        finally:
            sending.cancel()
            reading.cancel()
    finally:
        await reader.stop()
    first = min(sent.values()) + warm_up
    counted = sorted(1e3 * (took[key] - at) for key, at in sent.items() if at >= first)
    return {
        "p50_ms": statistics.median(counted),
        "p99_ms": counted[int(0.99 * len(counted))],
        "worst_ms": counted[-1],
        "orders_per_second": len(counted) / (max(sent.values()) - first),
        "cpu_percent_of_a_core": 100 * spent,
    }


async def _reader(course: Course, load: Load) -> AIOKafkaConsumer:
    reader = AIOKafkaConsumer(
        bootstrap_servers=course.stack.kafka_bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="latest",
    )
    reader.assign(
        [TopicPartition(f"{course.prefix}enriched-orders", partition) for partition in range(load.partitions)]
    )
    await reader.start()
    await reader.seek_to_end()
    for place in reader.assignment():
        await reader.position(place)
    return reader


async def _read(
    reader: AIOKafkaConsumer, took: dict[bytes, float], sent: dict[bytes, float], sending: asyncio.Task[None]
) -> None:
    """Orders are known again by their event's id, which is the answer's causation id."""
    while not sending.done() or len(took) < len(sent):
        fetched = await reader.getmany(timeout_ms=100)
        now = monotonic()
        for records in fetched.values():
            for record in records:
                headers = dict(record.headers)
                event = headers["ce_causationid"]
                assert event not in took, "an order came out twice"
                took[event] = now


async def _send(
    course: Course, load: Load, sent: dict[bytes, float], rate: int, seed: int, beside: asyncio.Task[Figures] | None
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=course.stack.kafka_bootstrap_servers, acks="all")
    await producer.start()
    begun = monotonic()
    try:
        for i, order in enumerate(orders(load, seed=seed)):
            ahead = i / rate - (monotonic() - begun)
            if ahead > 0:
                await asyncio.sleep(max(ahead, TICK))
            if beside is not None and beside.done():
                return
            sent[order.headers[0][1]] = monotonic()
            place = i % load.partitions
            await producer.send(f"{course.prefix}orders", order.value, order.key, place, headers=order.headers)
    finally:
        await producer.stop()
