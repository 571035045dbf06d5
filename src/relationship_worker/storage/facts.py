"""Facts that became known, until every answer that they may change was looked at."""

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


async def is_any_new(tx: Tx) -> bool:
    """Whether there are facts to look at. Asked many times a second, and mostly there are none."""
    [row] = await rows(tx, "SELECT EXISTS (SELECT FROM new_facts) AS new")
    return bool(row.new)


async def facts_to_look_at(tx: Tx, *, limit: int) -> tuple[list[Fact], int]:
    """The next facts in the order in which they became known, and the transaction id below which may be who doesn't know
    them: this transaction's own, given only now. (A snapshot's end would not do: ids above it may be at work already.)

    Facts of one supplier's relationships side by side; its settings alone, and nothing past them.
    """
    found = await rows(
        tx,
        """SELECT f.*, pg_current_xact_id()::text::bigint AS horizon FROM new_facts f
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
            cause=cause_of(row),
            number=row.number,
            looked_up_to=row.looked_up_to,
        )
        for row in found
    ]
    return facts, found[0].horizon if found else 0


async def oldest_running(tx: Tx) -> int:
    """All transactions below this id have ended: who read facts in one of them has remembered its answers, or has none.

    Those of the server's other databases don't count: one that stays open there would hold back every correction here.
    Ids are the server's; whose an id is, the lock says that each transaction holds on its own. One that ends while this
    is asked counts as running, and is asked for again.
    """
    [row] = await rows(
        tx,
        """SELECT coalesce(min(running.id), pg_snapshot_xmax(pg_current_snapshot()))::text::bigint AS oldest
           FROM pg_snapshot_xip(pg_current_snapshot()) AS running (id)
           WHERE NOT EXISTS (SELECT FROM pg_locks held JOIN pg_stat_activity session USING (pid)
                             WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock' AND held.granted
                                   AND held.transactionid = CAST(running.id AS xid)
                                   AND session.datname <> current_database())""",
    )
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


async def facts_wait_for(tx: Tx, supplier_id: str, customer_id: str | None) -> bool:
    """True while a fact of the supplier or of this customer is not yet held against all the answers it may change."""
    [row] = await rows(
        tx,
        """SELECT EXISTS (SELECT FROM new_facts WHERE supplier_id = :supplier
                          AND (customer_id IS NULL OR customer_id = CAST(:customer AS text))) AS waits""",
        {"supplier": supplier_id, "customer": customer_id},
    )
    return bool(row.waits)


def cause_of(row: Any) -> Cause:
    """The event that a row names."""
    trace = tuple((name, text or b"") for name, text in unpack_headers(row.trace))
    return Cause(row.event_key, row.event_id, row.event_source, trace)
