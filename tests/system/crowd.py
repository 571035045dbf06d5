"""A crowd of workers on one group: they join, some are killed and some leave, while orders flow into every partition."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from roads.driving import Road
from system.crowd_census import (
    STABLE,
    Connections,
    Group,
    connections_of,
    cpu_seconds,
    group_of,
    listener_of,
    memory_mib,
)
from system.crowd_flow import Flow, flowing
from system.workers import Worker, Workers
from waiting import until
from watching import GREEN, watched

LOOK_EVERY = 1.0  # seconds between two counts of connections
STEP_BOUND = 600.0  # seconds for a group to come to rest; far above what it takes
STEADY_SECONDS = 10.0  # over which CPU is measured once nobody comes or goes


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How many of what. `orders_alone`: workers run with `--only orders`, so that nothing else is to be shared."""

    partitions: int
    workers: int
    killed: int
    leaving: int
    orders_alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of one change of the crowd. `waits`: by partition of orders, the longest that an order waited meanwhile."""

    what: str
    members: int
    rebalances: int
    seconds: float  # until the group was at rest and every partition was served
    waits: Sequence[float]


@dataclass
class Found:
    """All that was seen."""

    shape: Shape
    steps: list[Step] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)  # at rest, after each step
    connections: Connections = field(default_factory=Connections)  # at their most
    memory_mib: list[float] = field(default_factory=list)  # of each worker, at rest
    broker_mib: float = 0.0
    load: list[float] = field(default_factory=list)  # of the machine, after each step: who else is at work on it
    cpu: dict[str, float] = field(default_factory=dict)  # cores, by who, while orders only trickle
    not_ready: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # workers that nobody has ended
    troubles: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    orders: int = 0
    events: int = 0
    not_caught_up: int = 0


async def play_crowd(
    road: Road,
    shape: Shape,
    say: Callable[[str], None] = lambda line: None,
    *,
    steady_seconds: float = STEADY_SECONDS,
) -> Found:
    """All of it. The road's topics have the shape's partitions, and its servers are this machine's."""
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    await admin.start()
    database = await asyncpg.connect(road.database_url)
    crowd = _Crowd(road, shape, admin, database, say, steady_seconds)
    try:
        async with crowd.counting(), flowing(road, decisions=not shape.orders_alone) as flow:
            await crowd.play(flow)
        await crowd.workers.stop_all()
        crowd.found.troubles += crowd.workers.troubles
        crowd.found.wrong = flow.wrong()
        crowd.found.orders, crowd.found.events = len(flow.told), len(flow.events)
        crowd.found.not_caught_up = flow.not_caught_up
        return crowd.found
    finally:
        await database.close()
        await admin.close()


class _Crowd:
    def __init__(
        self,
        road: Road,
        shape: Shape,
        admin: AIOKafkaAdminClient,
        database: asyncpg.Connection,
        say: Callable[[str], None],
        steady_seconds: float,
    ) -> None:
        self.road, self.shape, self.admin, self.database, self.say = road, shape, admin, database, say
        self.steady_seconds = steady_seconds
        self.workers = Workers(road)
        self.found = Found(shape=shape)
        self.kafka_port = int(road.stack.kafka_bootstrap_servers.rpartition(":")[2])

    async def play(self, flow: Flow) -> None:
        shape = self.shape
        first = max(1, shape.workers // 4)  # one alone with hundreds of lanes is another question
        what = "the first starts" if first == 1 else f"{first} start at once"
        await self._step(what, flow, lambda: self._start_at_once(first))
        rest = shape.workers - first
        if rest:
            await self._step(f"{rest} join, one after the other", flow, lambda: self._start(rest))
        await self._look_at_rest()
        if shape.killed:
            victims = self.workers.live[1 : 1 + shape.killed]
            await self._step(f"{shape.killed} are killed", flow, lambda: self._all(self.workers.kill, victims))
        if shape.leaving:
            victims = self.workers.live[1 : 1 + shape.leaving]
            await self._step(f"{shape.leaving} leave", flow, lambda: self._all(self.workers.stop, victims))
        await self._judge_health()

    async def _start(self, count: int) -> None:
        for _ in range(count):
            await self._start_at_once(1)

    async def _start_at_once(self, count: int) -> None:
        arguments = ("--only", "orders") if self.shape.orders_alone else ()
        for worker in [await self.workers.start(*arguments) for _ in range(count)]:
            await until("it to have joined", lambda worker=worker: self._has_joined(worker), seconds=STEP_BOUND)

    async def _all(self, strike: Callable[[Worker], Awaitable[None]], victims: Sequence[Worker]) -> None:
        await asyncio.gather(*map(strike, victims))

    async def _step(self, what: str, flow: Flow, change: Callable[[], Awaitable[None]]) -> None:
        began, before = monotonic(), self._assignments()
        await change()
        group = await until(f"the group to be at rest: {what}", self._at_rest, seconds=STEP_BOUND)
        await flow.served()
        seconds = monotonic() - began
        waits = await flow.waits(began)
        self.found.groups.append(group)
        self.found.load.append(os.getloadavg()[0])
        step = Step(
            what=what,
            members=len(group.held),
            rebalances=self._assignments() - before,
            seconds=seconds,
            waits=sorted(waits.values()),
        )
        self.found.steps.append(step)
        self.say(f"{what}: {step.rebalances} rebalances, {seconds:.1f} s, longest wait {step.waits[-1]:.1f} s")

    async def _at_rest(self) -> Group | None:
        group = await group_of(self.admin, self.road.group)
        return group if group.state == STABLE and len(group.held) == len(self.workers.live) else None

    async def _has_joined(self, worker: Worker) -> bool:
        return bool(self._assigned(worker))

    def _assignments(self) -> int:
        """Of the first worker, which sees every rebalance and is never struck."""
        return len(self._assigned(self.road.workers[0])) if self.road.workers else 0

    def _assigned(self, worker: Worker) -> list[str]:
        log = self.road.logs[self.road.workers.index(worker)].read_text(errors="replace")
        return [line for line in log.splitlines() if '"partitions assigned"' in line]

    async def _look_at_rest(self) -> None:
        pids = {"workers": [w.pid for w in self.workers.live], "Kafka": [listener_of(self.kafka_port)]}
        if self.road.stack.postgres is not None:
            file = self.road.stack.postgres.folder / "data" / "postmaster.pid"
            pids["PostgreSQL"] = [int(file.read_text().splitlines()[0])]
        before = {who: sum(map(cpu_seconds, some)) for who, some in pids.items()}
        began = monotonic()
        await asyncio.sleep(self.steady_seconds)
        seconds = monotonic() - began
        self.found.cpu = {who: (sum(map(cpu_seconds, some)) - before[who]) / seconds for who, some in pids.items()}
        self.found.memory_mib = [memory_mib(pid) for pid in pids["workers"]]
        self.found.broker_mib = memory_mib(pids["Kafka"][0])

    async def _judge_health(self) -> None:
        for worker in self.workers.live:
            log = self.road.logs[self.road.workers.index(worker)]
            if worker.returncode is not None:
                self.found.ended.append(f"{log.name}: {worker.returncode}")
                continue
            pages = await watched(log)
            for path in ("/health/live", "/health/ready"):
                status, body = await pages.get(path)
                if status != GREEN:
                    self.found.not_ready.append(f"{log.name}: {path} says {json.loads(body)['why_not']}")

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Connections, as long as the block runs."""

        async def count() -> None:
            while True:
                pids = [worker.pid for worker in self.workers.live if worker.returncode is None]
                now = await connections_of(pids, self.kafka_port, self.database)
                self.found.connections = self.found.connections.or_more(now)
                await asyncio.sleep(LOOK_EVERY)

        task = asyncio.create_task(count())
        try:
            yield
        finally:
            if task.done():
                task.result()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
