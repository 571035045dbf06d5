"""Orders: each goes out with the customer number that applied when it was created, once; so do their corrections."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker import metrics
from relationship_worker.kafka.asked_orders import Asked, AskedOrders
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.dead_letters import CONFLICT, SetAside, dead_letters, read_all
from relationship_worker.kafka.enriched_records import EnrichedRecords, told
from relationship_worker.kafka.lanes import Batch, Lane
from relationship_worker.kafka.partitions import Partitioner
from relationship_worker.kafka.subscribers import Ends
from relationship_worker.kafka.transactions import FencedOff, Place, Transactions
from relationship_worker.messages.orders import read_answer
from relationship_worker.messages.outgoing import (
    DEAD_LETTERS,
    ENRICHED_ORDERS,
    ORDERS,
    RELATIONSHIP_EVENTS,
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
from relationship_worker.roads.answering import Ruled, load, rule, rule_by_held
from relationship_worker.roads.breaker import Breaker
from relationship_worker.roads.relay import Bell
from relationship_worker.roads.room import Room
from relationship_worker.roads.running import StopLane, check_position
from relationship_worker.storage import answers, corrections, periods, positions
from relationship_worker.storage.answer_rows import AnswerRows
from relationship_worker.storage.answers import Answered, AnsweredBefore, ToldBefore, UpTo
from relationship_worker.storage.corrections import Waiting
from relationship_worker.storage.database import Tx, statements, transaction
from relationship_worker.storage.known_facts import KnownFacts
from relationship_worker.storage.periods import Period
from relationship_worker.traces import TRACES

log = structlog.get_logger()

WRITES_TO = (ENRICHED_ORDERS, RELATIONSHIP_EVENTS, DEAD_LETTERS)
BATCH_RECORDS = 4_000  # the transaction's fixed cost is spread thin by then; more adds latency alone
BATCH_BYTES = 12 * 1024 * 1024  # in memory: bounds the memory of a batch of large orders
BATCH_CORRECTIONS = 1_000  # half a megabyte, which goes out beside the orders
AT_ONCE = 200  # orders; above it COPY is cheaper for the database than what it saves in round trips
FRESHNESS_STEP = 0.005  # seconds between the first two looks at the applied positions
LONGEST_FRESHNESS_STEP = 0.1  # doubled up to this: many lanes that look keep the database from those that apply


@dataclass(kw_only=True)
class Outcome:
    """What a batch comes to: records of enriched orders (all but their places in a batch), and what goes beside them."""

    enriched: list[bytes] = field(default_factory=list)
    missing: list[Message] = field(default_factory=list)
    set_aside: SetAside = field(default_factory=list)
    told_again: int = 0
    not_caught_up: int = 0
    told_as: Counter[str] = field(default_factory=Counter)  # orders that are told for the first time, see Ruled


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
    room: Room
    freshness_seconds: float
    breaker: Breaker
    orders: AskedOrders = field(default_factory=AskedOrders)
    repeats_expected: bool = False  # the last batch had some: the next is remembered the way that finds them first
    corrected: int = 0  # the number of the last correction that was told; noted in Kafka beside the position
    held_back: int = 0  # the next correction is to be told behind this offset

    async def open(self) -> None:
        """Fence first, then read what is committed: nothing of a former owner can be committed behind it any more."""
        await self.transactions.open()
        committed = await self.lane.committed()
        first, end = await self.lane.bounds()
        position = await self._first_position(first) if committed is None else committed
        check_position(self.lane, position, first=first, end=end)
        await self.breaker.check()
        await self._read_progress()
        self.lane.start(position)

    async def _first_position(self, first: int) -> int:
        """The group has no position on the partition. Where it was worked on before, that would tell all of it again."""
        partition = self.lane.place.partition
        async with transaction(self.database) as tx:
            if await positions.was_begun(tx, ORDERS, partition):
                raise StopLane(
                    f"orders-{partition}: the group has no position any more, but the partition was worked on before: the "
                    "topic was made anew, or the position expired or was deleted (see the README, named stops)"
                )
        await self.lane.set_position(first)
        return first

    async def _read_progress(self) -> None:
        partition = self.lane.place.partition
        note = await self.transactions.noted(self.lane.place)
        async with transaction(self.database) as tx:
            told, last = await corrections.bounds(tx, partition)
            await positions.begin(tx, ORDERS, partition)
        self.corrected = int(note) if note else told  # the database learns of it later, and not of what Kafka undid
        self.held_back = 0
        if self.corrected > last:
            raise StopLane(
                f"orders-{partition}: Kafka was told up to correction {self.corrected}, but the database knows {last}: "
                "it was restored to an earlier time, or is another one (see the README, named stops)"
            )

    async def run_once(self) -> int:
        """Answer what has piled up, in one Kafka transaction. Safe to repeat: the first answer to an order stands."""
        before = self.lane.position
        batch = await self.lane.take(most=BATCH_RECORDS, most_bytes=BATCH_BYTES, or_when=self._has_other_work)
        if batch is None:
            return 0
        async with self.room.take(batch.weight):
            if self.lane.closing:
                return 0  # nothing was begun: the partition's next owner fetches the batch again
            return await self._answer_batch(batch, before)

    async def _answer_batch(self, batch: Batch, before: int) -> int:
        since = time.time_ns()
        corrected = await self._corrections_behind(batch.next_position)
        await self._begin(batch, corrected)
        asked, set_aside = read_all(self.lane, batch.records, self.orders.read)
        outcome = await self._answer(asked) if asked else Outcome()
        outcome.set_aside += set_aside
        if self.transactions.is_old:
            await self._begin_anew(batch, corrected, before)
        await self._tell(outcome, corrected)
        self._count(batch, outcome, corrected)
        self._trace(batch, asked, since)
        self._log(batch, outcome, corrected)
        await self.breaker.count(batch.records, outcome.set_aside)
        return len(batch.records) + len(corrected)

    async def _begin(self, batch: Batch, corrected: Sequence[Waiting]) -> None:
        last = corrected[-1].number if corrected else self.corrected
        await self.transactions.begin(
            {self.lane.place: batch.next_position},
            note=str(last),
            places=[self._enriched] if batch.records else [],
        )

    async def _begin_anew(self, batch: Batch, corrected: Sequence[Waiting], before: int) -> None:
        """The database took so long that Kafka may end what was begun: each time, where it stays slow. The answers are
        remembered and stand; what is told with them is still to be told, unless another worker has done it."""
        told = self.corrected
        await self.transactions.open()
        committed = await self.lane.committed()
        await self._read_progress()
        if (committed, self.corrected) != (before, told):
            raise FencedOff(f"orders-{self.lane.place.partition} is another worker's now")
        await self._begin(batch, corrected)

    async def close(self) -> None:
        await self.transactions.close()

    @property
    def _enriched(self) -> Place:
        """Where this lane's orders go."""
        return ENRICHED_ORDERS, self.lane.place.partition % self.partitioner.count(ENRICHED_ORDERS)

    async def _answer(self, asked: Sequence[Asked]) -> Outcome:
        """Answer by the facts of every decision that was published before the batch was fetched, and remember it."""
        ends = {(self.kafka.plain(p.topic), p.partition): end for p, end in (await self.ends.now()).items()}
        if len(asked) <= AT_ONCE and not self.repeats_expected:
            outcome = await self._answer_at_once(asked, ends)
            if outcome is not None:
                return outcome
        began = asyncio.get_running_loop().time()
        patience, behind, step = began + self.freshness_seconds, False, FRESHNESS_STEP
        while True:
            try:
                async with transaction(self.database) as tx:
                    period = await periods.enter(tx)
                    applied = await positions.applied(tx)
                    caught_up = all(end <= applied.get(place, 0) for place, end in ends.items())
                    behind = behind or not caught_up
                    if caught_up or asyncio.get_running_loop().time() >= patience:
                        if not caught_up:
                            log.warning(
                                "decisions not caught up", partition=self.lane.place.partition, orders=len(asked)
                            )
                        outcome = await self._answer_in(tx, period, asked, caught_up=caught_up)
                        outcome.not_caught_up = 0 if caught_up else len(asked)
                        if behind:
                            metrics.FRESHNESS_SECONDS.observe(asyncio.get_running_loop().time() - began)
                        return outcome
            except AnsweredBefore:
                self.repeats_expected = True
                continue
            await asyncio.sleep(step)
            step = min(2 * step, LONGEST_FRESHNESS_STEP)

    async def _answer_at_once(self, asked: Sequence[Asked], ends: UpTo) -> Outcome | None:
        """A small batch by the facts in memory, in one round trip; None where it needs more. At a thousand orders a second
        it is the round trips that cost, not the orders."""
        ruled = rule_by_held(self.known, asked)
        if ruled is None and self.known.seen is not None:
            async with statements(self.database) as tx:
                await load(tx, self.known, asked)
            ruled = rule_by_held(self.known, asked)
        seen = self.known.seen
        if ruled is None or seen is None:
            return None
        now = datetime.now(UTC)
        given = [_answered(a, r) for a, r in zip(asked, ruled, strict=True)]
        if not await answers.remember_at_once(self.database, given, seen, ends, now=now):
            return None
        enriched = EnrichedRecords(write_time(now)).record
        outcome = Outcome(told_as=_counted(ruled))
        for a, r in zip(asked, ruled, strict=True):
            outcome.enriched.append(enriched(a, a.order_id.encode(), a.as_of, r))
            if not r.has_number:
                outcome.missing.append(_missing(a, r.ruling.reason, now))
        return outcome

    async def _answer_in(self, tx: Tx, period: Period, asked: Sequence[Asked], *, caught_up: bool) -> Outcome:
        now = datetime.now(UTC)
        ruled = await rule(tx, self.known, asked, caught_up=caught_up)
        if self.repeats_expected:
            return await self._answer_some(tx, period, asked, ruled, now)
        return await self._answer_all(tx, period, asked, ruled, now)

    async def _answer_all(
        self, tx: Tx, period: Period, asked: Sequence[Asked], ruled: Sequence[Ruled], now: datetime
    ) -> Outcome:
        """Each is the first event of its order: nearly always so. Raises AnsweredBefore where it is not."""
        row = AnswerRows(partition=self.lane.place.partition, period=period.now, now=now).row
        enriched = EnrichedRecords(write_time(now)).record
        outcome, rows = Outcome(told_as=_counted(ruled)), list[bytes]()
        for a, r in zip(asked, ruled, strict=True):
            order_id, as_of, lay = a.order_id.encode(), a.as_of, a.record
            of_event = (a.key, a.hash, lay.offset, a.created_at, lay.key)
            rows.append(row(r.stored, of_event, order_id, r.before, as_of, r.after))
            outcome.enriched.append(enriched(a, order_id, as_of, r))
            if not r.has_number:
                outcome.missing.append(_missing(a, r.ruling.reason, now))
        events = [a.key for a in asked]
        orders = [(a.supplier_id, a.order_id) for a in asked] if period.earlier else []
        await answers.remember_new(tx, rows, events, orders, period=period)
        return outcome

    async def _answer_some(
        self, tx: Tx, period: Period, asked: Sequence[Asked], ruled: Sequence[Ruled], now: datetime
    ) -> Outcome:
        """Some were answered before: as the same record (done again after a crash), the same event, or the same order."""
        given = [_answered(a, r) for a, r in zip(asked, ruled, strict=True)]
        firsts: dict[bytes, Answered] = {}  # of several records of one event the first counts; of one order, see there
        for answered in given:
            firsts.setdefault(answered.event_key, answered)
        new = await answers.remember_first(tx, list(firsts.values()), period=period, now=now)
        self.repeats_expected = len(new) < len(asked)
        known = await self._remember_further_events(tx, period, given, now=now)
        enriched = EnrichedRecords(write_time(now)).record
        outcome = Outcome()
        for a in asked:
            before = known[a.key]
            if before.data_hash != a.hash:
                outcome.set_aside.append((a.record, CONFLICT))
            elif (before.partition, before.offset) == (a.record.partition, a.record.offset):
                answer = read_answer(before.answer)
                again = told(before.answer.encode(), b"", routing(a.supplier_id, a.customer_id, answer.number))
                outcome.enriched.append(enriched(a, a.order_id.encode(), b"", again))
                outcome.told_again += not before.first
                if before.first:
                    outcome.told_as[f"{answer.source} {answer.reason or ''}"] += 1
                if answer.number is None and before.first:
                    outcome.missing.append(_missing(a, answer.reason, now))
        return outcome

    async def _remember_further_events(
        self, tx: Tx, period: Period, fresh: Sequence[Answered], *, now: datetime
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

    def _has_other_work(self) -> bool:
        """Corrections to tell; or a last transaction to look after, which begins with the doubt of the next."""
        return self._has_corrections() or self.transactions.is_cut_off

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

    async def _tell(self, outcome: Outcome, corrected: Sequence[Waiting]) -> None:
        partition = self.lane.place.partition
        messages = outcome.missing + dead_letters(self.kafka, outcome.set_aside)
        messages += [_corrected(correction, partition) for correction in corrected]
        placed = ((message, self.partitioner.place(message, partition)) for message in messages)
        await self.transactions.tell(placed, records={self._enriched: outcome.enriched})
        if corrected:
            self.corrected = corrected[-1].number
            async with transaction(self.database) as tx:
                await corrections.told(tx, partition, up_to=self.corrected)

    @staticmethod
    def _count(batch: Batch, outcome: Outcome, corrected: Sequence[Waiting]) -> None:
        for told_as, count in outcome.told_as.items():
            metrics.ORDERS.labels(*told_as.split(" ")).inc(count)
        metrics.NOT_CAUGHT_UP.inc(outcome.not_caught_up)
        metrics.TOLD_AGAIN.inc(outcome.told_again)
        metrics.CORRECTIONS.inc(len(corrected))
        metrics.count_dead_letters(ORDERS, [why.reason for _, why in outcome.set_aside])
        if batch.records and batch.records[0].sent_at is not None:
            metrics.ANSWER_SECONDS.observe(max(0.0, time.time() - batch.records[0].sent_at / 1000))

    def _trace(self, batch: Batch, asked: Sequence[Asked], since: int) -> None:
        if batch.records:
            TRACES.batch(
                ORDERS,
                self.lane.place.partition,
                position=batch.next_position,
                count=len(batch.records),
                since_ns=since,
                inputs=(a.trace for a in asked),
            )

    def _log(self, batch: Batch, outcome: Outcome, corrected: Sequence[Waiting]) -> None:
        if batch.records or corrected:
            log.info(
                "orders",
                partition=self.lane.place.partition,
                position=batch.next_position,
                answered=len(outcome.enriched) - outcome.told_again,
                told_again=outcome.told_again,
                dead_letters=Counter(why.reason for _, why in outcome.set_aside),
                corrected=len(corrected),
                duplicates=len(batch.records) - len(outcome.enriched) - len(outcome.set_aside),
            )


def _counted(ruled: Sequence[Ruled]) -> Counter[str]:
    """40 ns an order."""
    return Counter([r.told_as for r in ruled])


def _answered(asked: Asked, ruled: Ruled) -> Answered:
    record = asked.record
    return Answered(
        event_key=asked.key,
        data_hash=asked.hash,
        supplier_id=asked.supplier_id,
        order_id=asked.order_id,
        customer_id=asked.customer_id,
        answer=ruled.answer(asked.as_of),
        partition=record.partition,
        offset=record.offset,
        record_key=record.key,
        created_at=asked.created_at,
        channel=asked.channel,
        knew_version=ruled.knew_version,
        knew_change=ruled.knew_change,
        open=ruled.open,
    )


def _cause(asked: Asked) -> Cause:
    return Cause(asked.key, asked.event_id.decode(), asked.source, asked.trace)


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


def _missing(asked: Asked, reason: str | None, now: datetime) -> Message:
    event = CustomerNumberMissing(
        supplier_id=asked.supplier_id, customer_id=asked.customer_id, order_id=asked.order_id, reason=reason or ""
    )
    return event_message(event, _cause(asked), suffix="missing", now=now, subject=asked.order_id)
