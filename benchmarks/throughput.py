"""How fast each contender answers a backlog of orders, and what that costs: rounds in which they take turns."""

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError
from sqlalchemy import make_url

from benchmarks.contenders import Contender, Course
from benchmarks.cpu import cpu_seconds, cpu_seconds_of, resident_bytes
from benchmarks.load import Load, fill_orders, fill_relationships, numbers_of
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
    async with _admin(stack) as kafka:
        await _make(kafka, f"{prefix}orders", load.partitions)
        await fill_orders(stack.kafka_bootstrap_servers, f"{prefix}orders", load, seed=seed)
        figures = {}
        for runner in runners:
            figures[runner.name] = await _run(stack, kafka, runner, load, prefix)
        await kafka.delete_topics([f"{prefix}orders"])
    return figures


@contextlib.asynccontextmanager
async def _admin(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    kafka = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.close()


async def _make(kafka: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    await kafka.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])


async def _run(stack: Stack, kafka: AIOKafkaAdminClient, runner: Contender, load: Load, prefix: str) -> Figures:
    group = f"{prefix}{runner.name}"
    with tempfile.TemporaryDirectory() as folder:
        numbers = Path(folder) / "numbers.json"
        numbers.write_text(json.dumps(numbers_of(load)))
        async with _database(stack) as url:
            course = Course(
                stack=stack,
                database_url=url,
                prefix=prefix,
                group=group,
                output=f"{prefix}out-{runner.name}",
                numbers=numbers,
            )
            await _prepare(kafka, runner, course, load)
            before = set(await kafka.list_topics())
            try:
                with tempfile.TemporaryFile() as log:
                    process = await asyncio.create_subprocess_exec(
                        *runner.command, env=runner.environment(course), stdout=log, stderr=log
                    )
                    try:
                        return await _measure(kafka, process, runner, course, load)
                    except AssertionError as why:
                        log.seek(0)
                        raise SystemExit(f"{runner.name}: {why}\n{log.read().decode()[-3000:]}") from None
                    finally:
                        if process.returncode is None:
                            process.send_signal(signal.SIGTERM)
                            with contextlib.suppress(TimeoutError):
                                await asyncio.wait_for(process.wait(), 15)
                        if process.returncode is None:
                            process.kill()
            finally:
                made = {t for t in await kafka.list_topics() if t.startswith(prefix) and t != f"{prefix}orders"}
                await kafka.delete_topics(sorted(made | (made & before)))


async def _prepare(kafka: AIOKafkaAdminClient, runner: Contender, course: Course, load: Load) -> None:
    if not runner.is_worker:
        await _make(kafka, course.output, load.partitions)
        return
    init = await asyncio.create_subprocess_exec(
        *runner.command[:1], "-m", "relationship_worker", "init", env=course.worker_environment, stdout=-3, stderr=-3
    )
    assert await init.wait() == 0, "init has failed"
    await fill_relationships(course.database_url, load.relationships)


@contextlib.asynccontextmanager
async def _database(stack: Stack) -> AsyncIterator[str]:
    name = f"bench_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.database_url)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield make_url(stack.database_url).set(database=name).render_as_string(hide_password=False)
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


async def _measure(
    kafka: AIOKafkaAdminClient, process: asyncio.subprocess.Process, runner: Contender, course: Course, load: Load
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

    first, begun = await reached(runner.warm_up * load.orders if runner.warm_up else 1, PATIENCE)
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
