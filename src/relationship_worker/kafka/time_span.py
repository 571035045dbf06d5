"""The records of a topic from a span of time, for a look back that leaves no trace: no group, nothing committed."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.fetched_records import FetchedRecord, Unreadable, read_our_way
from relationship_worker.kafka.topics import partition_counts

POLL_MS = 200
PATIENCE = 30.0  # seconds without a record before a look back gives up: Kafka is away
FETCH_BYTES = 4 * 1024 * 1024  # of a partition; bounds what is in memory, whatever the span


class NoProgress(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """Kafka has stopped answering."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """From `since` on, before `until` (None: to the end, as it is when the look back begins). By the records' timestamps."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Records of one partition in order, and how much of all partitions lies behind them by now."""

    records: Sequence[FetchedRecord]
    done: int
    total: int  # offsets, transaction markers included


async def records_of(kafka: Connection, topic: str, span: Span) -> AsyncGenerator[Piece]:
    """The span's records, each once. `topic`: its name in the contract. Raises KafkaError, TopicsMissing."""
    partitions = (await partition_counts(kafka, topic))[topic]
    read_our_way()
    consumer = AIOKafkaConsumer(
        **kafka.client_options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        auto_offset_reset="none",  # records that are deleted meanwhile are missed loudly
    )
    await consumer.start()
    try:
        bounds = await _bounds(consumer, [TopicPartition(kafka.topic(topic), n) for n in range(partitions)], span)
        total = sum(end - start for start, end in bounds.values())
        consumer.assign(list(bounds))
        for place, (start, _) in bounds.items():
            consumer.seek(place, start)
        left = dict(bounds)
        moved = monotonic()
        while left:
            if monotonic() - moved > PATIENCE:
                raise NoProgress(f"nothing came for {PATIENCE:g} s")
            for place, records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
                if isinstance(records[-1], Unreadable):
                    raise NoProgress(
                        f"what lies at {records[-1].offset} of {place.topic}-{place.partition} can't be read"
                    )
                end = left[place][1]
                done = total - sum([end - min(await consumer.position(p), end) for p, (_, end) in left.items()])
                yield Piece(records=[r for r in records if r.offset < end], done=done, total=total)
                moved = monotonic()
            left = {place: ends for place, ends in left.items() if await consumer.position(place) < ends[1]}
            consumer.pause(*(set(bounds) - set(left)))
    finally:
        await consumer.stop()


async def _bounds(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], span: Span
) -> dict[TopicPartition, tuple[int, int]]:
    ends = await consumer.end_offsets(places)
    starts = await consumer.offsets_for_times(dict.fromkeys(places, _milliseconds(span.since)))
    stops = await consumer.offsets_for_times(dict.fromkeys(places, _milliseconds(span.until))) if span.until else {}
    bounds = {}
    for place in places:
        start, stop = starts[place], stops.get(place)
        if start is not None:
            bounds[place] = (start.offset, min(stop.offset, ends[place]) if stop else ends[place])
    return {place: (start, end) for place, (start, end) in bounds.items() if start < end}


def _milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)
