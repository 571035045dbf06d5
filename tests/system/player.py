"""Plays a plan on a real Kafka, with worker processes of which one is killed and replaced."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from model.records import ENRICHED, EVENTS, INPUT_TOPICS, Record
from roads.driving import Road
from system.collector import Collector
from system.expectations import Expectations
from system.plan import PARTITIONS, Round
from waiting import until

ROUND_BOUND = 90.0  # seconds in which a round is done, with a worker that has to be missed before others take over
_KILLED_IN = (2, 5, 4, 8, 1, 6)  # rounds; the first kill strikes among orders, the second among decisions, and so on


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came out, and what went wrong with the playing itself."""

    outputs: Sequence[Record]
    troubles: Sequence[str]
    kills: Sequence[str]


async def play(road: Road, expected: Expectations, *, workers: int, kills: int) -> Played:
    """All rounds, one after the other; ends early where a round isn't done in time."""
    # Freshness has time to wait for a partition whose worker was killed: then no order goes out not caught up.
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = "30"
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await admin.start()
    await collector.open()
    try:
        return await _Player(road, expected, admin, collector, kills).play(workers)
    finally:
        await collector.close()
        await admin.close()


@dataclass
class _Player:
    road: Road
    expected: Expectations
    admin: AIOKafkaAdminClient
    collector: Collector
    kills: int  # how many there shall be
    troubles: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    _ends: Counter[TopicPartition] = field(default_factory=Counter)

    async def play(self, workers: int) -> Played:
        for _ in range(workers):
            await self.road.start()
        for number, round_ in enumerate(self.expected.plan.rounds):
            if not await self._round(number, round_):
                break
        await self._stop()
        return Played(outputs=tuple(self.collector.records), troubles=tuple(self.troubles), kills=tuple(self.killed))

    async def _round(self, number: int, round_: Round) -> bool:
        """Whether the round was done in time."""
        killing = asyncio.create_task(self._kill_in(number))
        try:
            await self._send(_mixed(Random(number), round_.early, round_.relationships))
            await self._send(round_.orders)
            await until(f"round {number} to be committed", self._is_committed, seconds=ROUND_BOUND)
            wanted = self.expected.by_round[number]
            await until(
                f"the outputs of round {number}: {dict(wanted)}", lambda: self._has_told(wanted), seconds=ROUND_BOUND
            )
            await killing
        except (AssertionError, TimeoutError) as why:
            self.troubles.append(f"{why or 'a kill had no moment to strike'}; there are {dict(self.collector.counts)}")
            return False
        finally:
            killing.cancel()
        return not self._ended_by_themselves()

    async def _send(self, records: Sequence[Record]) -> None:
        """Returns once Kafka has acknowledged all of them."""
        sent = []
        for record in records:
            topic = self.road.prefix + record.topic
            sent.append(
                await self.road.producer.send(
                    topic,
                    record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
            )
            self._ends[TopicPartition(topic, record.partition)] += 1
        for record, metadata in zip(records, await asyncio.gather(*sent), strict=True):
            assert metadata.offset == record.offset, "the topics are this run's alone"

    async def _is_committed(self) -> bool:
        """Whether the group has committed all that was sent."""
        if self._ended_by_themselves():
            raise AssertionError("a worker has ended by itself")
        places = [
            TopicPartition(self.road.prefix + topic, partition)
            for topic in INPUT_TOPICS
            for partition in range(PARTITIONS)
        ]
        try:
            committed = await self.admin.list_consumer_group_offsets(self.road.group, partitions=places)
        except KafkaError as why:
            if not why.retriable:
                raise
            return False
        done = {place: of.offset for place, of in committed.items()}
        return all(done.get(place, 0) >= self._ends[place] for place in places)

    async def _has_told(self, wanted: Counter[str]) -> bool:
        if self.collector.failed():
            raise AssertionError("the reader of the outputs has stopped")
        return all(self.collector.counts[topic] >= count for topic, count in wanted.items())

    async def _kill_in(self, number: int) -> None:
        """Where the round is one of those: SIGKILL once part of its outputs is there, and a new worker."""
        if number not in _KILLED_IN[: self.kills]:
            return
        turn = _KILLED_IN.index(number)
        topic = (ENRICHED, EVENTS)[turn % 2]
        before = self.expected.by_round[number - 1][topic]
        after = self.expected.by_round[number][topic]
        threshold = before + int((after - before) * Random(self.expected.plan.seed + number).uniform(0.02, 0.5))
        await asyncio.wait_for(self.collector.reached(topic, threshold), ROUND_BOUND)
        victim = [worker for worker in self.road.workers if worker.returncode is None][-1]
        victim.kill()
        await victim.wait()
        self.killed.append(f"round {number}, at {self.collector.counts[topic] - before} of {after - before} {topic}")
        await self.road.start()

    def _ended_by_themselves(self) -> bool:
        ended = [worker for worker in self.road.workers if worker.returncode is not None]
        return len(ended) > len(self.killed)

    async def _stop(self) -> None:
        """SIGTERM to all; then nothing more can come, and all that was written is read."""
        if self._ended_by_themselves():
            codes = [worker.returncode for worker in self.road.workers]
            self.troubles.append(f"a worker ended by itself: exit codes {codes}")
        try:
            codes = await self.road.stop()
            if any(codes):
                self.troubles.append(f"exit codes after SIGTERM: {codes}")
        except TimeoutError:
            self.troubles.append("a worker did not end within 10 s of SIGTERM")
        await self.collector.mark_ends(self.road.producer)

        async def read() -> bool:
            return self.collector.has_seen_ends()

        await until("all transactions to be decided", read, seconds=ROUND_BOUND)


def _mixed(rng: Random, early: Sequence[Record], relationships: Sequence[Record]) -> list[Record]:
    """Both streams at once, each in its order."""
    turns = [0] * len(early) + [1] * len(relationships)
    rng.shuffle(turns)
    rest = (iter(early), iter(relationships))
    return [next(rest[turn]) for turn in turns]
