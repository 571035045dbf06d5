"""The shadow run: orders of a time span once more, by today's facts or by changed settings, next to what they were told.

Publishes nothing, commits nothing, writes nothing: it reads Kafka without a group, and PostgreSQL read-only, a state per batch.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.corrections import Facts, KnownSettings, due
from relationship_worker.domain.supplier import BUILT_IN, NUMBER_LENGTHS, InvalidSettings, changed
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.fetched_records import FetchedRecord
from relationship_worker.kafka.time_span import Span, records_of
from relationship_worker.messages.envelope import InvalidMessage, open_envelope
from relationship_worker.messages.orders import ORDER_TYPES, Answer, Order, read_answer, read_order
from relationship_worker.messages.outgoing import ORDERS
from relationship_worker.storage import answers, facts, suppliers
from relationship_worker.storage.answers import ToldSoFar
from relationship_worker.storage.database import Tx
from relationship_worker.storage.relationships import Pair
from relationship_worker.views.reading import reading

BATCH_ORDERS = 2_000  # as many as the order lane takes: bounds what is in memory
EXAMPLES = 10  # enough to see a pattern in
_BEGINNING = datetime.min.replace(tzinfo=UTC)

Overlays = Mapping[str, Mapping[str, object]]
"""By supplier: settings that are laid over those of all times."""
Progress = Callable[[int, int], None]
"""Called with the records that are done, and all of them."""


class BadSettings(ValueError):
    """The file of settings makes no sense; the message says whose, what and where."""


@dataclass(frozen=True, order=True)
class Example:
    """An order that would be told another number."""

    created_at: datetime
    supplier_id: str
    order_id: str
    customer_id: str | None = field(compare=False)
    told: Answer = field(compare=False)
    would_be: Answer = field(compare=False)


@dataclass(kw_only=True)
class Report:
    """What a shadow run found. `differ`: by supplier, the rule that was told and the rule that would be."""

    records: int = 0
    unreadable: int = 0
    told_again: int = 0
    unanswered: int = 0
    same: int = 0
    other_reason: int = 0  # the same number and source, by another rule or for another reason
    differ: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """Orders that were answered, held against what they would be told."""
        return self.same + self.other_reason + self.differ.total()


def read_overlays(text: bytes) -> Overlays:
    """`{"SUPPLIER": {settings as in supplier.settings.changed}}`. Raises BadSettings."""
    try:
        overlays = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
    except msgspec.ValidationError as why:
        raise BadSettings(f"it is no object of objects by supplier: {why}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadSettings("it is not JSON in UTF-8, or nested too deep") from None
    for supplier_id, change in overlays.items():
        try:
            # As long as any supplier may allow; with the supplier's own length it is held against its settings later.
            changed(BUILT_IN, {"customer_number_max_length": NUMBER_LENGTHS[-1], **change})
        except InvalidSettings as why:
            raise BadSettings(f"supplier {supplier_id}: {why}") from None
        unknown = set(change) - set(BUILT_IN.__dataclass_fields__)
        if unknown:
            raise BadSettings(f"supplier {supplier_id}: there is no setting {', '.join(sorted(unknown))}")
    return overlays


async def run(
    kafka: Connection,
    database: AsyncEngine,
    span: Span,
    *,
    overlays: Overlays,
    supplier_id: str | None,
    progress: Progress,
) -> Report:
    """Go through the span. Raises BadSettings, CannotRead, KafkaError, TopicsMissing."""
    report = Report()
    async with reading(database):
        pass  # a database that is away is said at once
    async for piece in records_of(kafka, ORDERS, span):
        for start in range(0, len(piece.records), BATCH_ORDERS):
            async with reading(database) as tx:  # not one for the whole run: that would hold back vacuum and migrations
                await _compare(tx, piece.records[start : start + BATCH_ORDERS], overlays, supplier_id, report)
        progress(piece.done, piece.total)
    return report


async def _compare(
    tx: Tx, records: Sequence[FetchedRecord], overlays: Overlays, supplier_id: str | None, report: Report
) -> None:
    orders = [(record, order) for record in records if (order := _read(record, report)) is not None]
    orders = [(record, order) for record, order in orders if supplier_id in (None, order.supplier_id)]
    told = await answers.told_so_far(tx, {(order.supplier_id, order.order_id) for _, order in orders})
    firsts = []
    for record, order in orders:
        before = told.get((order.supplier_id, order.order_id))
        if before is None:
            report.unanswered += 1
        elif (before.partition, before.offset) != (record.partition, record.offset):
            report.told_again += 1
        else:
            firsts.append((order, before))
    pairs = {(o.supplier_id, o.customer_id) for o, _ in firsts if o.customer_id is not None}
    versions = await facts.versions_known(tx, pairs)
    settings = await suppliers.settings_history(tx, {o.supplier_id for o, _ in firsts})
    laid_over = {
        supplier: _laid_over(supplier, settings.get(supplier, ()), overlays.get(supplier))
        for supplier in {order.supplier_id for order, _ in firsts}
    }
    for order, before in firsts:
        pair: Pair = (order.supplier_id, order.customer_id or "")
        known = [version for _, version in versions.get(pair, ())]
        _hold_against(order, before, Facts(versions=known, settings=laid_over[order.supplier_id]), report)


def _read(record: FetchedRecord, report: Report) -> Order | None:
    report.records += 1
    try:
        return read_order(open_envelope(record.headers, record.value, ORDER_TYPES))
    except InvalidMessage:
        report.unreadable += 1
        return None


def _laid_over(
    supplier_id: str, history: Sequence[KnownSettings], change: Mapping[str, object] | None
) -> Sequence[KnownSettings]:
    """The settings of all times with a change laid over them. Raises BadSettings where the two don't go together."""
    if change is None:
        return history
    first = KnownSettings(change=0, valid_from=_BEGINNING, settings=BUILT_IN, brings_default=False)
    try:
        return [
            KnownSettings(
                change=known.change,
                valid_from=known.valid_from,
                settings=changed(known.settings, change),
                brings_default=known.brings_default,
            )
            for known in (first, *history)
        ]
    except InvalidSettings as why:
        raise BadSettings(f"supplier {supplier_id}, with its settings of another time: {why}") from None


def _hold_against(order: Order, before: ToldSoFar, facts: Facts, report: Report) -> None:
    due_now = due(facts, created_at=order.created_at, channel=order.channel)
    told, ruling = read_answer(before.last), due_now.ruling
    if (told.number, told.source) == (ruling.number, ruling.source):
        if (told.rule, told.reason) == (ruling.rule, ruling.reason):
            report.same += 1
        else:
            report.other_reason += 1
        return
    report.differ[order.supplier_id, told.rule, ruling.rule] += 1
    would_be = Answer(
        number=ruling.number,
        source=ruling.source,
        reason=ruling.reason,
        rule=ruling.rule,
        relationship_version=due_now.version,
        as_of=due_now.as_of.isoformat(),
        flags=[],
    )
    example = Example(order.created_at, order.supplier_id, order.order_id, order.customer_id, told, would_be)
    report.examples = heapq.nsmallest(EXAMPLES, [*report.examples, example])
