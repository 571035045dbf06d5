"""What the demo does with Kafka: it sends, waits until the worker is done, and reads what came out."""

import asyncio
import zlib
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from relationship_worker.kafka.connection import Connection
from relationship_worker.local.demo_orders import PlayedOrder
from relationship_worker.local.demo_story import Sent
from relationship_worker.messages.outgoing import INPUT_TOPICS, ORDERS, OUTPUT_TOPICS, CustomerNumberCorrected

PATIENCE = 60.0  # seconds for any one wait; on a quiet machine none takes more than some seconds
LOOK_EVERY = 0.05  # seconds between two looks at a condition
RATE_BATCH = 256 * 1024  # bytes of one produce request
CORRECTED = CustomerNumberCorrected.type.encode()
REQUEST_BYTES = 2 * 1024 * 1024  # the largest input is 1 MiB


class DemoFailed(Exception):
    """The demo can't go on; the message is one line that says why."""


class StillWaiting(DemoFailed):
    """The bound of a wait was reached."""


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    """A record's headers as text."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}


class Traffic:
    """The demo's own producer and reader; the worker knows nothing of them. `async with` opens and closes them.

    `alive` raises DemoFailed where the worker has ended.
    """

    def __init__(self, kafka: Connection, alive: Callable[[], None]) -> None:
        self.kafka = kafka
        self.records: list[ConsumerRecord] = []
        self.corrections: list[ConsumerRecord] = []
        self.rate: list[tuple[str, str | None]] = []  # of the many orders: id and number
        self._alive = alive
        options = kafka.client_options()
        self._producer = AIOKafkaProducer(
            **options, acks="all", linger_ms=2, max_batch_size=RATE_BATCH, max_request_size=REQUEST_BYTES
        )
        # As any team would read: nothing that was rolled back, everything once.
        committed = {"isolation_level": "read_committed", "enable_auto_commit": False}
        self._reader = AIOKafkaConsumer(**options, **committed, auto_offset_reset="earliest")
        self._group = AIOKafkaConsumer(**options, **committed, group_id=kafka.group)
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await client.start()
        self._reader.assign(await self._places(OUTPUT_TOPICS))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await asyncio.gather(*(client.stop() for client in self._clients), return_exceptions=True)

    @property
    def _clients(self) -> list[Any]:
        return [self._producer, self._reader, self._group]

    async def send(self, sent: Iterable[Sent]) -> int:
        """Send in this order, and wait until the broker has them."""
        waiting = [
            await self._producer.send(
                self.kafka.topic(one.topic), one.value, key=one.key.encode() if one.key else None, headers=one.headers
            )
            for one in sent
        ]
        await asyncio.gather(*waiting)
        return len(waiting)

    async def pack(self, orders: Iterable[PlayedOrder]) -> Callable[[], Coroutine[Any, Any, None]]:
        """Pack many orders, and return what sends them: the packing is no part of what is measured."""
        topic = self.kafka.topic(ORDERS)
        count = len(await self._producer.partitions_for(topic))
        batches: list[tuple[int, Any]] = []
        open_: dict[int, Any] = {}
        for number, order in enumerate(orders):
            key = order.sent.key.encode() if order.sent.key else None
            place = zlib.crc32(key) % count if key else number % count  # one key, one partition
            record = {"timestamp": None, "key": key, "value": order.sent.value, "headers": order.sent.headers}
            if place not in open_ or not open_[place].append(**record):
                open_[place] = self._producer.create_batch()
                batches.append((place, open_[place]))
                open_[place].append(**record)

        async def send() -> None:
            sending = [await self._producer.send_batch(batch, topic, partition=place) for place, batch in batches]
            await asyncio.gather(*sending)

        return send

    async def until(self, what: str, look: Callable[[], bool]) -> None:
        """Wait until it is so. Raises DemoFailed."""
        end = monotonic() + PATIENCE
        while not look():
            self._check(what, end)
            await asyncio.sleep(LOOK_EVERY)

    async def until_done(self) -> None:
        """Wait until the worker's group has committed the ends of all three input topics. Raises DemoFailed."""
        places = await self._places(INPUT_TOPICS)
        ends = await self._group.end_offsets(places)
        end = monotonic() + PATIENCE
        for place in places:
            while ends[place] and (await self._group.committed(place) or 0) < ends[place]:
                self._check(f"the worker to commit offset {ends[place]} of {place.topic}/{place.partition}", end)
                await asyncio.sleep(LOOK_EVERY)

    async def until_all_is_read(self) -> None:
        """Wait until nothing that is readable is unread: no more came than what was waited for. Raises DemoFailed."""
        places = await self._places(OUTPUT_TOPICS)
        end = monotonic() + PATIENCE
        while True:
            ends = await self._group.end_offsets(places)
            positions = [await self._reader.position(place) for place in places]
            if all(position >= ends[place] for position, place in zip(positions, places, strict=True)):
                return
            self._check("the output topics to be read to their ends", end)
            await asyncio.sleep(LOOK_EVERY)

    def _check(self, what: str, end: float) -> None:
        self._alive()
        if self._reading and self._reading.done():
            raise DemoFailed(f"the reader of the output topics has ended: {self._reading.exception()!r}")
        if monotonic() > end:
            raise StillWaiting(f"waited {PATIENCE:g} s in vain for {what}")

    async def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        names = [self.kafka.topic(topic) for topic in topics]
        return [
            TopicPartition(name, number)
            for name in names
            for number in sorted(await self._producer.partitions_for(name))
        ]

    async def _read(self) -> None:
        while True:
            for records in (await self._reader.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = dict(record.headers)
                    if headers.get("ce_type") == CORRECTED:
                        self.corrections.append(record)
                    elif (headers.get("ce_causationid") or b"").startswith(b"rate-") and "ce_supplierid" in headers:
                        number = headers.get("ce_customernumber")
                        self.rate.append((headers["ce_subject"].decode(), number.decode() if number else None))
                    else:
                        self.records.append(record)
