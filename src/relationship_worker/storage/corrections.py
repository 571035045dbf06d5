"""Facts that became known, the answers that they may change, and the corrections that come of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from relationship_worker.domain.corrections import KnownVersion
from relationship_worker.domain.relationship import State
from relationship_worker.messages.outgoing import Cause
from relationship_worker.storage.database import Tx, rows, run
from relationship_worker.storage.records import pack_headers, unpack_headers
from relationship_worker.storage.relationships import Pair

OrderId = tuple[str, str]
"""(supplier_id, order_id): an order's identity."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A version of a relationship or (customer None, version 0) a change of settings, with the event that brought it.

    `change`: the supplier's newest change of settings known with it. `looked_up_to`: the order id up to which answers
    were looked at already. `number` is given by the database and says in which order facts became known.
    """

    supplier_id: str
    customer_id: str | None
    version: int
    change: int
    valid_from: datetime
    cause: Cause
    number: int = 0
    looked_up_to: str = ""


async def remember_facts(tx: Tx, facts: Sequence[Fact]) -> None:
    """Keep facts until all answers that they may change were looked at. Their suppliers and relationships must be locked."""
    await run(
        tx,
        """INSERT INTO new_facts (supplier_id, customer_id, version, change, valid_from, event_key, event_id, event_source,
                                  trace)
           SELECT t.* FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:versions AS int[]),
                                  CAST(:changes AS int[]), CAST(:valid_from AS timestamptz[]),
                                  CAST(:event_keys AS bytea[]), CAST(:event_ids AS text[]),
                                  CAST(:event_sources AS text[]), CAST(:traces AS bytea[])) AS t""",
        {
            "suppliers": [f.supplier_id for f in facts],
            "customers": [f.customer_id for f in facts],
            "versions": [f.version for f in facts],
            "changes": [f.change for f in facts],
            "valid_from": [f.valid_from for f in facts],
            "event_keys": [f.cause.key for f in facts],
            "event_ids": [f.cause.id for f in facts],
            "event_sources": [f.cause.source for f in facts],
            "traces": [pack_headers(list(f.cause.trace)) for f in facts],
        },
    )


async def facts_to_look_at(tx: Tx, *, limit: int) -> tuple[list[Fact], int]:
    """The next facts in the order in which they became known, and the transaction id that tells who may not know them.

    Facts of one supplier's relationships side by side; its settings alone, and nothing past them.
    """
    found = await rows(
        tx,
        """SELECT f.*, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS horizon FROM new_facts f
           WHERE NOT EXISTS (SELECT FROM new_facts e WHERE e.supplier_id = f.supplier_id AND e.number < f.number
                                                     AND (e.customer_id IS NULL OR f.customer_id IS NULL))
           ORDER BY f.number LIMIT :limit""",
        {"limit": limit},
    )
    facts = [
        Fact(
            supplier_id=row.supplier_id,
            customer_id=row.customer_id,
            version=row.version,
            change=row.change,
            valid_from=row.valid_from,
            cause=_cause(row),
            number=row.number,
            looked_up_to=row.looked_up_to,
        )
        for row in found
    ]
    return facts, found[0].horizon if found else 0


async def oldest_running(tx: Tx) -> int:
    """All transactions below this id have ended: who read facts in one of them has remembered its answers, or has none."""
    [row] = await rows(tx, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest")
    return int(row.oldest)


async def looked_at(tx: Tx, facts: Collection[Fact]) -> None:
    """All answers that these facts may change were looked at."""
    await run(tx, "DELETE FROM new_facts WHERE number = ANY(:numbers)", {"numbers": [f.number for f in facts]})


async def looked_up_to(tx: Tx, fact: Fact, order_id: str) -> None:
    """The answers up to this order were looked at; the rest is for later."""
    await run(
        tx,
        "UPDATE new_facts SET looked_up_to = :order WHERE number = :number",
        {"number": fact.number, "order": order_id},
    )


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that may have to be corrected. `told`: the answer (JSON) that the order was told last."""

    supplier_id: str
    order_id: str
    customer_id: str | None
    event_key: bytes
    record_key: bytes | None
    partition: int
    created_at: datetime
    channel: str | None
    knew_version: int
    knew_change: int
    open: bool
    told: str

    @property
    def order(self) -> OrderId:
        """What identifies the order."""
        return (self.supplier_id, self.order_id)


_GIVEN = """supplier_id, order_id, customer_id, event_key, record_key, partition, created_at, channel, knew_version,
            knew_change, open, coalesce(corrected, answer) AS told"""


async def given_to_customers(tx: Tx, facts: Sequence[Fact], *, limit: int) -> list[Given]:
    """Answers that these versions of relationships may change, in order of their ids; `limit` of each relationship."""
    first: dict[Pair, Fact] = {}
    newest: dict[Pair, int] = {}
    for fact in facts:
        assert fact.customer_id is not None
        first.setdefault((fact.supplier_id, fact.customer_id), fact)
        newest[fact.supplier_id, fact.customer_id] = fact.version
    found = await rows(
        tx,
        f"""SELECT a.* FROM unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[]), CAST(:after AS text[]),
                                  CAST(:valid_from AS timestamptz[]), CAST(:newest AS int[]))
                           AS f (s, c, after, valid_from, newest)
            CROSS JOIN LATERAL (
                SELECT {_GIVEN} FROM answers
                WHERE supplier_id = f.s AND customer_id = f.c AND order_id > f.after AND knew_version < f.newest
                      AND (open OR created_at >= f.valid_from)
                ORDER BY order_id LIMIT :limit) AS a
            LIMIT :limit""",
        {
            "suppliers": [s for s, _ in first],
            "customers": [c for _, c in first],
            "after": [f.looked_up_to for f in first.values()],
            "valid_from": [f.valid_from for f in first.values()],
            "newest": list(newest.values()),
            "limit": limit,
        },
    )
    return [Given(**row._mapping) for row in found]


async def given_by_supplier(tx: Tx, fact: Fact, *, limit: int) -> tuple[list[Given], str | None]:
    """Of the supplier's next answers, those that its settings may change; and up to which order (None: to the last)."""
    [chunk] = await rows(
        tx,
        """SELECT count(*) AS orders, max(order_id) AS last
           FROM (SELECT order_id FROM answers WHERE supplier_id = :supplier AND order_id > :after
                 ORDER BY order_id LIMIT :limit) AS chunk""",
        {"supplier": fact.supplier_id, "after": fact.looked_up_to, "limit": limit},
    )
    if not chunk.orders:
        return [], None
    found = await rows(
        tx,
        f"""SELECT {_GIVEN} FROM answers
            WHERE supplier_id = :supplier AND order_id > :after AND order_id <= :last
                  AND knew_change < :change AND (open OR created_at >= :valid_from)
            ORDER BY order_id""",
        {
            "supplier": fact.supplier_id,
            "after": fact.looked_up_to,
            "last": chunk.last,
            "change": fact.change,
            "valid_from": fact.valid_from,
        },
    )
    return [Given(**row._mapping) for row in found], chunk.last if chunk.orders == limit else None


async def versions_known(tx: Tx, pairs: Collection[Pair]) -> dict[Pair, list[tuple[int, KnownVersion]]]:
    """All versions of these relationships, oldest first, each with the supplier's newest settings known with it."""
    ordered = sorted(pairs)
    found = await rows(
        tx,
        """SELECT h.supplier_id, h.customer_id, h.version, h.valid_from, h.state, h.customer_number, h.brings_number,
                  h.settings_change
           FROM relationship_history h
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:customers AS text[])) AS pair (s, c)
             ON h.supplier_id = pair.s AND h.customer_id = pair.c
           ORDER BY h.supplier_id, h.customer_id, h.version""",
        {"suppliers": [s for s, _ in ordered], "customers": [c for _, c in ordered]},
    )
    known: dict[Pair, list[tuple[int, KnownVersion]]] = {}
    for row in found:
        version = KnownVersion(
            version=row.version,
            valid_from=row.valid_from,
            partner=row.state == State.PARTNER,
            customer_number=row.customer_number,
            brings_number=row.brings_number,
        )
        known.setdefault((row.supplier_id, row.customer_id), []).append((row.settings_change, version))
    return known


async def keep_open(tx: Tx, orders: Mapping[OrderId, bool]) -> None:
    """Whether later facts may still change what these orders must be told."""
    ordered = sorted(orders)
    await run(
        tx,
        """UPDATE answers a SET open = t.open
           FROM unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[]), CAST(:open AS boolean[])) AS t (s, o, open)
           WHERE a.supplier_id = t.s AND a.order_id = t.o""",
        {
            "suppliers": [s for s, _ in ordered],
            "orders": [o for _, o in ordered],
            "open": [orders[order] for order in ordered],
        },
    )


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
            cause=_cause(row),
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


async def last_numbers(tx: Tx) -> dict[int, int]:
    """The number of each partition's newest correction."""
    return {row.partition: row.last for row in await rows(tx, "SELECT partition, last FROM correction_lanes")}


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


async def facts_wait_for(tx: Tx, supplier_id: str, customer_id: str | None) -> bool:
    """True while a fact of the supplier or of this customer is not yet held against all the answers it may change."""
    [row] = await rows(
        tx,
        """SELECT EXISTS (SELECT FROM new_facts WHERE supplier_id = :supplier
                          AND (customer_id IS NULL OR customer_id = CAST(:customer AS text))) AS waits""",
        {"supplier": supplier_id, "customer": customer_id},
    )
    return bool(row.waits)


def _cause(row: Any) -> Cause:
    trace = tuple((name, text or b"") for name, text in unpack_headers(row.trace))
    return Cause(row.event_key, row.event_id, row.event_source, trace)
