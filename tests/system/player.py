"""Plays a plan on a real Kafka, with worker processes of which one is killed and replaced."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from model.records import Record
from relationship_worker.storage.database import ConnectionLost
from roads.driving import Road
from system.blows import Blow
from system.collector import Collector
from system.crashes import Crashes
from system.expectations import Expectations
from system.judge_corrections import CORRECTED
from system.plan import Round
from system.positions import Positions
from system.reading import Reading, read_back
from system.shaken_stack import ShakenStack
from system.striking import Striker, Struck
from system.workers import Workers
from waiting import until

ROUND_BOUND = 300.0  # seconds; beyond it something hangs, however busy the machine
PATIENT = 30.0  # seconds that orders wait for a partition whose worker was killed: none goes out not caught up
PORTION_SECONDS = 0.05  # between two portions of what trickles in


@dataclass(frozen=True, kw_only=True)
class Played:
    """What lies in the topics in the end, and what went wrong with the playing itself."""

    rounds: int  # how many were sent
    reading: Reading
    troubles: Sequence[str]
    struck: Sequence[Struck]
    counts: Counter[str]  # what the faults were made of
    ended: Sequence[str]  # workers that ended by themselves, and why
    most_memory: int  # bytes that a worker held at its height


async def play(
    road: Road,
    expected: Expectations,
    blows: Sequence[Blow],
    *,
    workers: int,
    freshness_seconds: float = PATIENT,
    shaken: ShakenStack | None = None,
    blow_seconds: float = 0.0,
    crashes: Crashes | None = None,
    module: str = "",
) -> Played:
    """All rounds, one after the other; ends early where a round isn't done in time.

    `shaken`: whose servers and ways may be struck too. `blow_seconds`: how long inputs trickle in for each of a round's
    blows, as long as these last, so that they have something to strike; without it all are sent at once.
    `crashes`: where workers end amid their work. `module`: of the tests, that starts them in another way.
    """
    road.settings["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"] = f"{freshness_seconds:g}"
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka_bootstrap_servers)
    collector = Collector(road.stack.kafka_bootstrap_servers, road.prefix)
    await admin.start()
    await collector.open()
    positions = Positions(admin, road)
    crew = Workers(road, shaken.ways if shaken else (), crashes, module)
    striker = Striker(crew, positions, Random(expected.plan.seed), shaken)
    try:
        player = _Player(road, expected, blows, blow_seconds, collector, positions, crew, striker)
        return await player.play(workers)
    finally:
        await collector.close()
        await admin.close()


@dataclass
class _Player:
    road: Road
    expected: Expectations
    blows: Sequence[Blow]
    blow_seconds: float
    collector: Collector
    positions: Positions
    workers: Workers
    striker: Striker
    troubles: list[str] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)

    async def play(self, workers: int) -> Played:
        for _ in range(workers):
            await self.workers.start()
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
        return Played(
            rounds=sent,
            reading=reading,
            troubles=(*self.troubles, *self.workers.troubles),
            struck=tuple(self.struck),
            counts=self.striker.counts,
            ended=tuple(self.workers.ended),
            most_memory=self.workers.most_memory,
        )

    async def _round(self, number: int, round_: Round) -> bool:
        """Whether the round was done in time."""
        if self.workers.crashes is not None:
            self.workers.crashes.begin_round()
            for worker in self.workers.live:
                await self.workers.kill(worker)
                await self.workers.start(instead_of=worker)
        blows = [blow for blow in self.blows if blow.round == number]
        striking = [asyncio.create_task(self._strike(blow)) for blow in blows]
        trickling = self.blow_seconds * len(blows)
        beside = _mixed(Random(number), round_.early, round_.relationships)
        total = len(beside) + len(round_.orders)
        try:
            portion = max(1, round(total * PORTION_SECONDS / trickling)) if trickling else total
            await self._send(beside, portion, striking)
            await self._send(round_.orders, portion, striking)
            await asyncio.gather(*striking)
            await until(f"round {number} to be committed", self._is_committed, seconds=ROUND_BOUND)
            wanted = self.expected.by_round[number]
            await until(
                f"the outputs of round {number}: {dict(wanted)}", lambda: self._has_told(wanted), seconds=ROUND_BOUND
            )
            await until(f"the corrections of round {number}", self._has_corrected, seconds=ROUND_BOUND)
        except (AssertionError, TimeoutError) as why:
            self.troubles.append(f"{str(why) or type(why).__name__}; there are {dict(self.collector.counts)}")
            return False
        finally:
            for task in striking:
                task.cancel()
        return not await self._workers_have_ended()

    async def _send(self, records: Sequence[Record], portion: int, striking: Sequence[asyncio.Task[None]]) -> None:
        """In portions, as long as something strikes. Returns once Kafka has acknowledged all of them."""
        sent = []
        for number, record in enumerate(records, start=1):
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
            self.positions.sent[TopicPartition(topic, record.partition)] += 1
            if number % portion == 0 and not all(task.done() for task in striking):
                await asyncio.sleep(PORTION_SECONDS)
        for record, metadata in zip(records, await asyncio.gather(*sent), strict=True):
            assert metadata.offset == record.offset, "the topics are this run's alone"

    async def _is_committed(self) -> bool:
        """Whether the group has committed all that was sent."""
        await self._look_at_workers()
        return await self.positions.all_done()

    async def _look_at_workers(self) -> None:
        """Where faults are about, a worker that ends by itself is started again."""
        if self.striker.shaken is not None:
            await self.workers.start_again()
        elif self.workers.ended_by_themselves():
            raise AssertionError("a worker has ended by itself")

    async def _workers_have_ended(self) -> bool:
        if self.striker.shaken is not None:
            await self.workers.start_again()
        return bool(self.workers.ended_by_themselves())

    async def _has_told(self, wanted: Counter[str]) -> bool:
        await self._look_at_workers()
        if self.collector.failed():
            raise AssertionError("the reader of the outputs has stopped")
        return all(self.collector.counts[topic] >= count for topic, count in wanted.items())

    async def _has_corrected(self) -> bool:
        """Whether all facts were followed up: the next round's race with none of these."""
        await self._look_at_workers()
        try:
            to_tell = await self.road.corrections_to_tell()
        except ConnectionLost:  # a server that has just started, on a busy machine
            return False
        return to_tell is not None and self.collector.not_counted[CORRECTED] >= to_tell

    async def _strike(self, blow: Blow) -> None:
        """Amid a round's outputs."""
        before = self.expected.by_round[blow.round - 1][blow.topic]
        due = self.expected.by_round[blow.round][blow.topic] - before
        await asyncio.wait_for(self.collector.reached(blow.topic, before + int(due * blow.share)), ROUND_BOUND)
        self.struck.append(await self.striker.strike(blow.fault, blow.round))

    async def _stop(self) -> None:
        """SIGTERM to all; then nothing more can come, and all that was written is read."""
        if await self._workers_have_ended():
            self.troubles.append("a worker ended by itself")
        await self.workers.stop_all()
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
