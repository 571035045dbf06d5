"""Relationships: every request and decision is decided once, remembered, and told."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker import metrics
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, SetAside, dead_letters, read_all
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.kafka.lanes import Lane
from relationship_worker.messages.envelope import Reason
from relationship_worker.messages.incoming import ErasureInput
from relationship_worker.roads.breaker import Breaker
from relationship_worker.roads.deciding import Deciding, read_arrived
from relationship_worker.roads.desk import Arrived
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.running import StopLane, check_position
from relationship_worker.storage import inbox, personal_data, positions
from relationship_worker.storage.database import Tx, transaction
from relationship_worker.storage.positions import Tenure
from relationship_worker.traces import TRACES

log = structlog.get_logger()

BATCH_RECORDS = 500  # the round trips of a transaction are spread thin by then, and locks are held for some 50 ms
BATCH_BYTES = 12 * 1024 * 1024  # in memory: bounds the memory of a batch of large profiles


@dataclass(kw_only=True)
class RelationshipsRoad:
    """The careful lane of one partition of the two relationship topics."""

    lane: Lane
    kafka: Connection
    database: AsyncEngine
    deciding: Deciding
    bell: Bell
    breaker: Breaker
    tenure: Tenure | None = None

    @property
    def topic(self) -> str:
        """The contract's name of the topic."""
        return self.kafka.plain(self.lane.place.topic)

    async def open(self) -> None:
        """Fence the former owner; the truth about the position is in PostgreSQL."""
        await self.breaker.check()
        committed = await self.lane.committed()
        first, end = await self.lane.bounds()
        async with transaction(self.database) as tx:
            self.tenure, position = await positions.take_over(tx, self.topic, self.lane.place.partition, first=first)
            if committed is not None and committed > position:
                raise StopLane(
                    f"{self.topic}-{self.lane.place.partition}: the database is applied up to {position}, but the group "
                    f"has committed {committed}: it was restored to an earlier time, or is another one "
                    "(see the README, named stops)"
                )
            check_position(self.lane, position, first=first, end=end)
        if committed != position:
            await self.lane.commit(position)
        self.lane.start(position)

    async def run_once(self) -> int:
        """Decide what has piled up, in one PostgreSQL transaction with the position. Done again, it finds itself done."""
        batch = await self.lane.take(most=BATCH_RECORDS, most_bytes=BATCH_BYTES, or_when=self.lane.owes_commit)
        if batch is None:
            return 0
        since = time.time_ns()
        assert self.tenure is not None
        arrived, set_aside = read_all(self.lane, batch.records, self._read)
        told: Counter[str] = Counter()
        async with transaction(self.database) as tx:
            await positions.advance(tx, self.tenure, position=batch.next_position)
            if batch.records:
                told = await self._decide(tx, arrived, set_aside)
        self.bell.ring()
        await self.lane.commit(batch.next_position)
        if batch.records:
            TRACES.batch(
                self.topic,
                self.lane.place.partition,
                position=batch.next_position,
                count=len(batch.records),
                since_ns=since,
                inputs=(a.item.event.trace for a in arrived),
            )
            metrics.INPUTS.labels(self.topic).inc(len(batch.records))
            metrics.count_dead_letters(self.topic, [why.reason for _, why in set_aside])
            log.info(
                self.topic,
                partition=self.lane.place.partition,
                position=batch.next_position,
                inputs=len(batch.records),
                told=told,
                dead_letters=Counter(why.reason for _, why in set_aside),
            )
        await self.breaker.count(batch.records, set_aside)
        return len(batch.records)

    async def close(self) -> None:
        """Nothing is held open between batches."""

    def _read(self, record: FetchedRecord) -> Arrived:
        return read_arrived(self.kafka, record)

    async def _decide(self, tx: Tx, arrived: Sequence[Arrived], set_aside: SetAside) -> Counter[str]:
        """Decide and remember a batch; how many messages that makes, by topic."""
        now = datetime.now(UTC)
        failed = [record for record, why in set_aside if why.reason is Reason.PROCESSING_FAILED]
        erasing = any(isinstance(a.item, ErasureInput) for a in arrived)
        await personal_data.lock(tx, to_erase=erasing or bool(failed))
        for record in failed:  # alone in its batch: the lane goes record by record where the worker fails
            if not await self.deciding.hold_back(tx, record, now=now):
                set_aside[:] = [one for one in set_aside if one[0] is not record]
        new = await self._use_up(tx, arrived, set_aside, now=now)
        like = self.lane.place.partition
        return await self.deciding.decide(tx, new, like=like, now=now, beside=dead_letters(self.kafka, set_aside))

    async def _use_up(self, tx: Tx, arrived: Sequence[Arrived], set_aside: SetAside, *, now: datetime) -> list[Arrived]:
        """Those that are here for the first time; an event that was here with other data is a dead letter."""
        firsts: dict[bytes, Arrived] = {}
        for a in arrived:
            firsts.setdefault(a.key, a)
        before = await inbox.use_up(tx, {key: a.hash for key, a in firsts.items()}, now=now)
        for a in arrived:
            if a.hash != before.get(a.key, firsts[a.key].hash):
                set_aside.append((a.record, CONFLICT))
        return [a for key, a in firsts.items() if key not in before]
