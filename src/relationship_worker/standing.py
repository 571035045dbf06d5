"""What stands where: the partitions in hand, and what waits in the database. Looked at when somebody asks."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.kafka.lanes import Lane
from relationship_worker.kafka.subscribers import Ends, Subscription
from relationship_worker.roads.running import describe
from relationship_worker.storage import standing
from relationship_worker.storage.database import transaction
from relationship_worker.storage.standing import OpenRequests, Waiting

log = structlog.get_logger()

KEPT_SECONDS = 2.0  # a survey is good for that long: probes and scrapes of any number cost the servers no more
SLOW_KEPT_SECONDS = 60.0  # so long what looks at every open request
ASK_SECONDS = 2.0  # a server that answers later is as good as away


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """An input partition in this worker's hands. None: not known, because its lane is not open or Kafka does not answer."""

    topic: str
    partition: int
    position: int | None
    end: int | None
    lag: int | None
    oldest_undecided_seconds: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A survey. `stopped`: lanes that stand at a named stop, with the reason."""

    kafka_answers: bool
    partitions: Sequence[Partition]
    relays: Sequence[int]
    stopped: dict[str, str]
    waiting: Waiting | None
    open_requests: Sequence[OpenRequests] | None
    parked: int | None


class Surveyor:
    """Looks, at most every so often; whoever asks meanwhile is given the last survey."""

    def __init__(self, subscription: Subscription, ends: Ends, database: AsyncEngine, outbox_topic: str) -> None:
        self._subscription = subscription
        self._ends = ends
        self._database = database
        self._outbox_topic = outbox_topic
        self._one_at_a_time = asyncio.Lock()
        self._last: tuple[float, Standing] | None = None
        self._slow: tuple[float, list[OpenRequests], int] | None = None
        self._behind_since: dict[TopicPartition, tuple[int | None, float]] = {}

    async def look(self) -> Standing:
        """Never raises: a server that is away is part of what is seen."""
        async with self._one_at_a_time:
            if self._last is None or time.monotonic() - self._last[0] > KEPT_SECONDS:
                seen = await self._look()
                self._last = time.monotonic(), seen
            return self._last[1]

    async def _look(self) -> Standing:
        lanes = list(self._subscription.lanes)
        inputs = [lane for lane in lanes if lane.place.topic != self._outbox_topic]
        ends, waiting = await asyncio.gather(
            self._ask_kafka([lane.place for lane in inputs]), self._ask_database(), return_exceptions=False
        )
        slow = self._slow if waiting is not None else None
        return Standing(
            kafka_answers=ends is not None,
            partitions=[self._partition(lane, (ends or {}).get(lane.place)) for lane in inputs],
            relays=sorted(lane.place.partition for lane in lanes if lane.place.topic == self._outbox_topic),
            stopped={f"{lane.topic}-{lane.place.partition}": lane.stopped for lane in lanes if lane.stopped},
            waiting=waiting,
            open_requests=slow[1] if slow else None,
            parked=slow[2] if slow else None,
        )

    async def _ask_kafka(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._ends.of(places) if places else await self._ends.now()
        except Exception as why:
            log.warning("Kafka does not answer", error=describe(why))
            return None

    async def _ask_database(self) -> Waiting | None:
        try:
            async with asyncio.timeout(ASK_SECONDS), transaction(self._database) as tx:
                waiting = await standing.waiting(tx)
                if self._slow is None or time.monotonic() - self._slow[0] > SLOW_KEPT_SECONDS:
                    self._slow = time.monotonic(), await standing.open_requests(tx), await standing.parked(tx)
                return waiting
        except Exception as why:
            log.warning("PostgreSQL does not answer", error=describe(why))
            return None

    def _partition(self, lane: Lane, end: int | None) -> Partition:
        done = lane.done
        lag = None if done is None or end is None else max(0, end - done)
        if lag == 0:
            self._behind_since.pop(lane.place, None)
        return Partition(
            topic=lane.topic,
            partition=lane.place.partition,
            position=done,
            end=end,
            lag=lag,
            oldest_undecided_seconds=0.0 if lag == 0 else self._age(lane, done),
        )

    def _age(self, lane: Lane, done: int | None) -> float:
        """Of the oldest record that is not done: by its timestamp where it was fetched, else for how long the lane is seen
        not to move."""
        position, since = self._behind_since.get(lane.place, (None, 0.0))
        if not since or position != done:
            since = time.monotonic()
            self._behind_since[lane.place] = done, since
        oldest = lane.oldest
        if oldest is None:
            return time.monotonic() - since
        return max(0.0, datetime.now(UTC).timestamp() - oldest / 1000)
