"""Answers to orders: the first one stands, and the same event is answered once."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.answer_rows import COLUMNS, copy_of
from relationship_worker.storage.database import Tx, rows, statements
from relationship_worker.storage.known_facts import Seen
from relationship_worker.storage.periods import Period


class Answered(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order's event, where it lay, the answer (JSON) that it is told, and what the answer went by."""

    event_key: bytes  # 16
    data_hash: bytes  # 8
    supplier_id: str
    order_id: str
    customer_id: str | None
    answer: str
    partition: int
    offset: int
    record_key: bytes | None
    created_at: datetime
    channel: str | None
    knew_version: int
    knew_change: int
    open: bool

    @property
    def order(self) -> tuple[str, str]:
        """What identifies an order."""
        return (self.supplier_id, self.order_id)


class ToldBefore(msgspec.Struct, frozen=True, gc=False):
    """What an order's event was told. `first`: the first event of its order."""

    data_hash: bytes
    answer: str
    partition: int
    offset: int
    first: bool


class AnsweredBefore(Exception):
    """Some of the orders, or their events, were answered before: nothing may be committed, `remember_first` sorts it out."""


async def remember_new(
    tx: Tx, new: Sequence[bytes], events: Sequence[bytes], orders: Sequence[tuple[str, str]], *, period: Period
) -> None:
    """Remember answers of which each is expected to be the first of its order and of its event. Raises AnsweredBefore.

    `new`: rows as `AnswerRows` makes them; `events` and `orders`: their keys. At half the price of `remember_first`, for
    the database as for the client.
    """
    if await _known_elsewhere(tx, events, orders, period):
        raise AnsweredBefore
    connection = (await tx.get_raw_connection()).driver_connection
    assert connection is not None
    try:
        await connection.copy_to_table(
            f"answers_p{period.now}", source=_once(copy_of(new)), format="binary", columns=COLUMNS
        )
    except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
        raise AnsweredBefore from None  # deadlock: another lane has some of these orders, in another order


UpTo = Mapping[tuple[str, int], int]
"""How far partitions (by the contract's name of the topic and number) must be applied."""


async def remember_at_once(
    database: AsyncEngine, answered: Sequence[Answered], facts: Seen, ends: UpTo, *, now: datetime
) -> bool:
    """Remember some orders of one partition in a single round trip, in a transaction of its own.

    False, and nothing is remembered, where decisions are not applied up to `ends`, where anything became known since the
    facts that the answers go by were `Seen`, or where some were answered before: then the longer way finds out.
    """
    async with statements(database) as tx:
        [row] = await rows(
            tx,
            """SELECT answer_at_once(
                   CAST(CAST(:seen AS text) AS pg_snapshot), :server, CAST(:topics AS text[]), CAST(:partitions AS int[]),
                   CAST(:ends AS bigint[]), :now, :lane, CAST(:event_keys AS bytea[]), CAST(:hashes AS bytea[]),
                   CAST(:suppliers AS text[]), CAST(:orders AS text[]), CAST(:customers AS text[]),
                   CAST(:answers AS text[]), CAST(:offsets AS bigint[]), CAST(:record_keys AS bytea[]),
                   CAST(:created_at AS timestamptz[]), CAST(:channels AS text[]), CAST(:versions AS int[]),
                   CAST(:changes AS int[]), CAST(:open AS boolean[])) AS done""",
            {
                "seen": facts.snapshot,
                "server": facts.server,
                "topics": [topic for topic, _ in ends],
                "partitions": [partition for _, partition in ends],
                "ends": list(ends.values()),
                "now": now,
                "lane": answered[0].partition,
                **_columns(answered),
            },
        )
    return bool(row.done == "remembered")


def _columns(answered: Sequence[Answered]) -> dict[str, Sequence[Any]]:
    return {
        "event_keys": [a.event_key for a in answered],
        "hashes": [a.data_hash for a in answered],
        "suppliers": [a.supplier_id for a in answered],
        "orders": [a.order_id for a in answered],
        "customers": [a.customer_id for a in answered],
        "answers": [a.answer for a in answered],
        "offsets": [a.offset for a in answered],
        "record_keys": [a.record_key for a in answered],
        "created_at": [a.created_at for a in answered],
        "channels": [a.channel for a in answered],
        "versions": [a.knew_version for a in answered],
        "changes": [a.knew_change for a in answered],
        "open": [a.open for a in answered],
    }


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _known_elsewhere(tx: Tx, events: Sequence[bytes], orders: Sequence[tuple[str, str]], period: Period) -> bool:
    """What no unique constraint of this period's partition tells: further events of orders, and earlier periods."""
    known = """SELECT EXISTS (SELECT FROM repeated_orders WHERE event_key = ANY(ARRAY(
                   SELECT substring(CAST(:events AS bytea), 16 * i - 15, 16) FROM generate_series(1, :count) AS i)))"""
    values = {"events": b"".join(events), "count": len(events)}
    if period.earlier:  # by name, so that each is asked by its index alone
        asked = [
            f"""EXISTS (SELECT FROM answers WHERE period = {earlier} AND event_key = ANY(ARRAY(
                    SELECT substring(CAST(:events AS bytea), 16 * i - 15, 16) FROM generate_series(1, :count) AS i)))
                OR EXISTS (SELECT FROM unnest(string_to_array(:suppliers, chr(31)), string_to_array(:orders, chr(31)))
                                       AS t (s, o)
                           CROSS JOIN LATERAL (SELECT FROM answers WHERE period = {earlier} AND supplier_id = t.s
                                                                         AND order_id = t.o LIMIT 1) AS a)"""
            for earlier in period.earlier
        ]
        known = " OR ".join([known, *asked])
        values |= {"suppliers": "\x1f".join([s for s, _ in orders]), "orders": "\x1f".join([o for _, o in orders])}
    [row] = await rows(tx, f"{known} AS known", values)
    return bool(row.known)


async def remember_first(tx: Tx, answered: Sequence[Answered], *, period: Period, now: datetime) -> set[bytes]:
    """Remember answers, each the first of its order and of its event; the others are left out. Returns the keys of the new.

    Rows go in sorted by order, so that two transactions with the same orders wait for each other in one direction only;
    of several events of one order the earliest given goes in first, and stands.
    """
    ordered = sorted(answered, key=lambda a: (a.supplier_id, a.order_id))
    new = await rows(
        tx,
        """INSERT INTO answers (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset",
                                answered_at, record_key, created_at, channel, knew_version, knew_change, open, period)
           SELECT t.event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset", :now, record_key,
                  created_at, channel, version, change, open, :period
           FROM unnest(CAST(:event_keys AS bytea[]), CAST(:hashes AS bytea[]), CAST(:suppliers AS text[]),
                       CAST(:orders AS text[]), CAST(:customers AS text[]), CAST(:answers AS text[]),
                       CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:record_keys AS bytea[]),
                       CAST(:created_at AS timestamptz[]), CAST(:channels AS text[]), CAST(:versions AS int[]),
                       CAST(:changes AS int[]), CAST(:open AS boolean[])) WITH ORDINALITY
                AS t (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset", record_key,
                      created_at, channel, version, change, open, i)
           WHERE NOT EXISTS (SELECT FROM answers o WHERE o.event_key = t.event_key AND o.period <> :period)
             AND NOT EXISTS (SELECT FROM answers o WHERE o.supplier_id = t.supplier_id AND o.order_id = t.order_id
                                                     AND o.period <> :period)
             AND NOT EXISTS (SELECT FROM repeated_orders r WHERE r.event_key = t.event_key)
           ORDER BY t.i
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {
            "now": now,
            "period": period.now,
            "partitions": [a.partition for a in ordered],
            **_columns(ordered),
        },
    )
    return {row[0] for row in new}


async def remember_repeated(tx: Tx, repeated: Sequence[Answered], *, period: Period, now: datetime) -> set[bytes]:
    """Remember further events of answered orders, each with what it is told. Returns the keys of the new."""
    ordered = sorted(repeated, key=lambda a: a.event_key)
    new = await rows(
        tx,
        """INSERT INTO repeated_orders (event_key, data_hash, supplier_id, order_id, answer, partition, "offset",
                                        answered_at, period)
           SELECT event_key, data_hash, supplier_id, order_id, answer, partition, "offset", :now, :period
           FROM unnest(CAST(:event_keys AS bytea[]), CAST(:hashes AS bytea[]), CAST(:suppliers AS text[]),
                       CAST(:orders AS text[]), CAST(:answers AS text[]), CAST(:partitions AS int[]),
                       CAST(:offsets AS bigint[]))
                AS t (event_key, data_hash, supplier_id, order_id, answer, partition, "offset")
           WHERE NOT EXISTS (SELECT FROM repeated_orders r WHERE r.event_key = t.event_key AND r.period <> :period)
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {
            "now": now,
            "period": period.now,
            "event_keys": [a.event_key for a in ordered],
            "hashes": [a.data_hash for a in ordered],
            "suppliers": [a.supplier_id for a in ordered],
            "orders": [a.order_id for a in ordered],
            "answers": [a.answer for a in ordered],
            "partitions": [a.partition for a in ordered],
            "offsets": [a.offset for a in ordered],
        },
    )
    return {row[0] for row in new}


async def events_before(tx: Tx, keys: Collection[bytes]) -> dict[bytes, ToldBefore]:
    """What these events were told, those of them that were answered before: never a later correction."""
    found = await rows(
        tx,
        """SELECT event_key, data_hash, answer, partition, "offset", true AS first
           FROM answers WHERE event_key = ANY(:keys)
           UNION ALL
           SELECT event_key, data_hash, answer, partition, "offset", false
           FROM repeated_orders WHERE event_key = ANY(:keys)""",
        {"keys": sorted(keys)},
    )
    return {row[0]: ToldBefore(*row[1:]) for row in found}


async def told_last(tx: Tx, orders: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The answer (JSON) that each order was told last, held to the end of the transaction: a correction waits for it,
    and goes out behind what is told by it."""
    ordered = sorted(orders)
    found = await rows(
        tx,
        """SELECT a.supplier_id, a.order_id, coalesce(a.corrected, a.answer) AS answer FROM answers a
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[])) AS t (s, o)
             ON a.supplier_id = t.s AND a.order_id = t.o
           ORDER BY a.supplier_id, a.order_id FOR SHARE OF a""",
        {"suppliers": [s for s, _ in ordered], "orders": [o for _, o in ordered]},
    )
    return {(row.supplier_id, row.order_id): row.answer for row in found}


class ToldSoFar(msgspec.Struct, frozen=True, gc=False):
    """Where the first event of an order lay, and the answer (JSON) that the order was told last."""

    partition: int
    offset: int
    last: str


async def told_so_far(tx: Tx, orders: Collection[tuple[str, str]]) -> dict[tuple[str, str], ToldSoFar]:
    """What these orders were told, those of them that were answered. Nothing is locked."""
    ordered = sorted(orders)
    found = await rows(
        tx,
        """SELECT a.supplier_id, a.order_id, a.partition, a."offset", coalesce(a.corrected, a.answer) AS last
           FROM answers a JOIN unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[])) AS t (s, o)
             ON a.supplier_id = t.s AND a.order_id = t.o""",
        {"suppliers": [s for s, _ in ordered], "orders": [o for _, o in ordered]},
    )
    return {(row.supplier_id, row.order_id): ToldSoFar(row.partition, row.offset, row.last) for row in found}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An order's first answer (JSON) with all that it went by, and the one that it was told last."""

    event_key: bytes
    customer_id: str | None
    answer: str
    last: str
    partition: int
    offset: int
    answered_at: datetime
    created_at: datetime
    channel: str | None
    knew_change: int


async def stored(tx: Tx, supplier_id: str, order_id: str) -> Stored | None:
    """What an order was told first, and last."""
    found = await rows(
        tx,
        """SELECT event_key, customer_id, answer, coalesce(corrected, answer) AS last, partition, "offset", answered_at,
                  created_at, channel, knew_change
           FROM answers WHERE supplier_id = :supplier AND order_id = :order""",
        {"supplier": supplier_id, "order": order_id},
    )
    return Stored(**found[0]._mapping) if found else None


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """A further event of an answered order, and the answer (JSON) that it was told."""

    event_key: bytes
    answer: str
    partition: int
    offset: int
    answered_at: datetime


async def repeats_of(tx: Tx, supplier_id: str, order_id: str) -> list[Repeated]:
    """The order's further events, as they came."""
    found = await rows(
        tx,
        """SELECT event_key, answer, partition, "offset", answered_at FROM repeated_orders
           WHERE supplier_id = :supplier AND order_id = :order ORDER BY answered_at, "offset", partition""",
        {"supplier": supplier_id, "order": order_id},
    )
    return [Repeated(**row._mapping) for row in found]
