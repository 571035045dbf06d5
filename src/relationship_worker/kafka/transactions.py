"""One Kafka transaction at a time: messages and the position that they answer for, all of it or nothing."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.conn import CloseReason
from aiokafka.errors import InvalidProducerEpoch, KafkaError, NodeNotReadyError, ProducerFenced
from aiokafka.producer import sender
from aiokafka.protocol.transaction import EndTxnRequest, TxnOffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata

from relationship_worker import metrics
from relationship_worker.kafka import lost_markers
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.group_positions import committed_now
from relationship_worker.kafka.produce_requests import send_our_way
from relationship_worker.kafka.record_batch import batches, record
from relationship_worker.messages.outgoing import MAX_MESSAGE_BYTES, OUTPUT_TOPICS, Message

log = structlog.get_logger()

BATCH_BYTES = 4 * 1024 * 1024  # one produce request; smaller ones cost a round trip each, one after the other
ALONE = 0  # bytes beside a record: other teams' topics may take no larger batch than their largest record
TRANSACTION_TIMEOUT_MS = 15_000  # what a dead worker's open transaction may hide; a transaction takes some 10 ms
ENDING_TIMEOUT_MS = 45_001  # of a transaction that ends as committed what Kafka left open, and of no other
IDLE_MS = 180_000  # before it, no load balancer hangs up, which would look like a Kafka that is away
OLD_SECONDS = 5.0  # a third of that: what is begun may take as long again to be told, and more
TIMEOUT = 20  # seconds for any step; longer than the broker lets a transaction live, so nothing is waited for in vain
CLOSE_TIMEOUT = 2  # seconds; a producer in doubt may never end by itself
RETRY_BACKOFF_MS = 20  # the client's pause while a coordinator moves
ONE_AFTER_ANOTHER_SECONDS = (
    0.002  # its pause while the broker still ends the transaction before; by itself it takes 20 ms
)


Place = tuple[str, int]
"""A topic (its name in the contract) and a partition of it."""


sender.BACKOFF_OVERRIDE = ONE_AFTER_ANOTHER_SECONDS


class Doubt(Exception):
    """Whether the transaction was committed is not certain. The producer is thrown away: open a new one, which fences the
    old, read the position that is committed, and do again what lies behind it."""


class NoAnswer(Exception):
    """A request may have arrived, or arrive later. Not one of the client's own errors, after which it sends again."""


class FencedOff(Doubt):
    """Another worker has opened the same transactional id: the partition is its now."""


class Transactions:
    """A transactional producer under an id that its partition alone uses: whoever opens it fences the former owner."""

    def __init__(self, kafka: Connection, place: TopicPartition, *, writes_to: Collection[str]) -> None:
        """`place`: the partition whose records, or whose lane of the outbox, it answers for. `writes_to`: topics by their
        names in the contract."""
        self._kafka = kafka
        self._topic = kafka.plain(place.topic)
        self._id = f"{kafka.group}.{place.topic}.{place.partition}"
        self._place = place
        self._writes_to = [kafka.topic(name) for name in writes_to]
        self._producer: AIOKafkaProducer | None = None
        self._moving: asyncio.Task[None] | None = None
        self._began = 0.0
        self._cut_off: AIOKafkaProducer | None = None  # a producer that has lost a connection

    async def open(self) -> None:
        """A new producer; what the former one left open is aborted, and what Kafka left open is ended as it was decided. What
        is committed may be read after this. Raises Doubt, KafkaError, TimeoutError."""
        await self.close()
        send_our_way()
        while True:
            producer = self._new_producer()
            try:
                async with asyncio.timeout(TIMEOUT):
                    is_clean = await self._start(producer)
            except BaseException as why:
                await _throw_away(producer)
                if isinstance(why, NoAnswer):
                    raise Doubt(f"what Kafka left open of {self._id} may not be ended") from why
                raise
            if is_clean:
                self._producer, self._cut_off = producer, None
                return
            await _throw_away(producer)

    def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._kafka.client_options(),
            transactional_id=self._id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES + BATCH_BYTES,
            acks="all",
            retry_backoff_ms=RETRY_BACKOFF_MS,
            connections_max_idle_ms=IDLE_MS,
        )
        client = producer.client
        client.send = _never_twice(client.send)
        closed = client._on_connection_closed

        def notice(connection: Any, reason: CloseReason) -> None:
            if reason is not CloseReason.IDLE_DROP:
                self._cut_off = producer
            closed(connection, reason)

        client._on_connection_closed = notice
        return producer

    async def _start(self, producer: AIOKafkaProducer) -> bool:
        """Whether nothing was left open. What was is ended, which is done when the id is opened once more: then look again."""
        client = producer.client
        await client.bootstrap()
        last = await lost_markers.last(client, self._id)
        if last.is_going_on and last.timeout_ms == ENDING_TIMEOUT_MS:  # whoever was about to end it did not come to it
            await lost_markers.end(client, self._id, last.producer, commit=True)
            return False
        commit = last.was_committed or (last.is_forgotten and last.timeout_ms in _after_commit())
        producer._txn_manager.transaction_timeout_ms = TRANSACTION_TIMEOUT_MS + commit
        await producer.start()
        by = producer._txn_manager.producer_id, producer._txn_manager.producer_epoch
        left = await lost_markers.still_open(client, by[0], self._writes_to)
        if not left and not await lost_markers.is_position_open(client, self._kafka.group, self._place):
            return True
        places = [f"{place.topic}-{place.partition}" for place in left]
        log.error("ending what Kafka left open", transactional_id=self._id, partitions=places, committed=commit)
        if commit:
            by = await lost_markers.open_anew(client, self._id, ENDING_TIMEOUT_MS)
        await lost_markers.begin_to_end(client, self._id, by, left, self._kafka.group)
        await lost_markers.end(client, self._id, by, commit=commit)
        return False

    async def close(self) -> None:
        """Throw the producer away. A transaction that is still open stays so until the next `open` or its time-out."""
        producer, self._producer = self._producer, None
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.cancel()
            await asyncio.wait([moving])
            with contextlib.suppress(BaseException):
                moving.exception()
        if producer is not None:
            await _throw_away(producer)

    async def noted(self, place: TopicPartition) -> str:
        """The note that was committed with the group's position on a partition; empty where there is none.

        Kafka keeps it as the position's metadata. Whoever sets a position by hand removes it.
        """
        committed = await committed_now(self._kafka, self._kafka.group, place)
        return (committed.metadata or "") if committed is not None else ""

    async def begin(
        self, positions: Mapping[TopicPartition, int], *, note: str = "", places: Collection[Place] = ()
    ) -> None:
        """Begin before the messages are ready: the broker takes in the new positions, and the partitions that messages will
        go to, while these are made. Raises Doubt, as `tell`, which follows; or else `open`."""
        assert self._producer is not None, "open it first"
        await self.check()
        self._began = time.perf_counter()
        try:
            await asyncio.wait_for(self._producer.begin_transaction(), TIMEOUT)
        except Exception as why:
            await self.close()
            raise Doubt(f"a transaction of {self._id} could not begin ({type(why).__name__})") from why
        for topic, partition in places:
            place = TopicPartition(self._kafka.topic(topic), partition)
            self._producer._txn_manager.maybe_add_partition_to_txn(place)
        offsets = {place: OffsetAndMetadata(position, note) for place, position in positions.items()}
        moving = self._producer.send_offsets_to_transaction(offsets, self._kafka.group)
        self._moving = asyncio.create_task(moving)

    @property
    def is_cut_off(self) -> bool:
        """True where a connection to Kafka was lost: a broker that stops may have left the last transaction open."""
        return self._producer is not None and self._cut_off is self._producer

    async def check(self) -> None:
        """Raises Doubt where it is cut off: `open` ends what was left open, for which readers wait."""
        if self.is_cut_off:
            await self.close()
            raise Doubt(f"Kafka was away since the last transaction of {self._id}")

    @property
    def is_old(self) -> bool:
        """True where what is begun may not live until it has been told: the broker ends it after its time-out."""
        return time.perf_counter() - self._began > OLD_SECONDS

    async def tell(
        self,
        messages: Iterable[tuple[Message, int]],
        *,
        records: Mapping[Place, Sequence[bytes]] | None = None,
    ) -> None:
        """Commit the messages (each with its partition) and the positions that it began with.

        `records`: what goes before the messages, as `record_batch.record` writes it. Raises Doubt; then open anew.
        """
        assert self._producer is not None, "open it first"
        try:
            await asyncio.wait_for(self._tell(self._producer, messages, records or {}), TIMEOUT)
        except Exception as why:
            fenced = _is_fenced(self._producer, why)
            await self.close()
            if fenced:
                raise FencedOff(f"{self._id} was opened by another worker") from why
            raise Doubt(f"a transaction of {self._id} ended with {type(why).__name__}") from why
        metrics.TRANSACTION_SECONDS.labels(self._topic).observe(time.perf_counter() - self._began)

    async def _tell(
        self,
        producer: AIOKafkaProducer,
        messages: Iterable[tuple[Message, int]],
        records: Mapping[Place, Sequence[bytes]],
    ) -> None:
        assert self._moving is not None, "begin it first"
        # Positions first, by now mostly there: a broker that checks both at once refuses one, and the client rests for 20 ms.
        await self._moving
        await self._send(producer, messages, records)
        await producer.commit_transaction()
        self._moving = None

    async def _send(
        self,
        producer: AIOKafkaProducer,
        messages: Iterable[tuple[Message, int]],
        records: Mapping[Place, Sequence[bytes]],
    ) -> None:
        bodies: dict[Place, list[bytes]] = {place: list(some) for place, some in records.items()}
        for message, partition in messages:
            body = record(message.key, message.value, message.headers)
            bodies.setdefault((message.topic, partition), []).append(body)
        now = int(time.time() * 1000)
        sent = [
            await producer.send_batch(batch, self._kafka.topic(topic), partition=partition)
            for (topic, partition), some in bodies.items()
            for batch in batches(some, most_bytes=BATCH_BYTES if topic in OUTPUT_TOPICS else ALONE, timestamp=now)
        ]
        # Every future must be awaited: a commit succeeds although a send that nobody waited for has failed.
        await asyncio.gather(*sent)


def _after_commit() -> tuple[int, int]:
    """Time-outs with which an id is opened after a transaction that was committed. Its coordinator remembers them, and by
    them whoever opens the id next how that ended, should this worker die before it has ended what was left open."""
    return TRANSACTION_TIMEOUT_MS + True, ENDING_TIMEOUT_MS


Send = Callable[..., Awaitable[Any]]


def _never_twice(send: Send) -> Send:
    """The client sends an end or a position again where no answer came, and goes on. The first copy may arrive after that,
    while the next transaction is open: it would end half of it, or set its position back (KAFKA-17754)."""

    async def send_once(node: int, request: Any, **group: Any) -> Any:
        try:
            return await send(node, request, **group)
        except NodeNotReadyError:  # nothing was sent
            raise
        except KafkaError as why:
            if isinstance(request, EndTxnRequest | TxnOffsetCommitRequest):
                raise NoAnswer from why
            raise

    return send_once


def _is_fenced(producer: AIOKafkaProducer, why: Exception) -> bool:
    """Also where the broker said so before the messages were ready: then the client says only that it can't send them."""
    task = producer._sender.sender_task
    ended = task.exception() if task.done() and not task.cancelled() else None
    return any(isinstance(error, ProducerFenced | InvalidProducerEpoch) for error in (why, ended))


async def _throw_away(producer: AIOKafkaProducer) -> None:
    """End a producer without caring how: nothing that it still sends is taken once its id has been opened anew."""
    await _whatever_becomes_of(producer.stop())
    loop = getattr(producer, "_sender", None)  # a `stop` that was cut short leaves its task running
    task = getattr(loop, "sender_task", None)
    if task is not None and not task.done():
        task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.wait_for(asyncio.shield(asyncio.wait([task])), CLOSE_TIMEOUT)
    await _whatever_becomes_of(producer.client.close())
    ended = producer._txn_manager._transaction_waiter
    if ended is not None and ended.done() and not ended.cancelled():
        ended.exception()  # looked at, or Python complains


async def _whatever_becomes_of(ending: Coroutine[Any, Any, None]) -> None:
    """Wait for it, not for long. In a task of its own: a client that was cut short once gives futures that are cancelled, and
    who awaits them would look cancelled himself."""
    task = asyncio.create_task(ending)
    await asyncio.wait([task], timeout=CLOSE_TIMEOUT)
    task.cancel()
    await asyncio.wait([task], timeout=CLOSE_TIMEOUT)
    if task.done() and not task.cancelled():
        task.exception()  # looked at, or Python complains
