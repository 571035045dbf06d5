"""Reads all that comes out, as a read_committed consumer of another team would."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from model.records import DEAD_LETTERS, OUTPUT_TOPICS, Record
from system.expectations import NOT_COUNTED
from system.plan import PARTITIONS
from system.reading import END_OF_RUN, Place, as_read, is_end


@dataclass
class Collector:
    """Keeps reading until it is closed; what it has seen so far can be waited for."""

    bootstrap_servers: str
    prefix: str
    records: list[Record] = field(default_factory=list)
    seen_at: dict[Place, datetime] = field(default_factory=dict)  # when each was read, by this machine's clock
    counts: Counter[str] = field(default_factory=Counter)
    not_counted: Counter[str] = field(default_factory=Counter)
    _awaited: dict[tuple[str, int], asyncio.Event] = field(default_factory=dict)
    _ended: set[TopicPartition] = field(default_factory=set)
    _reading: asyncio.Task[None] | None = None

    @property
    def places(self) -> list[TopicPartition]:
        """All partitions of all output topics."""
        return [TopicPartition(self.prefix + topic, number) for topic in OUTPUT_TOPICS for number in range(PARTITIONS)]

    async def open(self) -> None:
        """Begin to read, from the first record on."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        consumer.assign(self.places)
        self._reading = asyncio.create_task(self._read(consumer))

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    def failed(self) -> bool:
        """Whether the reader itself has stopped."""
        return self._reading is None or self._reading.done()

    async def reached(self, topic: str, count: int) -> None:
        """Return the moment at which so many records of a topic have been seen."""
        seen = self._awaited.setdefault((topic, count), asyncio.Event())
        if self.counts[topic] >= count:
            return
        await seen.wait()

    async def mark_ends(self, producer: AIOKafkaProducer) -> None:
        """Close each partition with a record that a reader sees once all transactions before it are decided."""
        sent = [
            await producer.send(place.topic, b"", partition=place.partition, headers=[(END_OF_RUN, b"")])
            for place in self.places
        ]
        await asyncio.gather(*sent)

    def has_seen_ends(self) -> bool:
        """Whether nothing more can come."""
        return len(self._ended) == len(self.places)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                for place, found in (await consumer.getmany(timeout_ms=1000)).items():
                    for record in found:
                        if is_end(record):
                            self._ended.add(place)
                        else:
                            self._take(as_read(record, self.prefix))
        finally:
            await consumer.stop()

    def _take(self, record: Record) -> None:
        self.records.append(record)
        self.seen_at[record.place] = datetime.now(UTC)
        self._count(record)

    def _count(self, record: Record) -> None:
        topic = record.topic
        if topic != DEAD_LETTERS and record.header("ce_type") in NOT_COUNTED:
            self.not_counted[str(record.header("ce_type"))] += 1
            return
        self.counts[topic] += 1
        if (topic, self.counts[topic]) in self._awaited:
            self._awaited[topic, self.counts[topic]].set()
