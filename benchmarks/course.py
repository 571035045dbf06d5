"""Where a contender runs: topics and a database made for it, its processes started and ended."""

import asyncio
import contextlib
import json
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import make_url

from benchmarks.contenders import Contender, Course
from benchmarks.load import Load, numbers_of
from benchmarks.relationships import fill_relationships
from relationship_worker.local.stack import Stack

STOP_SECONDS = 15  # for a process to end by itself
LOG_CHARACTERS = 3_000  # of a process that ended, shown
SETTLE_SECONDS = 60  # for several processes to share a group


@dataclass(kw_only=True)
class Database:
    """A database for runs with the same relationships, filled by the first of them."""

    url: str
    filled: bool = False


@contextlib.asynccontextmanager
async def database_of(stack: Stack) -> AsyncIterator[Database]:
    """An empty one, gone with the block."""
    name = f"bench_{uuid4().hex[:12]}"
    postgres = await asyncpg.connect(stack.database_url)
    await postgres.execute(f"CREATE DATABASE {name}")
    await postgres.close()  # the last run is hours away
    try:
        yield Database(url=make_url(stack.database_url).set(database=name).render_as_string(hide_password=False))
    finally:
        postgres = await asyncpg.connect(stack.database_url)
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await postgres.close()


@contextlib.asynccontextmanager
async def admin(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    """Kafka's admin client."""
    kafka = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.close()


async def make_topic(kafka: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    """With one replica."""
    await kafka.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])


@contextlib.asynccontextmanager
async def course_of(
    stack: Stack,
    kafka: AIOKafkaAdminClient,
    runner: Contender,
    load: Load,
    *,
    prefix: str | None = None,
    database: Database | None = None,
) -> AsyncIterator[Course]:
    """Topics, schema and relationships; all topics but those of an orders topic that was there go with the block.

    `prefix`: of an orders topic that is there already. `database`: one that several runs share, one after the other.
    """
    prefix = prefix or f"bench_{uuid4().hex[:12]}."
    async with contextlib.AsyncExitStack() as ground:
        found = set(await kafka.list_topics())
        folder = Path(ground.enter_context(tempfile.TemporaryDirectory()))
        if database is None:
            database = await ground.enter_async_context(database_of(stack))
        course = Course(
            stack=stack,
            database_url=database.url,
            prefix=prefix,
            group=f"{prefix}{runner.name}",
            output=f"{prefix}out-{runner.name}",
            numbers=folder / "numbers.json",
            partitions=load.partitions,
        )
        try:
            if f"{prefix}orders" not in found:
                await make_topic(kafka, f"{prefix}orders", load.partitions)
            if runner.is_worker:
                await _prepare_worker(runner, course, load, database)
            else:
                course.numbers.write_text(json.dumps(numbers_of(load)))
                await make_topic(kafka, course.output, load.partitions)
            yield course
        finally:
            there = await kafka.list_topics()
            await kafka.delete_topics([topic for topic in there if topic.startswith(prefix) and topic not in found])


async def _prepare_worker(runner: Contender, course: Course, load: Load, database: Database) -> None:
    command = [runner.command[0], "-m", "relationship_worker", "init"]
    init = await asyncio.create_subprocess_exec(*command, env=course.worker_environment, stdout=DEVNULL, stderr=DEVNULL)
    if await init.wait():
        raise SystemExit("init has failed")
    if not database.filled:
        await fill_relationships(database.url, load)
        database.filled = True
        return
    postgres = await asyncpg.connect(database.url)
    await postgres.execute("TRUNCATE answers, repeated_orders, positions, outbox, outbox_lanes")  # of the run before
    await postgres.close()


@contextlib.asynccontextmanager
async def processes_of(runner: Contender, course: Course) -> AsyncIterator[Sequence[Process]]:
    """The contender's processes, ended by SIGTERM. Where something goes wrong their log is shown."""
    with tempfile.TemporaryFile() as log:
        processes = [
            await asyncio.create_subprocess_exec(
                *runner.command, env=runner.environment(course), stdout=log, stderr=log
            )
            for _ in range(runner.processes)
        ]
        try:
            yield processes
        except BaseException as why:
            log.seek(0)
            raise SystemExit(f"{runner.name}: {why!r}\n{log.read().decode()[-LOG_CHARACTERS:]}") from why
        finally:
            await asyncio.gather(*map(_end, processes))


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
    if process.returncode is None:
        process.kill()
        await process.wait()
