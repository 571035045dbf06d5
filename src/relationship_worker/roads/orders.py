"""Orders: each goes out with the customer number that applied when it was created, once."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import ConsumerRecord, TopicPartition
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.customer_numbers import which_number
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, SetAside, dead_letters, read_all
from relationship_worker.kafka.lanes import Batch, Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.kafka.subscribers import Ends
from relationship_worker.kafka.transactions import Transactions
from relationship_worker.messages.envelope import (
    Envelope,
    data_hash,
    event_key,
    open_envelope,
)
from relationship_worker.messages.orders import (
    ORDER_ENRICHED,
    ORDER_TYPES,
    Order,
    enriched_value,
    read_answer,
    read_order,
    write_answer,
)
from relationship_worker.messages.outgoing import (
    ENRICHED_ORDERS,
    ORDERS,
    Cause,
    CustomerNumberMissing,
    Message,
    event_message,
    headers_of,
)
from relationship_worker.messages.times import write_time
from relationship_worker.roads.running import check_position
from relationship_worker.storage import answers, positions, relationships, suppliers
from relationship_worker.storage.answers import Answered
from relationship_worker.storage.database import Tx, transaction

log = structlog.get_logger()

BATCH_RECORDS = 2_000  # the transaction's fixed cost is spread thin by then; more adds latency alone
BATCH_BYTES = 4 * 1024 * 1024  # of values: bounds the memory of a batch of large orders
FRESHNESS_STEP = 0.005  # seconds between two looks at the applied positions


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A readable order, where it lay, and what recognises its event."""

    order: Order
    record: ConsumerRecord
    key: bytes
    hash: bytes


class Told(msgspec.Struct, frozen=True, gc=False):
    """An order and the answer (JSON) that goes beside it; `first`: nobody was told one before."""

    asked: Asked
    answer: str
    first: bool


@dataclass(frozen=True, kw_only=True)
class OrdersRoad:
    """The fast lane of one partition."""

    lane: Lane
    transactions: Transactions
    kafka: Connection
    database: AsyncEngine
    ends: Ends
    partitioner: Partitioner
    freshness_seconds: float

    async def open(self) -> None:
        """Fence first, then read what is committed: nothing of a former owner can be committed behind it any more."""
        await self.transactions.open()
        committed = await self.lane.committed()
        first, end = await self.lane.bounds()
        position = first if committed is None else committed
        check_position(self.lane, position, first=first, end=end)
        self.lane.start(position)

    async def run_once(self) -> int:
        """Answer what has piled up, in one Kafka transaction. Safe to repeat: the first answer to an order stands."""
        batch = await self.lane.take(most=BATCH_RECORDS, most_bytes=BATCH_BYTES)
        if batch is None:
            return 0
        asked, set_aside = read_all(self.lane, batch.records, self._read)
        told: list[Told] = []
        if asked:
            told, conflicts = await self._answer(asked)
            set_aside += conflicts
        await self._tell(told, set_aside, batch.next_position)
        self._log(batch, told, set_aside)
        return len(batch.records)

    async def close(self) -> None:
        await self.transactions.close()

    @staticmethod
    def _read(record: ConsumerRecord) -> Asked:
        event = open_envelope(record.headers, record.value, ORDER_TYPES)
        order = read_order(event)
        return Asked(order, record, event_key(ORDERS, event.source, event.id), data_hash(event.data))

    async def _answer(self, asked: Sequence[Asked]) -> tuple[list[Told], SetAside]:
        """Answer by the facts of every decision that was published before the batch was fetched, and remember it."""
        ends = await self.ends.now()
        patience = asyncio.get_running_loop().time() + self.freshness_seconds
        while True:
            async with transaction(self.database) as tx:
                caught_up = self._reached(await positions.applied(tx), ends)
                if caught_up or asyncio.get_running_loop().time() >= patience:
                    if not caught_up:
                        log.warning("decisions not caught up", partition=self.lane.place.partition, orders=len(asked))
                    return await self._answer_in(tx, asked, caught_up=caught_up)
            await asyncio.sleep(FRESHNESS_STEP)

    def _reached(self, applied: dict[tuple[str, int], int], ends: dict[TopicPartition, int]) -> bool:
        return all(
            end <= applied.get((self.kafka.plain(place.topic), place.partition), 0) for place, end in ends.items()
        )

    async def _answer_in(self, tx: Tx, asked: Sequence[Asked], *, caught_up: bool) -> tuple[list[Told], SetAside]:
        now = datetime.now(UTC)
        fresh = await self._decide(tx, asked, caught_up=caught_up)
        firsts: dict[bytes, Answered] = {}  # of several records of one event the first counts; of one order, see there
        for answered in fresh:
            firsts.setdefault(answered.event_key, answered)
        new = await answers.remember_first(tx, list(firsts.values()), now=now)
        if len(new) == len(asked):
            return [Told(a, f.answer, True) for a, f in zip(asked, fresh, strict=True)], []
        return await self._sort_out(tx, asked, fresh, now=now)

    async def _decide(self, tx: Tx, asked: Sequence[Asked], *, caught_up: bool) -> list[Answered]:
        orders = [a.order for a in asked]
        by_customer = [(o.supplier_id, o.customer_id, o.created_at) for o in orders if o.customer_id is not None]
        versions = iter(await relationships.versions_as_of(tx, by_customer))
        history = await suppliers.settings_history(tx, {o.supplier_id for o in orders})
        decided = []
        for a, order in zip(asked, orders, strict=True):
            version = next(versions) if order.customer_id is not None else None
            ruling = which_number(
                partner=version is not None and version.partner,
                individual=version.customer_number if version is not None else None,
                channel=order.channel,
                settings=suppliers.settings_as_of(history, order.supplier_id, order.created_at),
            )
            answer = write_answer(order, ruling, version.version if version else None, caught_up=caught_up)
            decided.append(
                Answered(
                    a.key,
                    a.hash,
                    order.supplier_id,
                    order.order_id,
                    order.customer_id,
                    answer,
                    a.record.partition,
                    a.record.offset,
                )
            )
        return decided

    async def _sort_out(
        self, tx: Tx, asked: Sequence[Asked], fresh: Sequence[Answered], *, now: datetime
    ) -> tuple[list[Told], SetAside]:
        """Some were answered before: as the same record (done again after a crash), the same event, or the same order."""
        known = await self._remember_further_events(tx, fresh, now=now)
        told: list[Told] = []
        conflicts: SetAside = []
        for a in asked:
            answered = known[a.key]
            if answered.data_hash != a.hash:
                conflicts.append((a.record, CONFLICT))
            elif (answered.partition, answered.offset) == (a.record.partition, a.record.offset):
                told.append(Told(a, answered.answer, answered.first))
        return told, conflicts

    async def _remember_further_events(
        self, tx: Tx, fresh: Sequence[Answered], *, now: datetime
    ) -> dict[bytes, Answered]:
        """What each event was told. A further event of an answered order is told what the order was told last."""
        while True:
            known = await answers.events_before(tx, {f.event_key for f in fresh})
            further = {f.event_key: f for f in reversed(fresh) if f.event_key not in known}
            if not further:
                return known
            last = await answers.told_last(tx, {f.order for f in further.values()})
            repeated = {key: replace(f, answer=last[f.order], first=False) for key, f in further.items()}
            remembered = await answers.remember_repeated(tx, list(repeated.values()), now=now)
            if len(remembered) == len(repeated):
                return known | repeated
            # Another lane has just answered one of these events: look again.

    async def _tell(self, told: Iterable[Told], set_aside: SetAside, position: int) -> None:
        now = datetime.now(UTC)
        text = write_time(now)
        messages = []
        partition = self.lane.place.partition
        for answer in told:
            order, number = _enriched(answer, text, partition)
            messages.append(order)
            if number is None and answer.first:
                messages.append(_missing(answer, now))
        messages += dead_letters(self.kafka, set_aside)
        placed = ((message, self.partitioner.place(message, partition)) for message in messages)
        await self.transactions.tell(placed, {self.lane.place: position})

    def _log(self, batch: Batch, told: Sequence[Told], set_aside: SetAside) -> None:
        if batch.records:
            log.info(
                "orders",
                partition=self.lane.place.partition,
                position=batch.next_position,
                answered=sum(answer.first for answer in told),
                told_again=sum(not answer.first for answer in told),
                dead_letters=Counter(why.reason for _, why in set_aside),
                duplicates=len(batch.records) - len(told) - len(set_aside),
            )


def _cause(asked: Asked) -> Cause:
    event: Envelope = asked.order.event
    return Cause(asked.key, event.id, event.source, event.trace)


def _enriched(told: Told, now: str, partition: int) -> tuple[Message, str | None]:
    order = told.asked.order
    number = read_answer(told.answer).number
    headers = headers_of(_cause(told.asked), suffix="enriched", type_=ORDER_ENRICHED, subject=order.order_id, now=now)
    headers.append(("ce_supplierid", order.supplier_id.encode()))
    if order.customer_id is not None:
        headers.append(("ce_customerid", order.customer_id.encode()))
    if number is not None:
        headers.append(("ce_customernumber", number.encode()))
    value = enriched_value(told.answer, order.event.data)
    return Message(ENRICHED_ORDERS, told.asked.record.key, value, headers, partition), number


def _missing(told: Told, now: datetime) -> Message:
    order = told.asked.order
    event = CustomerNumberMissing(
        supplier_id=order.supplier_id,
        customer_id=order.customer_id,
        order_id=order.order_id,
        reason=read_answer(told.answer).reason or "",
    )
    return event_message(event, _cause(told.asked), suffix="missing", now=now, subject=order.order_id)
