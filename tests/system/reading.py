"""What the topics hold once all is quiet: inputs, and outputs by both isolation levels, beside what a reader saw live."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from model.records import DEAD_LETTERS, INPUT_TOPICS, OUTPUT_TOPICS, Record
from system.plan import PARTITIONS

END_OF_RUN = "end-of-run"  # a header of the records that close each partition
UNDECIDED_BOUND = 20.0  # seconds that a transaction left open may hide what lies behind it

Spot = tuple[str, int]
"""A topic, by its name in the contract, and a partition."""
Place = tuple[str, int, int]
"""A spot and an offset."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that can be known from outside. Nothing of it asks the worker or its database."""

    inputs: Sequence[Record]
    committed: Sequence[Record]  # outputs that a read_committed reader finds afterwards
    uncommitted: Sequence[Record]  # and a read_uncommitted one: aborted attempts too
    live: Sequence[Record]  # what a read_committed reader saw while it happened
    seen_at: Mapping[Place, datetime]  # when that one saw it
    undecided: Mapping[Spot, int]  # how many offsets lie behind a transaction that is still open
    lag: Mapping[Spot, int]  # how many inputs the group has not committed


async def read_back(
    bootstrap_servers: str,
    prefix: str,
    group: str,
    *,
    live: Sequence[Record],
    seen_at: Mapping[Place, datetime],
) -> Reading:
    """Read everything twice. Waits a bounded time for transactions that a killed worker has left open."""
    known = {record.place: record for record in live}
    inputs, outputs = _places(prefix, INPUT_TOPICS), _places(prefix, OUTPUT_TOPICS)
    async with _reader(bootstrap_servers, "read_uncommitted") as all_of_it:
        async with _reader(bootstrap_servers, "read_committed") as decided:
            ends = await all_of_it.ends([*inputs, *outputs])
            stable = await _decided_ends(decided, {place: ends[place] for place in outputs})
            committed = await decided.records(stable, prefix, known)
        uncommitted = await all_of_it.records({place: ends[place] for place in outputs}, prefix, known)
        came_in = await all_of_it.records({place: ends[place] for place in inputs}, prefix, {})
    undecided = {_spot(place, prefix): ends[place] - stable[place] for place in outputs if stable[place] < ends[place]}
    done = await _committed_positions(bootstrap_servers, group, inputs)
    lag = {_spot(place, prefix): ends[place] - done.get(place, 0) for place in inputs}
    return Reading(
        inputs=came_in,
        committed=committed,
        uncommitted=uncommitted,
        live=live,
        seen_at=seen_at,
        undecided=undecided,
        lag={spot: behind for spot, behind in lag.items() if behind > 0},
    )


def as_read(record: ConsumerRecord, prefix: str) -> Record:
    """A record by the contract's names; what a dead letter says of its origin, too."""
    topic = record.topic.removeprefix(prefix)
    headers = tuple(record.headers)
    if topic == DEAD_LETTERS:
        own = prefix.encode()
        headers = tuple(
            (name, value.removeprefix(own) if name == "deadletter-topic" and value else value)
            for name, value in headers
        )
    return Record(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=headers,
        at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


def is_end(record: ConsumerRecord) -> bool:
    """Whether a record only closes its partition."""
    return any(name == END_OF_RUN for name, _ in record.headers)


class _reader:
    """A consumer of no group, for as long as the block runs."""

    def __init__(self, bootstrap_servers: str, isolation_level: str) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            isolation_level=isolation_level,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    async def __aenter__(self) -> "_reader":
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def ends(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each partition ends for this isolation level."""
        return dict(await self._consumer.end_offsets(list(places)))

    async def records(
        self, ends: Mapping[TopicPartition, int], prefix: str, known: Mapping[Place, Record]
    ) -> list[Record]:
        """All records up to the ends. Those that are `known` are the same objects: a long run is held once."""
        self._consumer.assign(list(ends))
        found: list[Record] = []
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for some in (await self._consumer.getmany(timeout_ms=100)).values():
                for record in (as_read(one, prefix) for one in some if not is_end(one)):
                    same = known.get(record.place)
                    found.append(same if same == record else record)
        return found


async def _decided_ends(reader: _reader, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Up to where all transactions are decided, once that is everything, or the bound is over."""
    until = asyncio.get_running_loop().time() + UNDECIDED_BOUND
    while True:
        stable = await reader.ends(ends)
        if all(stable[place] >= end for place, end in ends.items()) or asyncio.get_running_loop().time() > until:
            return stable
        await asyncio.sleep(0.1)


async def _committed_positions(
    bootstrap_servers: str, group: str, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group, partitions=list(places))
    finally:
        await admin.close()
    return {place: of.offset for place, of in committed.items() if of.offset >= 0}


def _places(prefix: str, topics: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(prefix + topic, number) for topic in topics for number in range(PARTITIONS)]


def _spot(place: TopicPartition, prefix: str) -> Spot:
    return place.topic.removeprefix(prefix), place.partition
