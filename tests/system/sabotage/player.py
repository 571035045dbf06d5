"""Plays a small plan with workers to which something was done, and starts again each that dies of it."""

import asyncio
import math
import os
import signal
from asyncio.subprocess import Process
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from model.records import INPUT_TOPICS
from roads.driving import Road
from system.collector import Collector
from system.expectations import Expectations
from system.judge_corrections import CORRECTED
from system.plan import PARTITIONS
from system.reading import Reading, read_back
from system.sabotage.moments import FOLDER_VARIABLE
from system.sabotage.plays import PLAYS
from waiting import until

ROUND_BOUND = 90.0  # seconds in which a round is done, with a worker that has to be missed before others take over
QUIET = 4.0  # seconds without anything new, after which a sabotaged worker is not expected to say any more
STOPPED_BOUND = 30.0  # seconds after which a worker that was stopped goes on, whether others have taken over or not
TESTS = Path(__file__).parents[2]


async def play(road: Road, expected: Expectations, name: str) -> Reading:
    """All rounds; each ends where all is told that the model expects, or where nothing more is told."""
    marks = road.folder / "marks"
    marks.mkdir()
    road.program = ("system.sabotaged_worker", name)
    road.settings |= {
        FOLDER_VARIABLE: str(marks),
        "PYTHONPATH": str(TESTS),
        "RELATIONSHIP_WORKER_FRESHNESS_SECONDS": "30",
        "RELATIONSHIP_WORKER_DATABASE_CONNECTIONS": "30",
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await admin.start()
    await collector.open()
    try:
        player = _Player(road, expected, admin, collector, is_sabotaged=bool(PLAYS[name].found_as))
        return await player.play(PLAYS[name].workers)
    finally:
        await collector.close()
        await admin.close()


@dataclass
class _Player:
    road: Road
    expected: Expectations
    admin: AIOKafkaAdminClient
    collector: Collector
    is_sabotaged: bool
    _ends: Counter[TopicPartition] = field(default_factory=Counter)
    _watching: list[asyncio.Task[None]] = field(default_factory=list)
    _stopped: set[int] = field(default_factory=set)

    async def play(self, workers: int) -> Reading:
        for _ in range(workers):
            await self._start()
        await until("the workers to have started", self._have_started, seconds=ROUND_BOUND)
        for number, round_ in enumerate(self.expected.plan.rounds):
            for records in (round_.relationships, round_.orders):
                for record in records:
                    await self._send(record)
            with suppress(AssertionError):  # what is missing is the judge's to name
                await until(f"round {number}", lambda number=number: self._is_over(number), seconds=ROUND_BOUND)
        for watching in self._watching:
            watching.cancel()
        with suppress(TimeoutError):  # how workers end is tried elsewhere
            await self.road.stop()
        await self._kill_who_is_left()
        await self.collector.mark_ends(self.road.producer)
        with suppress(AssertionError):
            await until("all to be decided", self._has_ended, seconds=ROUND_BOUND)
        return await read_back(
            self.road.stack.kafka_bootstrap_servers,
            self.road.prefix,
            self.road.group,
            live=self.collector.records,
            seen_at=self.collector.seen_at,
        )

    async def _start(self) -> None:
        worker = await self.road.start()
        self._watching.append(asyncio.create_task(self._watch(worker)))

    async def _kill_who_is_left(self) -> None:
        for worker in self.road.workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()

    async def _watch(self, worker: Process) -> None:
        """One that dies is started again; one that has stopped goes on once others have taken over."""
        going = asyncio.create_task(self._go_on_where_it_stops(worker))
        try:
            await worker.wait()
            await self._start()
        finally:
            going.cancel()

    async def _go_on_where_it_stops(self, worker: Process) -> None:
        async def is_stopped() -> bool:
            return _is_stopped(worker.pid)

        await until("the worker to be stopped", is_stopped, seconds=math.inf)
        self._stopped.add(worker.pid)
        with suppress(AssertionError):
            await until("others to take over", self._is_committed, seconds=STOPPED_BOUND)
        os.kill(worker.pid, signal.SIGCONT)
        self._stopped.remove(worker.pid)

    async def _send(self, record: object) -> None:
        topic = self.road.prefix + record.topic
        sent = await self.road.producer.send_and_wait(
            topic, record.value, key=record.key, partition=record.partition, headers=list(record.headers)
        )
        assert sent.offset == record.offset, "the topics are this play's alone"
        self._ends[TopicPartition(topic, record.partition)] += 1

    async def _have_started(self) -> bool:
        return all("started" in log.read_text() for log in self.road.logs)

    async def _is_over(self, number: int) -> bool:
        """Whether all is told that must be; or, by a sabotaged worker, nothing more for a while."""
        if self._stopped or not await self._is_committed() or not await self._has_corrected():
            return False
        wanted = self.expected.by_round[number]
        if all(self.collector.counts[topic] >= count for topic, count in wanted.items()):
            return True
        before = len(self.collector.records)
        await asyncio.sleep(QUIET)
        return self.is_sabotaged and len(self.collector.records) == before and not self._stopped

    async def _has_corrected(self) -> bool:
        to_correct = await self.road.corrections_to_tell()
        return to_correct is not None and self.collector.not_counted[CORRECTED] >= to_correct

    async def _is_committed(self) -> bool:
        places = [TopicPartition(self.road.prefix + topic, p) for topic in INPUT_TOPICS for p in range(PARTITIONS)]
        try:
            committed = await self.admin.list_consumer_group_offsets(self.road.group, partitions=places)
        except KafkaError:
            return False
        done = {place: of.offset for place, of in committed.items()}
        return all(done.get(place, 0) >= self._ends[place] for place in places)

    async def _has_ended(self) -> bool:
        return self.collector.has_seen_ends()


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False
