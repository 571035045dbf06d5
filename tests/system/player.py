"""Plays a plan on a real Kafka, with worker processes of which one is killed and replaced."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from model.records import INPUT_TOPICS, Record
from roads.driving import Road
from system.blows import Blow
from system.collector import Collector
from system.expectations import Expectations
from system.judge_corrections import CORRECTED
from system.plan import PARTITIONS, Round
from system.reading import Reading, read_back
from waiting import until

ROUND_BOUND = 90.0  # seconds in which a round is done, with a worker that has to be missed before others take over
END_BOUND = 10.0  # seconds in which a worker has to end that is asked to
PATIENT = 30.0  # seconds that orders wait for a partition whose worker was killed: none goes out not caught up


@dataclass(frozen=True, kw_only=True)
class Played:
    """What lies in the topics in the end, and what went wrong with the playing itself."""

    rounds: int  # how many were sent
    reading: Reading
    troubles: Sequence[str]
    struck: Sequence[str]


async def play(
    road: Road,
    expected: Expectations,
    blows: Sequence[Blow],
    *,
    workers: int,
    freshness_seconds: float = PATIENT,
) -> Played:
    """All rounds, one after the other; ends early where a round isn't done in time."""
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = f"{freshness_seconds:g}"
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await admin.start()
    await collector.open()
    try:
        return await _Player(road, expected, blows, admin, collector).play(workers)
    finally:
        await collector.close()
        await admin.close()


@dataclass
class _Player:
    road: Road
    expected: Expectations
    blows: Sequence[Blow]
    admin: AIOKafkaAdminClient
    collector: Collector
    troubles: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    _victims: list[asyncio.subprocess.Process] = field(default_factory=list)
    _striking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ends: Counter[TopicPartition] = field(default_factory=Counter)

    async def play(self, workers: int) -> Played:
        for _ in range(workers):
            await self.road.start()
        sent = 0
        for number, round_ in enumerate(self.expected.plan.rounds):
            sent += 1
            if not await self._round(number, round_):
                break
        await self._stop()
        reading = await read_back(
            self.road.stack.kafka_bootstrap_servers,
            self.road.prefix,
            self.road.group,
            live=self.collector.records,
            seen_at=self.collector.seen_at,
        )
        return Played(rounds=sent, reading=reading, troubles=tuple(self.troubles), struck=tuple(self.struck))

    async def _round(self, number: int, round_: Round) -> bool:
        """Whether the round was done in time."""
        striking = [asyncio.create_task(self._strike(blow)) for blow in self.blows if blow.round == number]
        try:
            await self._send(_mixed(Random(number), round_.early, round_.relationships))
            await self._send(round_.orders)
            await until(f"round {number} to be committed", self._is_committed, seconds=ROUND_BOUND)
            wanted = self.expected.by_round[number]
            await until(
                f"the outputs of round {number}: {dict(wanted)}", lambda: self._has_told(wanted), seconds=ROUND_BOUND
            )
            await until(f"the corrections of round {number}", self._has_corrected, seconds=ROUND_BOUND)
            await asyncio.gather(*striking)
        except (AssertionError, TimeoutError) as why:
            self.troubles.append(f"{why or 'a blow had no moment to strike'}; there are {dict(self.collector.counts)}")
            return False
        finally:
            for task in striking:
                task.cancel()
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

    async def _has_corrected(self) -> bool:
        """Whether all facts were followed up: the next round's race with none of these."""
        if self._ended_by_themselves():
            raise AssertionError("a worker has ended by itself")
        to_tell = await self.road.corrections_to_tell()
        return to_tell is not None and self.collector.not_counted[CORRECTED] >= to_tell

    async def _strike(self, blow: Blow) -> None:
        """End a worker amid a round's outputs, and start another one."""
        before = self.expected.by_round[blow.round - 1][blow.topic]
        due = self.expected.by_round[blow.round][blow.topic] - before
        await asyncio.wait_for(self.collector.reached(blow.topic, before + int(due * blow.share)), ROUND_BOUND)
        async with self._striking:  # whoever is struck next finds the last one replaced
            live = [worker for worker in self.road.workers if worker not in self._victims]
            victim = live[0 if blow.gentle else -1]  # SIGTERM means something to those that run, not to a newcomer
            self._victims.append(victim)
            if blow.gentle:
                victim.terminate()
                await asyncio.wait_for(victim.wait(), END_BOUND)
                self._judge_end(victim)
            else:
                victim.kill()
                await victim.wait()
            how = "SIGTERM" if blow.gentle else "SIGKILL"
            there = self.collector.counts[blow.topic] - before
            self.struck.append(f"{how} in round {blow.round}, at {there} of {due} {blow.topic}")
            await self.road.start()

    def _ended_by_themselves(self) -> bool:
        return any(worker.returncode is not None for worker in self.road.workers if worker not in self._victims)

    def _judge_end(self, worker: asyncio.subprocess.Process) -> None:
        """A worker that is asked to end exits with 0; one that had not said a word yet may end as any program does."""
        log = self.road.logs[self.road.workers.index(worker)]
        had_begun = log.stat().st_size > 0
        if worker.returncode != 0 and (had_begun or worker.returncode != -signal.SIGTERM):
            self.troubles.append(f"exit code {worker.returncode}, see {log.name}")

    async def _stop(self) -> None:
        """SIGTERM to all; then nothing more can come, and all that was written is read."""
        if self._ended_by_themselves():
            self.troubles.append("a worker ended by itself")
        try:
            await self.road.stop()
        except TimeoutError:
            self.troubles.append("a worker did not end within 10 s of SIGTERM")
        for worker in self.road.workers:
            if worker not in self._victims:
                self._judge_end(worker)
        await self.collector.mark_ends(self.road.producer)

        async def read() -> bool:
            return self.collector.has_seen_ends()

        with suppress(AssertionError):  # what is still open by then is the judge's to name
            await until("all transactions to be decided", read, seconds=ROUND_BOUND)


def _mixed(rng: Random, early: Sequence[Record], relationships: Sequence[Record]) -> list[Record]:
    """Both streams at once, each in its order."""
    turns = [0] * len(early) + [1] * len(relationships)
    rng.shuffle(turns)
    rest = (iter(early), iter(relationships))
    return [next(rest[turn]) for turn in turns]
