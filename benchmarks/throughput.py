"""How fast each contender answers a backlog of orders, and what that costs: rounds in which they take turns."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Sequence
from time import monotonic
from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from benchmarks.changes import Changes, changing, check_answers
from benchmarks.contenders import Contender, Course
from benchmarks.course import Database, admin, course_of, make_topic, processes_of
from benchmarks.cpu import cpu_seconds, cpu_seconds_of, peak_mib
from benchmarks.load import Load, fill_orders
from relationship_worker.local.stack import Stack

LEAST = 0.5  # of what is to be measured, or the figure is worth nothing
PATIENCE = 300  # seconds for the warm-up, and for the rest
LOOK = 0.02  # seconds between two looks at the group's committed offsets

Figures = dict[str, float]
"""One run's, each with its unit in its name."""


async def race(
    stack: Stack, runners: Sequence[Contender], load: Load, *, seed: int, database: Database | None = None
) -> dict[str, Figures]:
    """One round: every contender reads the same orders, one after the other. `database`: see `course_of`."""
    prefix = f"bench_{uuid4().hex[:12]}."
    async with admin(stack) as kafka:
        await make_topic(kafka, f"{prefix}orders", load.partitions)
        try:
            held = await fill_orders(stack.kafka_bootstrap_servers, f"{prefix}orders", load, seed=seed)
            figures = {}
            for runner in runners:
                async with course_of(stack, kafka, runner, load, prefix=prefix, database=database) as course:
                    figures[runner.name] = await _run(kafka, runner, course, load)
                if runner.is_worker:
                    figures[runner.name]["facts_held_percent"] = held
        finally:
            await kafka.delete_topics([f"{prefix}orders"])
    return figures


async def _run(kafka: AIOKafkaAdminClient, runner: Contender, course: Course, load: Load) -> Figures:
    """Between warm-up and the tail; the answers are checked after that."""
    async with processes_of(runner, course) as processes, changing(course, load) as changes:
        backlog = _Backlog(kafka, runner, course, load, processes, changes)
        if runner.processes > 1:
            await backlog.shared()
        first, begun = await backlog.reached(runner.warm_up * load.orders)
        last, ended = await backlog.reached(runner.stop_at * load.orders)
        peak = peak_mib(process.pid for process in processes)
    count = last - first
    wanted = (runner.stop_at - runner.warm_up) * load.orders
    assert count >= LEAST * wanted, f"only {count} orders were left to measure"
    seconds, own, postgres, broker, changed = (b - a for a, b in zip(begun, ended, strict=True))
    figures = {
        "orders_per_second": count / seconds,
        "cpu_us_per_order": 1e6 * own / count,
        "kafka_cpu_us_per_order": 1e6 * broker / count,
        "peak_rss_mib": peak,
    }
    if runner.is_worker:
        await check_answers(course, load, changes, at_least=last)
        figures["postgres_cpu_us_per_order"] = 1e6 * postgres / count
    if load.changes_per_second:
        figures["changes_per_second"] = changed / seconds
    return figures


class _Backlog:
    """How far it was brought down, and at what cost."""

    def __init__(
        self,
        kafka: AIOKafkaAdminClient,
        runner: Contender,
        course: Course,
        load: Load,
        processes: Sequence[Process],
        changes: Changes,
    ) -> None:
        self._kafka, self._course, self._processes, self._changes = kafka, course, processes, changes
        self._on_java = runner.name == "kafka-streams"
        self._orders = load.orders
        self._places = [TopicPartition(f"{course.prefix}orders", partition) for partition in range(load.partitions)]

    async def shared(self) -> None:
        """All processes have their part of the partitions."""
        end = monotonic() + PATIENCE
        while True:
            [answer] = await self._kafka.describe_consumer_groups([self._course.group])
            [(_, _, state, _, _, members, *_)] = answer.groups
            if state == "Stable" and len(members) == len(self._processes):
                return
            assert monotonic() < end, f"{len(members)} processes in the group, which is {state}"
            await asyncio.sleep(LOOK)

    async def reached(self, count: float) -> tuple[int, list[float]]:
        """Measured where the committed offsets have just moved, so that long commit intervals blur nothing."""
        end = monotonic() + PATIENCE
        seen = await self._done()
        assert seen < self._orders, "the backlog was done before all was ready: it is too small for this machine"
        while True:
            now = await self._done()
            if now != seen and now >= count:
                return now, self._spent()
            assert monotonic() < end, f"{now} of {self._orders} orders after {PATIENCE} s"
            seen = now
            await asyncio.sleep(LOOK)

    async def _done(self) -> int:
        for process in self._processes:
            assert process.returncode is None, f"ended with {process.returncode}"
        try:
            committed = await self._kafka.list_consumer_group_offsets(self._course.group, partitions=self._places)
        except GroupCoordinatorNotAvailableError:  # the first group of a new broker
            return 0
        return sum(max(at.offset, 0) for at in committed.values())

    def _spent(self) -> list[float]:
        own = cpu_seconds(process.pid for process in self._processes)
        writer = [self._changes.backend] if self._changes.backend else []
        return [
            monotonic(),
            own,
            cpu_seconds_of("postgres") - cpu_seconds(writer),
            cpu_seconds_of("java") - (own if self._on_java else 0),
            self._changes.done,
        ]
