"""Answers to orders: the first one stands, and the same event is answered once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from relationship_worker.storage.database import Tx, rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An order's event, where it lay, and the answer (JSON) that it is told."""

    event_key: bytes
    data_hash: bytes
    supplier_id: str
    order_id: str
    customer_id: str | None
    answer: str
    partition: int
    offset: int
    first: bool = True  # the first event of its order

    @property
    def order(self) -> tuple[str, str]:
        """What identifies an order."""
        return (self.supplier_id, self.order_id)


async def remember_first(tx: Tx, answered: Sequence[Answered], *, now: datetime) -> set[bytes]:
    """Remember answers, each the first of its order and of its event; the others are left out. Returns the keys of the new.

    Rows go in by order, so that two transactions with the same orders wait for each other in one direction only.
    """
    ordered = sorted(answered, key=lambda a: a.order)
    new = await rows(
        tx,
        """INSERT INTO answers (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset",
                                answered_at)
           SELECT event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset", :now
           FROM unnest(CAST(:event_keys AS bytea[]), CAST(:data_hashes AS bytea[]), CAST(:suppliers AS text[]),
                       CAST(:orders AS text[]), CAST(:customers AS text[]), CAST(:answers AS text[]),
                       CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
                AS t (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset")
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {"now": now, **_columns(ordered), "customers": [a.customer_id for a in ordered]},
    )
    return {row.event_key for row in new}


async def remember_repeated(tx: Tx, answered: Sequence[Answered], *, now: datetime) -> set[bytes]:
    """Remember further events of answered orders, each with what it is told. Returns the keys of the new."""
    new = await rows(
        tx,
        """INSERT INTO repeated_orders (event_key, data_hash, supplier_id, order_id, answer, partition, "offset",
                                        answered_at)
           SELECT event_key, data_hash, supplier_id, order_id, answer, partition, "offset", :now
           FROM unnest(CAST(:event_keys AS bytea[]), CAST(:data_hashes AS bytea[]), CAST(:suppliers AS text[]),
                       CAST(:orders AS text[]), CAST(:answers AS text[]), CAST(:partitions AS int[]),
                       CAST(:offsets AS bigint[]))
                AS t (event_key, data_hash, supplier_id, order_id, answer, partition, "offset")
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {"now": now, **_columns(sorted(answered, key=lambda a: a.event_key))},
    )
    return {row.event_key for row in new}


def _columns(answered: Sequence[Answered]) -> Mapping[str, list[object]]:
    return {
        "event_keys": [a.event_key for a in answered],
        "data_hashes": [a.data_hash for a in answered],
        "suppliers": [a.supplier_id for a in answered],
        "orders": [a.order_id for a in answered],
        "answers": [a.answer for a in answered],
        "partitions": [a.partition for a in answered],
        "offsets": [a.offset for a in answered],
    }


async def events_before(tx: Tx, keys: Collection[bytes]) -> dict[bytes, Answered]:
    """What these events were told, those of them that were answered before."""
    found = await rows(
        tx,
        """SELECT event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset", true AS first
           FROM answers WHERE event_key = ANY(:keys)
           UNION ALL
           SELECT event_key, data_hash, supplier_id, order_id, NULL, answer, partition, "offset", false
           FROM repeated_orders WHERE event_key = ANY(:keys)""",
        {"keys": sorted(keys)},
    )
    return {row.event_key: Answered(**row._mapping) for row in found}


async def told_last(tx: Tx, orders: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The answer (JSON) that each order was told last."""
    ordered = sorted(orders)
    found = await rows(
        tx,
        """SELECT a.supplier_id, a.order_id, a.answer FROM answers a
           JOIN unnest(CAST(:suppliers AS text[]), CAST(:orders AS text[])) AS t (s, o)
             ON a.supplier_id = t.s AND a.order_id = t.o""",
        {"suppliers": [s for s, _ in ordered], "orders": [o for _, o in ordered]},
    )
    return {(row.supplier_id, row.order_id): row.answer for row in found}
