"""Orders that flow into every partition, requests and decisions beside them, and when each came out."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from roads.driving import Road
from waiting import until

EVERY = 1.0  # seconds between two orders of a partition
ENRICHED, EVENTS = "enriched-orders", "relationship-events"
ENRICHED_TYPE = "order.enriched"
SETTLE_BOUND = 600.0  # seconds; far above what anything takes, so that a busy machine fails nothing


@dataclass
class Flow:
    """Goes on until it is closed. Every order of a partition has the same key, so that their order is promised."""

    road: Road
    decisions: bool
    sent: dict[str, tuple[int, float]] = field(default_factory=dict)  # orders: partition, and when
    told: dict[str, float] = field(default_factory=dict)  # when each was read for the first time
    times_told: Counter[str] = field(default_factory=Counter)
    sequence: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))  # as told, by partition
    asked: set[str] = field(default_factory=set)  # requests and decisions
    events: Counter[str] = field(default_factory=Counter)  # told, by their cause
    not_caught_up: int = 0
    rounds: int = 0

    async def send_once(self) -> None:
        """An order into every partition, and, where decisions flow, a new customer whom the supplier accepts."""
        self.rounds += 1
        number = self.rounds
        await asyncio.gather(*(self._order(number, partition) for partition in range(self.road.partitions)))
        if self.decisions:
            self.asked.add(await self.road.request(f"c-{number}"))
            self.asked.add(await self.road.accept(f"c-{number}", f"{number:05}"))

    async def _order(self, number: int, partition: int) -> None:
        at = monotonic()
        id_ = await self.road.order(
            f"O-{partition}-{number}", "anna", id_=f"o-{partition}-{number}", key=b"%d" % partition, partition=partition
        )
        self.sent[id_] = partition, at

    async def waits(self, since: float) -> dict[int, float]:
        """By partition, the longest that an order waited which was sent since then, once all of them are told."""
        waited: dict[int, float] = {}
        for id_, (partition, at) in list(self.sent.items()):
            if at >= since:
                await until(f"order {id_} to be told", lambda id_=id_: self._is_told(id_), seconds=SETTLE_BOUND)
                waited[partition] = max(waited.get(partition, 0.0), self.told[id_] - at)
        return waited

    async def served(self) -> None:
        """Until each partition has told an order that was sent from now on."""
        since = monotonic()

        async def all_of_them() -> bool:
            told = {partition for id_, (partition, at) in self.sent.items() if at >= since and id_ in self.told}
            return len(told) == self.road.partitions

        await until("every partition to be served", all_of_them, seconds=SETTLE_BOUND)

    async def _is_told(self, id_: str) -> bool:
        return id_ in self.told

    def wrong(self) -> list[str]:
        """What was lost, told twice or told out of order; nothing where all is as promised."""
        found = [f"order {id_} is lost" for id_ in self.sent if not self.times_told[id_]]
        found += [f"order {id_} was told {count} times" for id_, count in self.times_told.items() if count > 1]
        found += [f"order {id_} was never sent" for id_ in self.times_told if id_ not in self.sent]
        found += [f"event {id_} is lost" for id_ in self.asked if not self.events[id_]]
        found += [f"event {id_} was told {count} times" for id_, count in self.events.items() if count > 1]
        for partition, ids in self.sequence.items():
            if ids != sorted(ids, key=lambda id_: int(id_.rpartition("-")[2])):
                found.append(f"the orders of partition {partition} were told out of order")
        return found

    def take(self, record: ConsumerRecord) -> None:
        """A record that came out."""
        headers = {name: (value or b"").decode() for name, value in record.headers}
        cause = headers["ce_causationid"]
        if not record.topic.endswith(ENRICHED):
            if headers["ce_type"].startswith("relationship."):  # a missing number is told there, too
                self.events[cause] += 1
        elif headers["ce_type"] == ENRICHED_TYPE:
            self.times_told[cause] += 1
            self.told.setdefault(cause, monotonic())
            self.sequence[record.partition].append(cause)
            self.not_caught_up += b"decisions_not_caught_up" in (record.value or b"")


@asynccontextmanager
async def flowing(road: Road, *, decisions: bool) -> AsyncIterator[Flow]:
    """A flow for as long as the block runs; then everything that was sent has had the time to come out."""
    flow = Flow(road, decisions)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=road.stack.kafka_bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    topics = [road.prefix + ENRICHED, road.prefix + EVENTS]
    consumer.assign([TopicPartition(topic, p) for topic in topics for p in range(road.partitions)])
    reading = asyncio.create_task(_read(consumer, flow))
    closing = asyncio.Event()
    sending = asyncio.create_task(_send(flow, closing))
    try:
        yield flow
        closing.set()
        await sending

        async def all_told() -> bool:
            return flow.told.keys() >= flow.sent.keys() and flow.events.keys() >= flow.asked

        with suppress(AssertionError):  # what is missing is `wrong` to name
            await until("all to be told", all_told, seconds=SETTLE_BOUND)
    finally:
        for task in (sending, reading):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await consumer.stop()


async def _send(flow: Flow, closing: asyncio.Event) -> None:
    while not closing.is_set():
        await flow.send_once()
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), EVERY)


async def _read(consumer: AIOKafkaConsumer, flow: Flow) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                flow.take(record)
