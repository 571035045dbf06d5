"""Where a contender runs: topics and a database made for it, its process started and ended."""

import asyncio
import contextlib
import json
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import make_url

from benchmarks.contenders import Contender, Course
from benchmarks.load import Load, fill_relationships, numbers_of
from relationship_worker.local.stack import Stack

STOP_SECONDS = 15  # for a process to end by itself
LOG_CHARACTERS = 3_000  # of a process that ended, shown


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
async def course_of(stack: Stack, runner: Contender, load: Load, *, prefix: str | None = None) -> AsyncIterator[Course]:
    """A database of its own, and names for topics; `prefix`: of topics that are there already."""
    prefix = prefix or f"bench_{uuid4().hex[:12]}."
    database = f"bench_{uuid4().hex[:12]}"
    postgres = await asyncpg.connect(stack.database_url)
    await postgres.execute(f"CREATE DATABASE {database}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            numbers = Path(folder) / "numbers.json"
            if not runner.is_worker:
                numbers.write_text(json.dumps(numbers_of(load)))
            yield Course(
                stack=stack,
                database_url=make_url(stack.database_url).set(database=database).render_as_string(hide_password=False),
                prefix=prefix,
                group=f"{prefix}{runner.name}",
                output=f"{prefix}out-{runner.name}",
                numbers=numbers,
                partitions=load.partitions,
            )
    finally:
        await postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")
        await postgres.close()


async def prepare(kafka: AIOKafkaAdminClient, runner: Contender, course: Course, load: Load) -> None:
    """Topics, schema and relationships."""
    there = await kafka.list_topics()
    if f"{course.prefix}orders" not in there:
        await make_topic(kafka, f"{course.prefix}orders", load.partitions)
    if not runner.is_worker:
        await make_topic(kafka, course.output, load.partitions)
        return
    command = [runner.command[0], "-m", "relationship_worker", "init"]
    init = await asyncio.create_subprocess_exec(*command, env=course.worker_environment, stdout=DEVNULL, stderr=DEVNULL)
    if await init.wait():
        raise SystemExit("init has failed")
    await fill_relationships(course.database_url, load.relationships)


@contextlib.asynccontextmanager
async def process_of(runner: Contender, course: Course) -> AsyncIterator[Process]:
    """The contender's process, ended by SIGTERM. Where it ended before, its log is shown."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *runner.command, env=runner.environment(course), stdout=log, stderr=log
        )
        try:
            yield process
        except BaseException as why:
            log.seek(0)
            raise SystemExit(f"{runner.name}: {why!r}\n{log.read().decode()[-LOG_CHARACTERS:]}") from why
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
            if process.returncode is None:
                process.kill()
