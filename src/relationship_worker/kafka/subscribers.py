"""The subscription: one consumer for all of this worker's roads, its partitions, and who works on each."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import TopicAuthorizationFailedError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER
from faststream.middlewares import BaseMiddleware
from faststream.security import BaseSecurity, SASLOAuthBearer, SASLScram512

from relationship_worker.kafka.access import OAUTHBEARER, SCRAM, Access
from relationship_worker.kafka.connection import REQUEST_TIMEOUT_MS, Connection
from relationship_worker.kafka.fetched_records import MOST_OF_ALL_PARTITIONS, Fetched, is_skipping, read_our_way
from relationship_worker.kafka.lanes import MOST_IN_A_LANE, Lane

log = structlog.get_logger()

POLL_MS = 10  # a fetch that finds nothing waits that long, and FastStream as long again
SESSION_TIMEOUT_MS = 6_000  # the broker's least by default: how soon a killed worker's partitions go to another
HEARTBEAT_MS = 2_000  # a third of the session, as Kafka advises
REBALANCE_TIMEOUT_MS = 30_000  # how long the group waits for members that finish what is in hand
HAND_OVER_SECONDS = 8  # what a lane may take to finish its batch; then it is cut off, and fencing protects the rest
FETCH_WAIT_MS = 50
FETCH_BYTES = 16 * 1024 * 1024  # a fetch over all partitions

_PLACE = attrgetter("place")

Work = Callable[[Lane], Awaitable[None]]
"""What is done on a lane until it closes. Never raises."""


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Starts a lane for every partition that this worker is given, and ends it before the partition goes elsewhere."""

    def __init__(self, broker: KafkaBroker, kafka: Connection, work: dict[str, Work]) -> None:
        """`work`: what to do on each topic (full name)."""
        self._kafka = kafka
        self._lanes: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._work = work
        self._ended: str | None = None
        self._fetching: AIOKafkaConsumer | None = None
        self.assigned = asyncio.Event()
        broker.add_middleware(lambda records, *, context: _Noticed(records, context=context, lost=self._lost))
        self._subscriber = broker.subscriber(
            *work,
            batch=True,
            group_id=kafka.group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            batch_timeout_ms=POLL_MS,
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            listener=self,
            parser=_as_it_is,
            decoder=_undecoded,
        )
        self._subscriber(self._deliver)

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The consumer underneath; there once the broker has started."""
        consumer = self._subscriber.consumer
        assert consumer is not None, "the broker has not started"
        return consumer

    @property
    def lanes(self) -> Collection[Lane]:
        """The partitions in hand."""
        return [lane for lane, _ in self._lanes.values()]

    def broken(self) -> str | None:
        """What has died in silence underneath, if anything: a consumer whose loops have ended hangs for ever."""
        consumer = self._subscriber.consumer
        if consumer is None:
            return None
        loops = {
            "the fetch loop": getattr(consumer._fetcher, "_fetch_task", None),
            "the group's loop": getattr(consumer._coordinator, "_coordination_task", None),
        }
        return self._ended or next((name for name, task in loops.items() if task is not None and task.done()), None)

    async def _deliver(self, records: Sequence[Fetched]) -> None:
        """Hand fetched records to their lanes. Nothing is awaited between the fetch and here: see Lane.start."""
        for place, some in groupby(records, key=_PLACE):
            if place in self._lanes:
                self._lanes[place][0].deliver(list(some))

    def _lost(self, records: Sequence[Fetched]) -> None:
        """FastStream has swallowed an error on the way to `_deliver`: these records are to be fetched again."""
        log.error("records were not delivered, fetching them again", records=len(records))
        for place in {record.place for record in records}:
            if place in self._lanes:
                self._lanes[place][0].lost_delivery()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Called before a rebalance: every lane finishes what is in hand."""
        await self._end(revoked)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called after a rebalance: a lane for every partition. It reads the truth about its position by itself."""
        self._fetch_our_way()
        await self._end([place for place in assigned if place in self._lanes])
        share = min(MOST_IN_A_LANE, MOST_OF_ALL_PARTITIONS // max(len(assigned), 1))
        for place in sorted(assigned):
            lane = Lane(self.consumer, place, self._kafka.plain(place.topic), most_waiting=share)
            self._lanes[place] = lane, asyncio.create_task(self._run(lane), name=f"{place.topic}-{place.partition}")
        log.info("partitions assigned", partitions=[f"{p.topic}-{p.partition}" for p in sorted(assigned)])
        self.assigned.set()

    def _fetch_our_way(self) -> None:
        """Where Kafka does not let this user read a topic, FastStream would log it and sleep for five seconds, amid the
        records of all other topics: here the topic's lanes are told, and the others go on. And where nothing can be had yet
        but a large record is being skipped, client and FastStream would rest after each piece of it."""
        consumer = self.consumer
        if consumer is self._fetching:
            return
        self._fetching = consumer
        fetch = consumer.getmany

        async def fetch_or_notice(*places: TopicPartition, **options: Any) -> dict[TopicPartition, Any]:
            try:
                found = await fetch(*places, **options)
                while not found and is_skipping(consumer):
                    await asyncio.sleep(0)  # the others have their turn
                    found = await fetch(*places, **options | {"timeout_ms": 0})
                return dict(found)
            except TopicAuthorizationFailedError as why:
                for lane in self.lanes:
                    if lane.place.topic in why.args:
                        lane.refused(why)
                return {}

        consumer.getmany = fetch_or_notice

    def look_at_topics_again(self) -> None:
        """A topic that this user was not let see is not looked for again for five minutes; it may be let by now."""
        if self._subscriber.consumer is not None:
            self._subscriber.consumer._client.force_metadata_update()

    async def close(self) -> None:
        """Finish what is in hand on all lanes."""
        await self._end(list(self._lanes))

    async def _run(self, lane: Lane) -> None:
        try:
            await self._work[lane.place.topic](lane)
        finally:
            if not lane.closing:
                self._ended = f"the lane of {lane.place.topic}-{lane.place.partition}"

    async def _end(self, places: Collection[TopicPartition]) -> None:
        ending = [self._lanes.pop(place) for place in places if place in self._lanes]
        for lane, _ in ending:
            lane.close()
        tasks = [task for _, task in ending]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=HAND_OVER_SECONDS)
        for task in late:
            log.warning("cut off in the middle of a batch", lane=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=HAND_OVER_SECONDS)


def open_broker(kafka: Connection) -> KafkaBroker:
    """A broker that decodes nothing, logs no message and makes no topic."""
    read_our_way()
    return KafkaBroker(
        kafka.bootstrap_servers,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        security=_security(kafka.access),
        sasl_oauth_token_provider=kafka.access.tokens,
        allow_auto_create_topics=False,
        apply_types=False,
        logger=None,
        graceful_timeout=None,
    )


def _security(access: Access) -> BaseSecurity:
    """FastStream's words for it."""
    tls: dict[str, Any] = {"ssl_context": access.tls, "use_ssl": access.is_encrypted}
    if access.mechanism == SCRAM:
        return SASLScram512(access.username, access.password, **tls)  # type: ignore[arg-type]  # hands both on as they are
    if access.mechanism == OAUTHBEARER:
        return SASLOAuthBearer(**tls)
    return BaseSecurity(**tls)


async def _as_it_is(records: Any) -> KafkaMessage:
    """FastStream's message around the records: its own parser would decode headers, which may be any bytes."""
    return KafkaMessage(raw_message=records, body=b"", headers={}, consumer=FAKE_CONSUMER)


async def _undecoded(message: KafkaMessage) -> Any:
    return message.raw_message


class _Noticed(BaseMiddleware[Any, Any]):
    """FastStream logs what fails around a handler, and goes on with the next fetch: here it is noticed."""

    def __init__(self, records: Any, /, *, context: Any, lost: Callable[[Any], None]) -> None:
        super().__init__(records, context=context)
        self._lost = lost

    async def after_processed(self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None) -> bool | None:
        if exc_type is not None:
            self._lost(self.msg)
        return False


class Ends:
    """The ends of the relationship topics: where every decision that is published by now lies before."""

    def __init__(self, kafka: Connection, places: Sequence[TopicPartition]) -> None:
        self._kafka = kafka
        self._places = places
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        """Over a connection of its own: on the subscription's, the broker would answer a waiting fetch first."""
        consumer = AIOKafkaConsumer(
            **self._kafka.client_options(), isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        self._consumer = consumer

    async def close(self) -> None:
        """Leave the broker."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def of(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends of other partitions, likewise."""
        assert self._consumer is not None, "open it first"
        return dict(await self._consumer.end_offsets(places))

    async def now(self) -> dict[TopicPartition, int]:
        """Asks the broker, each time: half a millisecond. Transactions that are still open don't count."""
        assert self._consumer is not None, "open it first"
        return dict(await self._consumer.end_offsets(self._places))
