"""Orders: each goes out with the customer number that applied when it was created, once; so do their corrections."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import TopicPartition
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.corrections import KnownSettings, is_gap
from relationship_worker.domain.customer_numbers import Ruling, which_number
from relationship_worker.domain.supplier import BUILT_IN, Settings
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, SetAside, dead_letters, read_all
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.kafka.lanes import Batch, Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.kafka.record_batch import header, varint
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
    around_as_of,
    read_answer,
    read_order,
)
from relationship_worker.messages.outgoing import (
    ENRICHED_ORDERS,
    ORDERS,
    SOURCE,
    Cause,
    CustomerNumberCorrected,
    CustomerNumberMissing,
    Message,
    ToldAnswer,
    correction_message,
    event_message,
    routing,
)
from relationship_worker.messages.times import write_time
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.running import StopLane, check_position
from relationship_worker.storage import answers, corrections, periods, positions, relationships, suppliers
from relationship_worker.storage.answers import Answered, AnsweredBefore, ToldBefore
from relationship_worker.storage.corrections import Waiting
from relationship_worker.storage.database import Tx, transaction
from relationship_worker.storage.known_facts import LONG_AGO, Known, KnownFacts, KnownSupplier
from relationship_worker.storage.relationships import AsOf

log = structlog.get_logger()

BATCH_RECORDS = 2_000  # the transaction's fixed cost is spread thin by then; more adds latency alone
BATCH_BYTES = 4 * 1024 * 1024  # of values: bounds the memory of a batch of large orders
BATCH_CORRECTIONS = 1_000  # half a megabyte, which goes out beside the orders
FRESHNESS_STEP = 0.005  # seconds between two looks at the applied positions


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A readable order, where it lay, and what recognises its event."""

    order: Order
    record: FetchedRecord
    key: bytes
    hash: bytes


class Ruled(msgspec.Struct, frozen=True, gc=False):
    """What a customer's orders over a channel are told, as long as the same facts are in force: the answer (JSON) around
    its `as_of`, the headers that route them, and what it goes by. It holds for orders created `since` then."""

    before: str
    after: str
    ruling: Ruling
    routing: bytes
    since: datetime
    settings: KnownSettings | None
    knew_version: int
    knew_change: int
    open: bool

    def answer(self, order: Order) -> str:
        """The answer (JSON) to one of these orders."""
        return self.before + order.created_at_text + self.after


class Told(msgspec.Struct, frozen=True, gc=False):
    """An order and the answer (JSON) that goes beside it; `first`: nobody was told one before."""

    asked: Asked
    answer: str
    number: str | None
    routing: bytes
    first: bool


@dataclass(kw_only=True)
class OrdersRoad:
    """The fast lane of one partition. It alone tells its orders' corrections too: so they come behind the orders."""

    lane: Lane
    transactions: Transactions
    kafka: Connection
    database: AsyncEngine
    ends: Ends
    partitioner: Partitioner
    bell: Bell
    known: KnownFacts
    freshness_seconds: float
    repeats_expected: bool = False  # the last batch had some: the next is remembered the way that finds them first
    corrected: int = 0  # the number of the last correction that was told; noted in Kafka beside the position
    held_back: int = 0  # the next correction is to be told behind this offset

    async def open(self) -> None:
        """Fence first, then read what is committed: nothing of a former owner can be committed behind it any more."""
        await self.transactions.open()
        committed = await self.lane.committed()
        first, end = await self.lane.bounds()
        position = first if committed is None else committed
        check_position(self.lane, position, first=first, end=end)
        await self._read_progress()
        self.lane.start(position)

    async def _read_progress(self) -> None:
        partition = self.lane.place.partition
        note = await self.transactions.noted(self.lane.place)
        async with transaction(self.database) as tx:
            told, last = await corrections.bounds(tx, partition)
        self.corrected = max(told, int(note or 0))
        self.held_back = 0
        if self.corrected > last:
            raise StopLane(
                f"orders-{partition}: Kafka was told up to correction {self.corrected}, but the database knows {last}: "
                "it was restored to an earlier time, or is another one (see the README, named stops)"
            )

    async def run_once(self) -> int:
        """Answer what has piled up, in one Kafka transaction. Safe to repeat: the first answer to an order stands."""
        batch = await self.lane.take(most=BATCH_RECORDS, most_bytes=BATCH_BYTES, or_when=self._has_corrections)
        if batch is None:
            return 0
        asked, set_aside = read_all(self.lane, batch.records, self._read)
        told: list[Told] = []
        if asked:
            told, conflicts = await self._answer(asked)
            set_aside += conflicts
        corrected = await self._corrections_behind(batch.next_position)
        await self._tell(told, set_aside, corrected, batch.next_position)
        self._log(batch, told, set_aside, corrected)
        return len(batch.records) + len(corrected)

    async def close(self) -> None:
        await self.transactions.close()

    @staticmethod
    def _read(record: FetchedRecord) -> Asked:
        event = open_envelope(record.headers, record.value, ORDER_TYPES)
        order = read_order(event)
        return Asked(order, record, event_key(ORDERS, event.source, event.id), data_hash(event.data))

    async def _answer(self, asked: Sequence[Asked]) -> tuple[list[Told], SetAside]:
        """Answer by the facts of every decision that was published before the batch was fetched, and remember it."""
        ends = await self.ends.now()
        patience = asyncio.get_running_loop().time() + self.freshness_seconds
        while True:
            try:
                async with transaction(self.database) as tx:
                    period = await periods.enter(tx)
                    caught_up = self._reached(await positions.applied(tx), ends)
                    if caught_up or asyncio.get_running_loop().time() >= patience:
                        if not caught_up:
                            log.warning(
                                "decisions not caught up", partition=self.lane.place.partition, orders=len(asked)
                            )
                        return await self._answer_in(tx, period, asked, caught_up=caught_up)
            except AnsweredBefore:
                self.repeats_expected = True
                continue
            await asyncio.sleep(FRESHNESS_STEP)

    def _reached(self, applied: dict[tuple[str, int], int], ends: dict[TopicPartition, int]) -> bool:
        return all(
            end <= applied.get((self.kafka.plain(place.topic), place.partition), 0) for place, end in ends.items()
        )

    async def _answer_in(
        self, tx: Tx, period: int, asked: Sequence[Asked], *, caught_up: bool
    ) -> tuple[list[Told], SetAside]:
        now = datetime.now(UTC)
        ruled = await self._decide(tx, [a.order for a in asked], caught_up=caught_up)
        fresh = [_answered(a, r) for a, r in zip(asked, ruled, strict=True)]
        if not self.repeats_expected:
            await answers.remember_new(tx, fresh, period=period, now=now)
            return [
                Told(a, f.answer, r.ruling.number, r.routing, True) for a, f, r in zip(asked, fresh, ruled, strict=True)
            ], []
        firsts: dict[bytes, Answered] = {}  # of several records of one event the first counts; of one order, see there
        for answered in fresh:
            firsts.setdefault(answered.event_key, answered)
        new = await answers.remember_first(tx, list(firsts.values()), period=period, now=now)
        self.repeats_expected = len(new) < len(asked)
        return await self._sort_out(tx, period, asked, fresh, now=now)

    async def _decide(self, tx: Tx, orders: Sequence[Order], *, caught_up: bool) -> list[Ruled]:
        """By the newest facts, for nearly all; for orders that are older than these by the facts of their time."""
        await self.known.look(tx)
        customers = await self.known.customers(tx, [(o.supplier_id, o.customer_id) for o in orders])
        settings = await self.known.settings(tx, {o.supplier_id for o in orders})
        decided: list[Ruled] = []
        late: list[int] = []
        for i, (order, known) in enumerate(zip(orders, customers, strict=True)):
            supplier = settings[order.supplier_id]
            ruled = known.derived.get(order.channel)
            if ruled is None or ruled.settings is not supplier.newest:
                ruled = known.derived[order.channel] = _rule_by_newest(order, known, supplier)
            if order.created_at < ruled.since:
                late.append(i)
            elif not caught_up or not order.channel_known:
                before, after = around_as_of(order, ruled.ruling, known.version or None, caught_up=caught_up)
                ruled = replace(ruled, before=before, after=after)
            decided.append(ruled)
        by_customer = [i for i in late if customers[i].version]
        then = await relationships.versions_as_of(
            tx, [(orders[i].supplier_id, orders[i].customer_id or "", orders[i].created_at) for i in by_customer]
        )
        versions = dict(zip(by_customer, then, strict=True))
        for i in late:
            version = versions.get(i, relationships.NOTHING_KNOWN)
            decided[i] = _rule_as_of_then(orders[i], version, settings[orders[i].supplier_id], caught_up=caught_up)
        return decided

    async def _sort_out(
        self, tx: Tx, period: int, asked: Sequence[Asked], fresh: Sequence[Answered], *, now: datetime
    ) -> tuple[list[Told], SetAside]:
        """Some were answered before: as the same record (done again after a crash), the same event, or the same order."""
        known = await self._remember_further_events(tx, period, fresh, now=now)
        told: list[Told] = []
        conflicts: SetAside = []
        for a in asked:
            answered = known[a.key]
            if answered.data_hash != a.hash:
                conflicts.append((a.record, CONFLICT))
            elif (answered.partition, answered.offset) == (a.record.partition, a.record.offset):
                number = read_answer(answered.answer).number
                told.append(Told(a, answered.answer, number, _routing(a.order, number), answered.first))
        return told, conflicts

    async def _remember_further_events(
        self, tx: Tx, period: int, fresh: Sequence[Answered], *, now: datetime
    ) -> dict[bytes, ToldBefore]:
        """What each event was told. A further event of an answered order is told what the order was told last."""
        while True:
            known = await answers.events_before(tx, {f.event_key for f in fresh})
            further = {f.event_key: f for f in reversed(fresh) if f.event_key not in known}
            if not further:
                return known
            last = await answers.told_last(tx, {f.order for f in further.values()})
            repeated = [replace(f, answer=last[f.order]) for f in further.values()]
            remembered = await answers.remember_repeated(tx, repeated, period=period, now=now)
            if len(remembered) == len(repeated):
                again = {r.event_key: ToldBefore(r.data_hash, r.answer, r.partition, r.offset, False) for r in repeated}
                return known | again
            # Another lane has just answered one of these events: look again.

    def _has_corrections(self) -> bool:
        more = self.bell.last_correction(self.lane.place.partition) > self.corrected
        return more and self.lane.position > self.held_back

    async def _corrections_behind(self, position: int) -> list[Waiting]:
        """The next corrections of orders that are told by this position, in their order."""
        partition = self.lane.place.partition
        if self.bell.last_correction(partition) <= self.corrected:
            return []
        async with transaction(self.database) as tx:
            waiting = await corrections.waiting(tx, partition, after=self.corrected, limit=BATCH_CORRECTIONS)
        due = list(itertools.takewhile(lambda correction: correction.after < position, waiting))
        self.held_back = waiting[len(due)].after if len(due) < len(waiting) else 0
        return due

    async def _tell(
        self, told: Sequence[Told], set_aside: SetAside, corrected: Sequence[Waiting], position: int
    ) -> None:
        now = datetime.now(UTC)
        partition = self.lane.place.partition
        place = (ENRICHED_ORDERS, partition % self.partitioner.count(ENRICHED_ORDERS))
        enriched = _enriched(told, write_time(now))
        messages = [_missing(t, now) for t in told if t.number is None and t.first]
        messages += dead_letters(self.kafka, set_aside)
        messages += [_corrected(correction, partition) for correction in corrected]
        placed = ((message, self.partitioner.place(message, partition)) for message in messages)
        last = corrected[-1].number if corrected else self.corrected
        await self.transactions.tell(
            placed, {self.lane.place: position}, records={place: enriched}, note=str(last) if last else ""
        )
        if corrected:
            self.corrected = last
            async with transaction(self.database) as tx:
                await corrections.told(tx, partition, up_to=last)

    def _log(self, batch: Batch, told: Sequence[Told], set_aside: SetAside, corrected: Sequence[Waiting]) -> None:
        if batch.records or corrected:
            log.info(
                "orders",
                partition=self.lane.place.partition,
                position=batch.next_position,
                answered=sum(answer.first for answer in told),
                told_again=sum(not answer.first for answer in told),
                dead_letters=Counter(why.reason for _, why in set_aside),
                corrected=len(corrected),
                duplicates=len(batch.records) - len(told) - len(set_aside),
            )


def _rule_by_newest(order: Order, known: Known, supplier: KnownSupplier) -> Ruled:
    newest = supplier.newest
    ruled = _ruled(
        order,
        partner=known.partner,
        individual=known.customer_number,
        version=known.version or None,
        settings=newest.settings if newest is not None else BUILT_IN,
        knew_version=known.version,
        supplier=supplier,
        caught_up=True,
        channel_known=True,
    )
    return replace(ruled, since=max(known.since, newest.valid_from) if newest is not None else known.since)


def _rule_as_of_then(order: Order, then: AsOf, supplier: KnownSupplier, *, caught_up: bool) -> Ruled:
    return _ruled(
        order,
        partner=then.partner,
        individual=then.customer_number,
        version=then.version,
        settings=suppliers.settings_as_of(supplier.changes, order.created_at),
        knew_version=then.newest,
        supplier=supplier,
        caught_up=caught_up,
        channel_known=order.channel_known,
    )


def _ruled(
    order: Order,
    *,
    partner: bool,
    individual: str | None,
    version: int | None,
    settings: Settings,
    knew_version: int,
    supplier: KnownSupplier,
    caught_up: bool,
    channel_known: bool,
) -> Ruled:
    ruling = which_number(partner=partner, individual=individual, channel=order.channel, settings=settings)
    before, after = around_as_of(replace(order, channel_known=channel_known), ruling, version, caught_up=caught_up)
    return Ruled(
        before=before,
        after=after,
        ruling=ruling,
        routing=_routing(order, ruling.number),
        since=LONG_AGO,
        settings=supplier.newest,
        knew_version=knew_version,
        knew_change=len(supplier.changes),
        open=is_gap(ruling),
    )


def _routing(order: Order, number: str | None) -> bytes:
    """The headers by which a connector routes the order, as bytes; how many, before them, as one byte."""
    headers = routing(order.supplier_id, order.customer_id, number)
    return bytes([len(headers)]) + b"".join(header(name, text) for name, text in headers)


def _answered(asked: Asked, ruled: Ruled) -> Answered:
    order, record = asked.order, asked.record
    return Answered(
        asked.key,
        asked.hash,
        order.supplier_id,
        order.order_id,
        order.customer_id,
        ruled.answer(order),
        record.partition,
        record.offset,
        record.key,
        order.created_at_text,
        order.channel,
        ruled.knew_version,
        ruled.knew_change,
        ruled.open,
    )


def _cause(asked: Asked) -> Cause:
    event: Envelope = asked.order.event
    return Cause(asked.key, event.id, event.source, event.trace)


def _enriched(told: Iterable[Told], now: str) -> list[bytes]:
    """The records of enriched orders, all but their places in a batch: see `headers_of` for what they say of themselves."""
    same = b"".join(
        header(name, text)
        for name, text in (
            ("ce_specversion", b"1.0"),
            ("ce_source", SOURCE),
            ("ce_type", ORDER_ENRICHED.encode()),
            ("ce_time", now.encode()),
            ("content-type", b"application/json"),
        )
    )
    records = []
    for t in told:
        asked = t.asked
        order, key, answer = asked.order, asked.record.key, t.answer.encode()
        event, order_id = order.event, order.order_id.encode()
        event_id, source, data = event.id.encode(), event.source.encode(), event.data
        own = b"%b%b%b.enriched%b%b%b%b%b%b%b%b%b" % (
            same,
            _ID,
            asked.key.hex().encode(),
            _SUBJECT,
            varint(len(order_id)),
            order_id,
            _CAUSATION_ID,
            varint(len(event_id)),
            event_id,
            _CAUSATION_SOURCE,
            varint(len(source)),
            source,
        )
        trace = b"".join([header(name, text) for name, text in event.trace]) if event.trace else b""
        records.append(
            b"".join(
                (
                    varint(-1) if key is None else varint(len(key)) + key,
                    varint(_AROUND + len(answer) + len(data)),
                    _BEFORE_ANSWER,
                    answer,
                    _BEFORE_ORDER,
                    data,
                    b"}",
                    varint(9 + t.routing[0] + len(event.trace)),
                    own,
                    t.routing[1:],
                    trace,
                )
            )
        )
    return records


_BEFORE_ANSWER, _BEFORE_ORDER = b'{"customer_number":', b',"order":'
_AROUND = len(_BEFORE_ANSWER) + len(_BEFORE_ORDER) + 1


def _name(text: str) -> bytes:
    return varint(len(text)) + text.encode()


_ID = _name("ce_id") + varint(len("0" * 32 + ".enriched"))
_SUBJECT, _CAUSATION_ID, _CAUSATION_SOURCE = _name("ce_subject"), _name("ce_causationid"), _name("ce_causationsource")


def _corrected(correction: Waiting, partition: int) -> Message:
    event = CustomerNumberCorrected(
        order_id=correction.order_id,
        supplier_id=correction.supplier_id,
        customer_id=correction.customer_id,
        previous=ToldAnswer.model_validate_json(correction.previous),
        customer_number=ToldAnswer.model_validate_json(correction.answer),
    )
    message = correction_message(
        event,
        correction.cause,
        order_event=correction.order_event,
        key=correction.record_key,
        now=correction.decided_at,
    )
    return message.to(partition)


def _missing(told: Told, now: datetime) -> Message:
    order = told.asked.order
    event = CustomerNumberMissing(
        supplier_id=order.supplier_id,
        customer_id=order.customer_id,
        order_id=order.order_id,
        reason=read_answer(told.answer).reason or "",
    )
    return event_message(event, _cause(told.asked), suffix="missing", now=now, subject=order.order_id)
