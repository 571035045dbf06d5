"""Corrections: what orders were told instead, in the order in which each partition's lane tells it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from relationship_worker.messages.outgoing import Cause
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.facts import Given, OrderId, cause_of
from relationship_worker.storage.records import pack_headers


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is told instead: both answers as JSON, and the fact behind it."""

    given: Given
    previous: str
    answer: str
    cause: Cause


async def remember(tx: Tx, corrections: Sequence[Correction], *, now: datetime) -> None:
    """Append corrections to the lanes that told the orders, in this order, and keep them as what was told last.

    One transaction at a time may do this (`database.alone`): numbers are in the order of commits, and none is missing.
    """
    after = await _told_up_to(tx, {c.given.order: c.given.partition for c in corrections})
    by_partition: dict[int, list[Correction]] = {}
    for correction in corrections:
        by_partition.setdefault(correction.given.partition, []).append(correction)
    for partition, some in by_partition.items():
        [lane] = await rows(
            tx,
            """INSERT INTO correction_lanes (partition, last) VALUES (:partition, :count)
               ON CONFLICT (partition) DO UPDATE SET last = correction_lanes.last + :count RETURNING last""",
            {"partition": partition, "count": len(some)},
        )
        await run(
            tx,
            """INSERT INTO corrections (partition, number, after, supplier_id, order_id, customer_id, record_key,
                                        order_event, previous, answer, event_key, event_id, event_source, trace,
                                        decided_at, period)
               SELECT :partition, :before + i, after, supplier_id, order_id, customer_id, record_key, order_event, previous,
                      answer, event_key, event_id, event_source, trace, :now, period_of(period_clock())
               FROM unnest(CAST(:after AS bigint[]), CAST(:suppliers AS text[]), CAST(:orders AS text[]),
                           CAST(:customers AS text[]), CAST(:record_keys AS bytea[]), CAST(:order_events AS bytea[]),
                           CAST(:previous AS text[]), CAST(:answers AS text[]), CAST(:event_keys AS bytea[]),
                           CAST(:event_ids AS text[]), CAST(:event_sources AS text[]), CAST(:traces AS bytea[]))
                    WITH ORDINALITY AS t (after, supplier_id, order_id, customer_id, record_key, order_event, previous,
                                          answer, event_key, event_id, event_source, trace, i)""",
            {
                "partition": partition,
                "before": lane.last - len(some),
                "now": now,
                "after": [after[c.given.order] for c in some],
                "suppliers": [c.given.supplier_id for c in some],
                "orders": [c.given.order_id for c in some],
                "customers": [c.given.customer_id for c in some],
                "record_keys": [c.given.record_key for c in some],
                "order_events": [c.given.event_key for c in some],
                "previous": [c.previous for c in some],
                "answers": [c.answer for c in some],
                "event_keys": [c.cause.key for c in some],
                "event_ids": [c.cause.id for c in some],
                "event_sources": [c.cause.source for c in some],
                "traces": [pack_headers(list(c.cause.trace)) for c in some],
            },
        )
    last = {c.given.order: c.answer for c in corrections}
    await run(
        tx,
        """UPDATE answers a SET corrected = t.answer
           FROM unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[]), CAST(:answers AS text[])) AS t (s, o, answer)
           WHERE a.supplier_id = t.s AND a.order_id = t.o""",
        {
            "suppliers": [s for s, _ in last],
            "orders": [o for _, o in last],
            "answers": list(last.values()),
        },
    )


async def _told_up_to(tx: Tx, orders: Mapping[OrderId, int]) -> dict[OrderId, int]:
    """The last offset in the order's partition at which the order was told. Whoever tells it again right now is waited
    for, and whoever wants to do so waits for the end of this transaction."""
    ordered = sorted(orders)
    ids = {"suppliers": [s for s, _ in ordered], "orders": [o for _, o in ordered]}
    held = await rows(
        tx,
        """SELECT a.supplier_id, a.order_id, a."offset" FROM answers a
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[])) AS t (s, o)
             ON a.supplier_id = t.s AND a.order_id = t.o
           ORDER BY a.supplier_id, a.order_id FOR UPDATE OF a""",
        ids,
    )
    after = {(row.supplier_id, row.order_id): row.offset for row in held}
    again = await rows(
        tx,
        """SELECT r.supplier_id, r.order_id, r.partition, max(r."offset") AS "offset" FROM repeated_orders r
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[])) AS t (s, o)
             ON r.supplier_id = t.s AND r.order_id = t.o
           GROUP BY r.supplier_id, r.order_id, r.partition""",
        ids,
    )
    for row in again:
        order = (row.supplier_id, row.order_id)
        if row.partition == orders[order]:
            after[order] = max(after[order], row.offset)
    return after


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A correction that is to be told, once `after` (an offset of the orders partition) is."""

    number: int
    after: int
    supplier_id: str
    order_id: str
    customer_id: str | None
    record_key: bytes | None
    order_event: bytes
    previous: str
    answer: str
    cause: Cause
    decided_at: datetime


async def waiting(tx: Tx, partition: int, *, after: int, limit: int) -> list[Waiting]:
    """A partition's corrections behind number `after`, in their order."""
    found = await rows(
        tx,
        """SELECT number, after, supplier_id, order_id, customer_id, record_key, order_event, previous, answer, event_key,
                  event_id, event_source, trace, decided_at
           FROM corrections WHERE partition = :partition AND number > :after ORDER BY number LIMIT :limit""",
        {"partition": partition, "after": after, "limit": limit},
    )
    return [
        Waiting(
            number=row.number,
            after=row.after,
            supplier_id=row.supplier_id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            record_key=row.record_key,
            order_event=row.order_event,
            previous=row.previous,
            answer=row.answer,
            cause=cause_of(row),
            decided_at=row.decided_at,
        )
        for row in found
    ]


async def bounds(tx: Tx, partition: int) -> tuple[int, int]:
    """Up to which number a partition's corrections are known to be told, and the number of the newest."""
    found = await rows(
        tx, "SELECT told, last FROM correction_lanes WHERE partition = :partition", {"partition": partition}
    )
    return (found[0].told, found[0].last) if found else (0, 0)


async def told(tx: Tx, partition: int, *, up_to: int) -> None:
    """Kafka has the partition's corrections up to this number."""
    await run(
        tx,
        "UPDATE correction_lanes SET told = :up_to WHERE partition = :partition AND told < :up_to",
        {"partition": partition, "up_to": up_to},
    )


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A correction of an order: its answer (JSON), the event behind it, and whether Kafka is known to have it."""

    answer: str
    order_event: bytes
    event_key: bytes
    event_id: str
    event_source: str
    decided_at: datetime
    told: bool


async def made_for(tx: Tx, order: OrderId) -> list[Made]:
    """The order's corrections, as they were decided."""
    found = await rows(
        tx,
        """SELECT c.answer, c.order_event, c.event_key, c.event_id, c.event_source, c.decided_at,
                  c.number <= lane.told AS told
           FROM corrections c JOIN correction_lanes lane USING (partition)
           WHERE c.supplier_id = :supplier AND c.order_id = :order ORDER BY c.number""",
        {"supplier": order[0], "order": order[1]},
    )
    return [Made(**row._mapping) for row in found]
