"""Drive a real worker process by topics: produce events, wait until they are done, read what came out."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.published import check_output
from relationship_worker.local.stack import Stack, running_stack
from relationship_worker.storage.database import open_database, rows, run, transaction
from waiting import until

REQUESTS, DECISIONS, ORDERS = "connection-requests", "relationship-decisions", "orders"
INPUTS = (REQUESTS, DECISIONS, ORDERS)
PARTITIONS = 4
WAITS_FOR_KAFKA_MS = 120_000  # a broker that a test restarts on a busy machine takes its time
COMMAND_BOUND = 180  # seconds; a command takes one or two, on a machine that others keep busy many
SHOP = "shop-1"  # the supplier of these tests
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
ORDER_CREATED = "marketplace.order.created"


@dataclass(frozen=True)
class Told:
    """A record that came out."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: float

    def header(self, name: str) -> str | None:
        """The last header of that name."""
        found = [text for key, text in self.headers if key == name]
        return found[-1].decode() if found and found[-1] is not None else None

    @property
    def type(self) -> str | None:
        return self.header("ce_type")

    @property
    def cause(self) -> str | None:
        return self.header("ce_causationid")

    @property
    def data(self) -> Any:
        assert self.value is not None
        return json.loads(self.value)

    @property
    def answer(self) -> dict[str, Any]:
        return self.data["customer_number"]


Spawn = Callable[[Sequence[str], Mapping[str, str], Path], Awaitable[asyncio.subprocess.Process]]
"""Starts a module with arguments and an environment; what it says goes to a file."""


async def spawned(program: Sequence[str], environment: Mapping[str, str], log: Path) -> asyncio.subprocess.Process:
    """By a Python of its own."""
    with log.open("wb") as stderr:
        return await asyncio.create_subprocess_exec(sys.executable, "-m", *program, env=environment, stderr=stderr)


@dataclass
class Road:
    """A worker's topics, and its processes."""

    stack: Stack
    database_url: str
    prefix: str
    producer: AIOKafkaProducer
    settings: dict[str, str] = field(default_factory=lambda: {"RELATIONSHIP_WORKER_HTTP_PORT": "0"})
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    folder: Path = Path()
    program: tuple[str, ...] = ("relationship_worker",)  # the module that `start` runs, and what stands before `run`
    partitions: int = PARTITIONS  # of every topic
    spawn: Spawn = spawned

    @property
    def group(self) -> str:
        """Of this test alone: no group waits for the members that another test has killed."""
        return f"{self.prefix}group"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.kafka_bootstrap_servers,
            "DATABASE_URL": self.database_url,
            "RELATIONSHIP_WORKER_TOPIC_PREFIX": self.prefix,
            "RELATIONSHIP_WORKER_GROUP": self.group,
            "RELATIONSHIP_WORKER_PARTITIONS": str(self.partitions),
            "PYTHONPATH": str(Path(__file__).parents[1]),  # for workers that have a fault of the tests' own
            **self.settings,
        }

    async def command(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "relationship_worker",
            *arguments,
            env={**self.environment, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_BOUND)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def make_inputs(self) -> None:
        """The marketplace's topics, which take larger records than the worker does."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka_bootstrap_servers)
        await admin.start()
        config = {"max.message.bytes": str(9 * 1024 * 1024)}
        await admin.create_topics(
            [NewTopic(self.prefix + topic, self.partitions, 1, topic_configs=config) for topic in INPUTS]
        )
        await admin.close()

    async def init(self) -> None:
        code, _, err = await self.command("init")
        assert code == 0, err

    async def start(self, *arguments: str, module: str = "", **settings: str) -> asyncio.subprocess.Process:
        """A worker process; it need not be ready when this returns. `module`: of the tests, instead of `program`."""
        program = (module,) if module else self.program
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = await self.spawn([*program, "run", *arguments], {**self.environment, **settings}, log)
        self.workers.append(worker)
        self.logs.append(log)
        return worker

    async def send(
        self,
        type_: str,
        data: Any,
        *,
        at: datetime | None = None,
        id_: str | None = None,
        key: bytes | None = b"by pair",
        partition: int | None = None,
        **headers: str,
    ) -> str:
        """An event in binary mode, acknowledged by Kafka; its id."""
        id_ = id_ or str(uuid4())
        value = data if isinstance(data, bytes) else json.dumps(data).encode()
        attributes = {
            "ce_id": id_,
            "ce_source": "/test",
            "ce_type": type_,
            "ce_specversion": "1.0",
            "ce_time": (at or YESTERDAY).isoformat(),
            "content-type": "application/json",
            **headers,
        }
        if key == b"by pair" and isinstance(data, dict):
            key = f"{data.get('supplier_id')}/{data.get('customer_id')}".encode()
        await self.raw(topic_of(type_), value, list(_encoded(attributes)), key=key, partition=partition)
        return id_

    async def raw(
        self,
        topic: str,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
        *,
        key: bytes | None = None,
        partition: int | None = None,
    ) -> tuple[int, int]:
        """A record, byte for byte; where it lies."""
        if partition is None:
            done = await self.producer.send_and_wait(self.prefix + topic, value, key=key, headers=headers)
            return done.partition, done.offset
        batch = self.producer.create_batch()  # takes what `send` refuses: neither key nor value, headers without one
        batch.append(timestamp=None, key=key, value=value, headers=headers)
        sent = await self.producer.send_batch(batch, self.prefix + topic, partition=partition)
        return partition, (await sent).offset

    async def request(self, customer: str, **more: Any) -> str:
        return await self.send("marketplace.connection.requested", pair(customer), **more)

    async def accept(self, customer: str, number: str | None = None, **more: Any) -> str:
        data = {**pair(customer), "decided_by": "desk", "customer_number": number}
        return await self.send("supplier.connection.accepted", data, **more)

    async def order(self, order_id: str, customer: str | None = None, **more: Any) -> str:
        fields = {name: more.pop(name) for name in ("channel", "created_at", "note") if name in more}
        data = {"order_id": order_id, "supplier_id": SHOP, "customer_id": customer, **fields}
        return await self.send(ORDER_CREATED, data, **{"key": order_id.encode(), **more})

    async def settled(self) -> None:
        """Until the group has committed every input. What waits in the outbox may still be told: see `all_told`."""

        async def done() -> bool:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.stack.kafka_bootstrap_servers, group_id=self.group, enable_auto_commit=False
            )
            await consumer.start()
            try:
                places = [TopicPartition(self.prefix + topic, p) for topic in INPUTS for p in range(self.partitions)]
                ends = await consumer.end_offsets(places)
                return all([(await consumer.committed(place) or 0) >= ends[place] for place in places])
            finally:
                await consumer.stop()

        await until("the group to commit all inputs", done)

    async def all_told(self) -> None:
        """Until all is told that waits in the outbox by now."""
        outbox = f"{self.group}.outbox"  # behind the prefix
        posted = await self.ask("SELECT lane, last FROM outbox_lanes WHERE lane >= 0")

        async def told() -> bool:
            up_to = await self.committed([outbox])
            return all((up_to.get((self.prefix + outbox, lane)) or 0) >= last for lane, last in posted)

        await until("the outbox to be told", told)

    async def ask(self, statement: str) -> Any:
        """All rows of a statement on the worker's database, in a transaction of its own; how many it changed, if it is none
        that asks."""
        database = open_database(self.database_url, connections=1)
        try:
            async with transaction(database) as tx:
                if statement.lstrip().upper().startswith("SELECT"):
                    return await rows(tx, statement)
                return await run(tx, statement)
        finally:
            await database.dispose()

    async def committed(self, topics: Sequence[str] = INPUTS) -> dict[tuple[str, int], int | None]:
        """The group's positions on topics, by default the inputs."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stack.kafka_bootstrap_servers, group_id=self.group)
        await consumer.start()
        try:
            places = [TopicPartition(self.prefix + topic, p) for topic in topics for p in range(self.partitions)]
            return {(place.topic, place.partition): await consumer.committed(place) for place in places}
        finally:
            await consumer.stop()

    async def corrections_to_tell(self) -> int | None:
        """How many corrections all facts together led to; None as long as some facts were not followed up."""
        [row] = await self.ask(
            """SELECT (SELECT count(*) FROM new_facts) AS facts,
                      (SELECT coalesce(sum(last), 0)::int FROM correction_lanes) AS corrections"""
        )
        return None if row.facts else int(row.corrections)

    async def read(self, topic: str, *, isolation: str = "read_committed") -> list[Told]:
        """All records of a topic, by partition."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.stack.kafka_bootstrap_servers,
            isolation_level=isolation,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            places = [TopicPartition(self.prefix + topic, p) for p in range(self.partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found = []
            for place in places:
                await consumer.seek_to_beginning(place)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found.extend(records)
        finally:
            await consumer.stop()
        for r in found if topic not in INPUTS else []:
            check_output(topic, list(r.headers), r.value, key=r.key)  # whatever comes out fits the published contract
        return [
            Told(topic, r.partition, r.offset, r.key, r.value, tuple(r.headers), r.timestamp / 1000)
            for r in sorted(found, key=lambda r: (r.partition, r.offset))
        ]

    async def told(self, topic: str, count: int) -> list[Told]:
        """At least so many records of an output topic, once they are there."""

        async def there() -> list[Told] | None:
            found = await self.read(topic)
            return found if len(found) >= count else None

        return await until(f"{count} records of {topic}", there)

    async def stop(self) -> list[int]:
        """SIGTERM to all workers; their exit codes."""
        live = [worker for worker in self.workers if worker.returncode is None]
        for worker in live:
            worker.send_signal(signal.SIGTERM)
        return [await asyncio.wait_for(worker.wait(), 10) for worker in live]

    async def close(self) -> None:
        await self.producer.stop()
        for worker in self.workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


def pair(customer: str) -> dict[str, Any]:
    return {"supplier_id": SHOP, "customer_id": customer}


def topic_of(type_: str) -> str:
    if type_ == ORDER_CREATED:
        return ORDERS
    return REQUESTS if type_.startswith("marketplace.") else DECISIONS


def _encoded(headers: dict[str, str]) -> list[tuple[str, bytes | None]]:
    return [(name, text.encode()) for name, text in headers.items()]


@pytest.fixture
def topic_prefix() -> str:
    """Topics of the test's own."""
    return f"t{uuid4().hex[:10]}."


@asynccontextmanager
async def opened_road(
    stack: Stack, database_url: str, prefix: str, folder: Path, *, partitions: int = PARTITIONS, **settings: str
) -> AsyncIterator[Road]:
    """Topics and schema are there; no worker runs yet."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka_bootstrap_servers,
        max_request_size=9 * 1024 * 1024,
        enable_idempotence=True,
        request_timeout_ms=WAITS_FOR_KAFKA_MS,
    )
    await producer.start()
    made = Road(stack, database_url, prefix, producer, folder=folder, partitions=partitions)
    made.settings |= settings
    try:
        await made.make_inputs()
        await made.init()
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture
async def road(stack: Stack, database_url: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Road]:
    """A road of the test's own, on the servers of the whole run."""
    async with opened_road(stack, database_url, topic_prefix, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def own_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Road]:
    """A road on servers of its own, which may be stopped without disturbing any other test."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with running_stack() as stack:
        async with opened_road(stack, stack.database_url, "", tmp_path) as road:
            yield road
