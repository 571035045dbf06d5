"""Answers to orders: the first one stands, and the same event is answered once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from relationship_worker.storage.database import Tx, rows


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An order's event, where it lay, and the answer (JSON) that it is told. `first`: the first event of its order."""

    event_key: bytes  # 16
    data_hash: bytes  # 8
    supplier_id: str
    order_id: str
    customer_id: str | None
    answer: str
    partition: int
    offset: int
    first: bool = True

    @property
    def order(self) -> tuple[str, str]:
        """What identifies an order."""
        return (self.supplier_id, self.order_id)


async def remember_first(tx: Tx, answered: Sequence[Answered], *, now: datetime) -> set[bytes]:
    """Remember answers, each the first of its order and of its event; the others are left out. Returns the keys of the new.

    Rows go in sorted by order, so that two transactions with the same orders wait for each other in one direction only;
    of several events of one order the earliest given goes in first, and stands.
    """
    ordered = sorted(answered, key=lambda a: (a.supplier_id, a.order_id))
    new = await rows(
        tx,
        f"""INSERT INTO answers (event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset",
                                answered_at)
           SELECT event_key, data_hash, supplier_id, order_id, customer_id, answer, partition, "offset", :now
           FROM {_COLUMNS}
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {"now": now, **_columns(ordered)},
    )
    return {row[0] for row in new}


async def remember_repeated(tx: Tx, answered: Sequence[Answered], *, now: datetime) -> set[bytes]:
    """Remember further events of answered orders, each with what it is told. Returns the keys of the new."""
    new = await rows(
        tx,
        f"""INSERT INTO repeated_orders (event_key, data_hash, supplier_id, order_id, answer, partition, "offset",
                                        answered_at)
           SELECT event_key, data_hash, supplier_id, order_id, answer, partition, "offset", :now
           FROM {_COLUMNS}
           ON CONFLICT DO NOTHING RETURNING event_key""",
        {"now": now, **_columns(sorted(answered, key=lambda a: a.event_key))},
    )
    return {row[0] for row in new}


# Columns go over as one text each: encoding arrays costs the client 0.3 µs an element. U+001F can stand in none of them:
# ids hold no control characters, and JSON text escapes them. An id is never empty, so empty stands for null.
_COLUMNS = """(SELECT substring(CAST(:keys AS bytea), 16 * i::int - 15, 16) AS event_key,
                      substring(CAST(:hashes AS bytea), 8 * i::int - 7, 8) AS data_hash,
                      supplier_id, order_id, customer_id, answer, partition::int, "offset"::bigint
               FROM unnest(string_to_array(:suppliers, chr(31)), string_to_array(:orders, chr(31)),
                           string_to_array(:customers, chr(31), ''), string_to_array(:answers, chr(31)),
                           string_to_array(:partitions, chr(31)), string_to_array(:offsets, chr(31)))
                    WITH ORDINALITY AS t (supplier_id, order_id, customer_id, answer, partition, "offset", i)) AS t"""


def _columns(answered: Sequence[Answered]) -> Mapping[str, object]:
    return {
        "keys": b"".join([a.event_key for a in answered]),
        "hashes": b"".join([a.data_hash for a in answered]),
        "suppliers": _BETWEEN.join([a.supplier_id for a in answered]),
        "orders": _BETWEEN.join([a.order_id for a in answered]),
        "customers": _BETWEEN.join([a.customer_id or "" for a in answered]),
        "answers": _BETWEEN.join([a.answer for a in answered]),
        "partitions": _BETWEEN.join([str(a.partition) for a in answered]),
        "offsets": _BETWEEN.join([str(a.offset) for a in answered]),
    }


_BETWEEN = "\x1f"


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
